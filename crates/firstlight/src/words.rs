//! What the crates below have to say of files and migrations, in words: the line, and what to do.

use archive::IndexUnusable;
use files::{Advice, Notice, NoticeKind};
use migrate::Usage;
use std::fmt::Display;
use std::path::Path;

/// The line of a notice, and its hint on the next.
pub fn line(notice: &Notice) -> String {
    file_line(kind(notice.kind), &notice.path, &notice.reason, notice.advice.map(hint))
}

/// A line about one file, and a hint on the next.
pub fn file_line(kind: &str, path: &Path, reason: &dyn Display, hint: Option<&str>) -> String {
    let line = format!("{kind}: {}: {reason}", path.display());
    match hint {
        Some(hint) => format!("{line}\n  hint: {hint}"),
        None => line,
    }
}

fn kind(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Unreadable => "unreadable",
        NoticeKind::Failed => "failed",
        NoticeKind::Kept => "kept",
        NoticeKind::NotServed => "kept, not served",
        NoticeKind::LeftOut => "left out",
        NoticeKind::LookAt => "look at",
        NoticeKind::CannotRead => "cannot read",
        NoticeKind::Refused => "refused",
        NoticeKind::Note => "note",
    }
}

/// What to do about a file.
pub fn hint(advice: Advice) -> &'static str {
    match advice {
        Advice::GiveRights => {
            "give this user the right to read it (and to write the destination), then run the same command again"
        }
        Advice::CheckPath => "check the path",
        Advice::MakeRoom => {
            "make room on the destination's disk, then run the same command again: only what is missing is done"
        }
        Advice::ChooseWritable => "choose a destination that can be written",
        Advice::MendLink => "a symbolic link leads back to itself: remove or mend it",
        Advice::MoveAway => "choose another destination, or move that file away",
        Advice::RunWhenQuiet => "run the same command again when nothing writes to it",
        Advice::Report => "please report it with this file, if it may be shared",
        Advice::Contradiction => "the file contradicts the standard: `firstlight inspect` shows how far it can be read",
        Advice::CopyAgain => "the file is cut short: copy or export it again from where it came",
        Advice::Bounds => "its header announces more than the file can hold, or nests too deeply",
        Advice::Deidentification => "docs/deidentification.md says what is blocked, and why",
        Advice::Unpack => "unpack it, and name the folder that holds what was in it",
        Advice::GetAgain => "get it again from where it came, or unpack it by hand to see more",
        Advice::AskedAgain => "it is asked for again when the same command is run",
    }
}

/// What to do about an error that ended a migration, an audit or a walk.
pub fn hint_for_migration(error: &migrate::Error) -> Option<&'static str> {
    use migrate::Error;
    match error {
        Error::Io { source, .. } => Advice::on(source).map(hint),
        Error::Journal(_) => Some("it needs a local disk that this user can write; what is done stays done"),
        Error::Full => Some("make room, then run the same command again: it goes on from here"),
        Error::Archive(archive::Error::Newer { .. }) => {
            Some("use the version of firstlight that wrote it, or a newer one")
        }
        Error::Archive(archive::Error::IndexAt(wrong)) => Some(hint_for_index(wrong)),
        Error::Archive(archive::Error::Unreachable(_)) => {
            Some("when it answers again, run the same command again: it goes on from here")
        }
        Error::Archive(archive::Error::Objects(_)) => Some("docs/deployment.md says how objects in S3 are set up"),
        Error::Archive(_) => Some("the folder of an archive is on a local disk that this user can write"),
        Error::Usage(usage) => Some(hint_for_usage(usage)),
    }
}

/// What to do about a database that can't be used.
pub fn hint_for_index(error: &IndexUnusable) -> &'static str {
    match error {
        IndexUnusable::Password | IndexUnusable::PasswordFile(..) | IndexUnusable::Refused(..) => {
            "say postgres://user@host/database; the password is in FIRSTLIGHT_INDEX_PASSWORD, in the file that FIRSTLIGHT_INDEX_PASSWORD_FILE names, or in PGPASSWORD"
        }
        IndexUnusable::NoDatabase(_) | IndexUnusable::Encoding(..) => {
            "make one with: CREATE DATABASE name OWNER user ENCODING 'UTF8' TEMPLATE template0"
        }
        IndexUnusable::Rights(..) => "let it own the database: ALTER DATABASE name OWNER TO user",
        IndexUnusable::Elsewhere(..) => "leave --index out: the archive knows where its index is",
        IndexUnusable::OtherObjects(..) => "leave --objects out: the index knows where its objects are",
        IndexUnusable::Moving(..) => {
            "`firstlight move` ends it: run the same command again, with the old archive at rest"
        }
        _ => "docs/deployment.md says how an index in PostgreSQL is set up",
    }
}

fn hint_for_usage(usage: &Usage) -> &'static str {
    match usage {
        Usage::Overlap { .. } => "choose another destination: sources are never written to",
        Usage::ForeignDestination { .. } => {
            "the destination is a new or an empty folder: what is named last, or with --data, is written to"
        }
        Usage::FileIsDicom(_) => "choose another name: sources are never written to",
        Usage::NotAFolder(_) => "the last argument is the folder that receives what is migrated",
        Usage::NoSource(_) => "firstlight migrate SRC DST",
        Usage::ServerSource(_) => "`firstlight migrate` and `firstlight import` read servers",
        Usage::ArchiveAsSource(_) => "serve it and name its address, http://host:8042/dicom-web",
        Usage::LayoutOfArchive(_) => "leave --layout away, or choose another destination",
        Usage::DeidentifyIntoArchive(_) => "de-identify into a folder tree, then import that",
        Usage::OtherPolicy | Usage::OtherProfile => {
            "go on under that one, or say --rescan to do again what was done under it"
        }
        Usage::OtherLayout => "go on with that one, or choose another destination",
        Usage::Collision { .. } => "bring them into different folders, or use --layout study; nothing was written",
        Usage::BadDicomdir { .. } => "name the folder instead",
        Usage::CannotList { .. } => "the address is that of the DICOMweb service, such as http://host:8042/dicom-web",
        Usage::SourceGone(_) | Usage::SourceFails { .. } => {
            "bring the source back, then run the same command again: it goes on from here"
        }
        Usage::Running(_) => "`firstlight migrate --status DST` shows how far it is",
        Usage::NoMigration(_) => "name the destination of one",
        Usage::NewerJournal => "use that version of firstlight, or a newer one",
        Usage::NotOurs(_) => "name the destination of convert or migrate, or the folder of an archive",
        Usage::SourcesUnknown(_) => "leave the sources out: what was written is audited without them",
    }
}
