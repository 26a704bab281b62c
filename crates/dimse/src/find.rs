//! C-FIND, answered (PS3.4 C.4.1): the keys become a query of the archive, the same that answers QIDO-RS.

use crate::association::{Association, Context};
use crate::command::{Command, element};
use crate::error::Error;
use crate::identifier::{self, Identifier, LEVEL, PATIENT_ID, RETRIEVE_TITLE};
use crate::server::Config;
use crate::status;
use crate::uids;
use ::access::Right;
use archive::{Fields, Matches, Patience, Query, QueryLevel, Tag};
use dicom::Vr;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::time::Instant;

/// Rows that are read from the index at once.
const PAGE: usize = 500;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Patients: of the archive's studies, each patient once.
    Patient,
    /// Studies, series or instances.
    Of(QueryLevel),
}

impl Level {
    /// The level of an identifier (PS3.4 C.6.1.1 to C.6.2.1), if the information model has it.
    pub fn of(identifier: &Identifier, class: &str) -> Option<Level> {
        let has_patients = matches!(class, uids::PATIENT_FIND | uids::PATIENT_MOVE | uids::PATIENT_GET);
        Some(match identifier.level.as_str() {
            "PATIENT" if has_patients => Level::Patient,
            "STUDY" => Level::Of(QueryLevel::Study),
            "SERIES" => Level::Of(QueryLevel::Series),
            "IMAGE" => Level::Of(QueryLevel::Instance),
            _ => return None,
        })
    }

    /// The level of the index that has it.
    fn in_index(self) -> QueryLevel {
        match self {
            Level::Patient => QueryLevel::Study,
            Level::Of(level) => level,
        }
    }
}

/// Answers with every match, and then with how it ended.
pub fn answer(
    association: &mut Association,
    config: &Config,
    context: &Context,
    request: &Command,
) -> Result<(), Error> {
    let bytes = association.short_data(context.id, request)?;
    let (status, comment) = match found(association, config, context, request, &bytes)? {
        Ok(()) => (status::SUCCESS, None),
        Err((status, comment)) => (status, comment),
    };
    let mut last = Command::response(request, status);
    if let Some(comment) = comment {
        last = last.with_text(element::COMMENT, &comment);
    }
    association.send(context.id, last, None)
}

type Ended = Result<(), (u16, Option<String>)>;

fn found(
    association: &mut Association,
    config: &Config,
    context: &Context,
    request: &Command,
    bytes: &[u8],
) -> Result<Ended, Error> {
    let identifier = match Identifier::read(bytes, &context.transfer_syntax) {
        Ok(identifier) => identifier,
        Err(error) => return Ok(Err((status::CANNOT_UNDERSTAND, Some(error.to_string())))),
    };
    let Some(level) = Level::of(&identifier, &context.abstract_syntax) else {
        let comment = format!("no level {} in this model", identifier.level);
        return Ok(Err((status::DOES_NOT_MATCH, Some(comment))));
    };
    let mut query = query(&identifier);
    query.within = config.access.identity(&association.calling).reach(Right::Read).within();
    query.limit = Some(PAGE.min(config.limits.matches.max(1)));
    let mut seen = HashSet::new();
    let mut left = config.limits.search;
    loop {
        if left.is_zero() {
            return Ok(Err((status::OUT_OF_RESOURCES, Some(archive::Error::TooLong.to_string()))));
        }
        let started = Instant::now();
        let matches = match config.archive.find_for(&Patience::of(left), level.in_index(), &query) {
            Ok(matches) => matches,
            Err(error @ archive::Error::Query(_)) => {
                return Ok(Err((status::DOES_NOT_MATCH, Some(error.to_string()))));
            }
            Err(error @ archive::Error::TooLong) => {
                return Ok(Err((status::OUT_OF_RESOURCES, Some(error.to_string()))));
            }
            Err(error) => {
                tracing::warn!(%error, "C-FIND failed");
                return Ok(Err((status::OUT_OF_RESOURCES, None)));
            }
        };
        left = left.saturating_sub(started.elapsed());
        let pending = if matches.ignored.is_empty() { status::PENDING } else { status::PENDING_WITHOUT_SOME_KEYS };
        for row in &matches.rows {
            // Studies that come in meanwhile move others to the next page; and a patient has many studies.
            if !seen.insert(name_of(level, row)) {
                continue;
            }
            if association.is_cancelled(request.message())? {
                return Ok(Err((status::CANCELLED, None)));
            }
            let more =
                [(LEVEL, Vr::CS, identifier.level.clone()), (RETRIEVE_TITLE, Vr::AE, config.access.title.to_string())];
            let data = identifier::response(&identifier, row, &more, &context.transfer_syntax);
            association.send(context.id, Command::response(request, pending), Some(&data))?;
        }
        if !more(&matches) {
            return Ok(Ok(()));
        }
        query.offset += matches.rows.len();
        if query.offset >= config.limits.matches {
            let comment = format!("more than {} matches: ask for less", config.limits.matches);
            return Ok(Err((status::OUT_OF_RESOURCES, Some(comment))));
        }
    }
}

fn more(matches: &Matches) -> bool {
    matches.more && !matches.rows.is_empty()
}

/// The archive's query for the keys that have a value; all keys are asked for.
pub fn query(identifier: &Identifier) -> Query {
    let valued = identifier.keys.iter().filter(|(_, key)| !key.value.is_empty() && key.vr != Vr::SQ);
    Query {
        matches: valued.map(|(tag, key)| (*tag, key.value.clone())).collect(),
        include: Fields::Some(identifier.keys.keys().copied().collect()),
        limit: Some(PAGE),
        ..Query::default()
    }
}

/// What tells a match from all others of its level.
fn name_of(level: Level, row: &Map<String, Value>) -> String {
    match level {
        Level::Patient => match text(row, PATIENT_ID) {
            id if id.is_empty() => text(row, Tag(0x0010, 0x0010)),
            id => id,
        },
        Level::Of(QueryLevel::Study) => text(row, identifier::STUDY),
        Level::Of(QueryLevel::Series) => text(row, identifier::SERIES),
        Level::Of(QueryLevel::Instance) => text(row, identifier::INSTANCE),
    }
}

/// The first value of an attribute of a row as text; empty when it has none.
pub fn text(row: &Map<String, Value>, tag: Tag) -> String {
    let value = row.get(&format!("{:04X}{:04X}", tag.0, tag.1)).and_then(|e| e.pointer("/Value/0"));
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::negotiate::Access;
    use crate::peers::AeTitle;
    use crate::pull::pull;
    use crate::send::Call;
    use crate::server::{Config, Limits, Server};
    use crate::store::bare_file;
    use crate::{Error, identifier, status};
    use ::access::{Filter, Grants};
    use archive::{Archive, Options, Tag, Ticket};
    use dicom::{TransferSyntax, Vr};
    use std::time::Duration;

    /// A study of as many series of one instance each.
    fn filled(folder: &std::path::Path, series: usize) -> Archive {
        let archive = Archive::open(folder, Options::default()).unwrap();
        for n in 0..series {
            let (series, instance) = (format!("2.25.1{n}"), format!("2.25.2{n}"));
            let keys = [
                (Tag(0x0008, 0x0016), Vr::UI, "1.2.840.10008.5.1.4.1.1.66"),
                (identifier::INSTANCE, Vr::UI, &*instance),
                (identifier::STUDY, Vr::UI, "2.25.1"),
                (identifier::SERIES, Vr::UI, &*series),
            ];
            let syntax = TransferSyntax::EXPLICIT_LITTLE;
            let file = bare_file(syntax, &identifier::plain(&keys, syntax));
            let candidate = archive.receive(&mut &file[..]).unwrap();
            archive.submit(candidate).and_then(Ticket::wait).unwrap();
        }
        archive
    }

    /// How a pull of the study from a server with these limits ends.
    async fn pulled(archive: &Archive, limits: Limits) -> Result<usize, Error> {
        pulled_by(archive, limits, Vec::new()).await
    }

    /// The same, where the caller was granted this.
    async fn pulled_by(archive: &Archive, limits: Limits, grants: Vec<(AeTitle, Grants)>) -> Result<usize, Error> {
        let title = || "ARCHIVE".parse().unwrap();
        let access = Access { title: title(), peers: Vec::new(), may_store: true, grants };
        let config = Config { archive: archive.clone(), access, limits, tls: None, calls: None };
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), config).await.unwrap();
        let peer = format!("ARCHIVE@{}", server.address().unwrap()).parse().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(stopped));
        let call = Call { peer, title: title(), limits: Limits::default(), tls: None, stop: Default::default() };
        let archive = archive.clone();
        let pulling = tokio::task::spawn_blocking(move || pull(&call, &archive, "2.25.1"));
        let pulled = pulling.await.unwrap().map(|pulled| pulled.there);
        stop.send(()).unwrap();
        serving.await.unwrap();
        pulled
    }

    #[tokio::test]
    async fn a_peer_fetches_what_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let archive = filled(folder.path(), 3);
        let granted = |title: &str, may: &str, only: &str| {
            let on = Filter::Any(vec![only.parse().unwrap()]);
            vec![(title.parse().unwrap(), Grants::one(may.parse().unwrap(), on))]
        };
        for (grants, expected) in [
            (granted("archive", "read", "study=2.25.1"), Some(3)),
            (granted("archive", "read", "study=2.25.7"), None),
            (granted("archive", "write", "study=2.25.1"), None),
            (granted("OTHER", "write", "study=2.25.7"), Some(3)),
        ] {
            let got = pulled_by(&archive, Limits::default(), grants.clone()).await.ok().filter(|count| *count > 0);
            assert_eq!(got, expected, "{grants:?}");
        }
    }

    #[tokio::test]
    async fn answers_and_their_time_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let archive = filled(folder.path(), 3);
        let of = |matches, search| Limits { matches, search, ..Limits::default() };
        let long = Duration::from_secs(60);
        assert_eq!(pulled(&archive, of(3, long)).await.unwrap(), 3);
        for limits in [of(2, long), of(3, Duration::ZERO)] {
            let refused = pulled(&archive, limits).await.unwrap_err();
            assert!(
                matches!(refused, Error::Status { status: status::OUT_OF_RESOURCES, comment: Some(_) }),
                "{refused}"
            );
        }
    }
}
