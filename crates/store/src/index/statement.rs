//! A search as a statement of SQL, with a small door for what engines say differently. No text of a query ever becomes SQL.

use super::attributes::{CONTENT_DATE, ISSUER_OF_PATIENT_ID, MANUFACTURER};
use super::query::{Column, Condition, Conditions, MOST, Pattern, after};
use super::search::{Query, QueryLevel, Within};
use crate::Error;
use dicom::Tag;

const OF_STUDY: &str = "s.common, s.more, s.modalities, s.series, s.instances";
const OF_SERIES: &str = "e.common, e.more, e.instances";
const OF_INSTANCE: &str = "i.common, i.more, o.facts";

/// A value that goes beside a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parameter {
    Text(String),
    Texts(Vec<String>),
    Number(i64),
}

/// What one engine says otherwise than another.
pub(super) trait Dialect {
    /// How the parameter of this number (from 1) is named.
    fn mark(&self, number: usize) -> String;

    /// The condition that no row fulfils.
    fn never(&self) -> &'static str;

    /// The condition that a column has one of these values.
    fn one_of(&self, column: &str, values: &[String], beside: &mut Beside<'_>) -> String;

    /// The condition that a column matches a pattern with wild cards within ([`wild`](super::query::wild)).
    fn wild(&self, column: &str, pattern: &str, beside: &mut Beside<'_>) -> String;

    /// The condition that each word begins one of the words in a column ([`words`](super::query::words)).
    fn words(&self, column: &str, words: &str, beside: &mut Beside<'_>) -> String;

    /// The first value of an attribute in a column of DICOM JSON, as a text; empty where there is none.
    fn told(&self, column: &str, tag: Tag) -> String;

    /// A number among the facts of the object that is handed out; none where it is 0.
    fn fact(&self, name: &str) -> String;

    /// A column that rows are put in order by; where there is no value, they come first.
    fn ascending(&self, column: &str) -> String;

    /// How tables are joined, the wider first. `studies`: nothing below the study is asked for.
    fn join(&self, studies: bool) -> &'static str;
}

/// A number as the index keeps a tag.
pub(super) fn tag_number(tag: Tag) -> i64 {
    i64::from(tag.0) << 16 | i64::from(tag.1)
}

/// The parameters of a statement, in order.
pub(super) struct Beside<'a> {
    dialect: &'a dyn Dialect,
    parameters: Vec<Parameter>,
}

impl Beside<'_> {
    /// Adds one; returns how it is named.
    pub(super) fn add(&mut self, parameter: Parameter) -> String {
        self.parameters.push(parameter);
        self.dialect.mark(self.parameters.len())
    }

    /// Adds a text; returns how it is named.
    pub(super) fn text(&mut self, text: &str) -> String {
        self.add(Parameter::Text(text.to_owned()))
    }
}

/// A search, ready to be asked.
#[derive(Debug)]
pub(super) struct Search {
    /// The statement; its columns are those that [`Found`](super::query::Found) has, study first.
    pub sql: String,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Rows that are returned at most; one more is asked for, which tells whether there are more.
    pub most: usize,
    /// Attributes that cannot be matched by.
    pub ignored: Vec<Tag>,
}

impl Search {
    /// The search that a query means at a level.
    pub(super) fn of(dialect: &dyn Dialect, level: QueryLevel, query: &Query) -> Result<Search, Error> {
        let Conditions { all, ignored } = Conditions::of(level, query)?;
        let mut search = Where { dialect, sql: String::new(), beside: Beside { dialect, parameters: Vec::new() } };
        all.iter().for_each(|condition| search.condition(condition));
        let most = query.limit.unwrap_or(MOST).min(MOST);
        let numbers = [most + 1, query.offset].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let [limit, offset] = numbers.map(|n| search.beside.add(Parameter::Number(n)));
        let select = select(dialect, level, &all);
        let (columns, from, order) = select;
        let sql = format!("SELECT {columns} FROM {from}{} ORDER BY {order} LIMIT {limit} OFFSET {offset}", search.sql);
        Ok(Search { sql, parameters: search.beside.parameters, most, ignored })
    }
}

/// Columns, tables and order.
fn select(dialect: &dyn Dialect, level: QueryLevel, conditions: &[Condition]) -> (String, String, String) {
    let join = dialect.join(!conditions.iter().any(is_below_study));
    let (mut columns, mut from) = (OF_STUDY.to_owned(), "studies s".to_owned());
    let mut order = "s.date DESC, s.id DESC".to_owned();
    if level >= QueryLevel::Series {
        columns += &format!(", {OF_SERIES}");
        from += &format!(" {join} series e ON e.study = s.id");
        order += &format!(", {}, e.id", dialect.ascending("e.number"));
    }
    if level == QueryLevel::Instance {
        columns += &format!(", {OF_INSTANCE}");
        from += &format!(" {join} instances i ON i.series = e.id {join} objects o ON o.id = i.object");
        order += &format!(", {}, i.id", dialect.ascending("i.number"));
    }
    (columns, from, order)
}

fn is_below_study(condition: &Condition) -> bool {
    match condition {
        Condition::OneOf(of, _) | Condition::Text(of, _) | Condition::Number(of, _) | Condition::Range(of, ..) => {
            !matches!(place(*of), Place::Column(column) if column.starts_with("s."))
        }
        Condition::Never
        | Condition::Name { .. }
        | Condition::Words(..)
        | Condition::Modality(_)
        | Condition::Within(_) => false,
    }
}

/// Conditions as SQL, with their parameters.
struct Where<'a> {
    dialect: &'a dyn Dialect,
    sql: String,
    beside: Beside<'a>,
}

impl Where<'_> {
    fn condition(&mut self, condition: &Condition) {
        let sql = match condition {
            Condition::Never => self.dialect.never().to_owned(),
            Condition::OneOf(of, values) => self.dialect.one_of(&self.column(*of), values, &mut self.beside),
            Condition::Text(of, value) => self.matching(&self.column(*of), value),
            Condition::Number(of, number) => {
                format!("{} = {}", self.column(*of), self.beside.add(Parameter::Number(*number)))
            }
            Condition::Range(of, from, to) => self.range(&self.column(*of), from.as_deref(), to.as_deref()),
            Condition::Name { tag, place, any } => self.name(*tag, *place, any),
            Condition::Words(tag, words) => {
                let words = self.dialect.words("text", words, &mut self.beside);
                format!("s.id IN (SELECT study FROM names WHERE tag = {} AND {words})", tag_number(*tag))
            }
            Condition::Modality(any) => {
                let any: Vec<String> = any.iter().map(|value| self.matching("modality", value)).collect();
                let any = any.join(" OR ");
                format!("EXISTS (SELECT 1 FROM study_modalities WHERE study = s.id AND ({any}))")
            }
            Condition::Within(any) => self.within(any),
        };
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(&sql);
    }

    fn column(&self, of: Column) -> String {
        match place(of) {
            Place::Column(column) => column.to_owned(),
            Place::Told(column, tag) => self.told(column, tag),
            Place::Date(column, tag) => format!("replace({}, '.', '')", self.told(column, tag)),
            Place::Fact(name) => self.dialect.fact(name),
        }
    }

    /// What is told, cut to what an index takes. The indices of the engines spell it the same way.
    fn told(&self, column: &str, tag: Tag) -> String {
        format!("substr({}, 1, 200)", self.dialect.told(column, tag))
    }

    /// What names few studies is looked up first; what many have is asked of each study that comes by.
    fn within(&mut self, any: &[Within]) -> String {
        let (mut few, mut each) = (Vec::new(), Vec::new());
        for one in any {
            match one {
                Within::Patient { id, issuer } => {
                    let id = self.beside.text(id);
                    let issued = issuer.as_ref().map_or(String::new(), |issuer| {
                        format!(
                            " AND {} = {}",
                            self.dialect.told("more", ISSUER_OF_PATIENT_ID),
                            self.beside.text(issuer)
                        )
                    });
                    few.push(format!("SELECT id FROM studies WHERE patient_id = {id}{issued}"));
                }
                Within::Label(label) => {
                    let labelled = format!("SELECT study FROM study_labels WHERE label = {}", self.beside.text(label));
                    few.push(format!("SELECT id FROM studies WHERE uid IN ({labelled})"));
                }
                Within::Studies(uids) => {
                    let named = self.dialect.one_of("uid", uids, &mut self.beside);
                    few.push(format!("SELECT id FROM studies WHERE {named}"));
                }
                Within::Modality(modality) => {
                    let modality = self.beside.text(modality);
                    each.push(format!(
                        "EXISTS (SELECT 1 FROM study_modalities WHERE study = s.id AND modality = {modality})"
                    ));
                }
            }
        }
        if !few.is_empty() {
            each.push(format!("s.id IN ({})", few.join(" UNION ALL ")));
        }
        match each.is_empty() {
            true => self.dialect.never().to_owned(),
            false => format!("({})", each.join(" OR ")),
        }
    }

    /// The condition that a column matches a value.
    fn matching(&mut self, column: &str, value: &str) -> String {
        match Pattern::of(value) {
            Pattern::All => "1 = 1".to_owned(),
            Pattern::Exact(value) => format!("{column} = {}", self.beside.text(value)),
            Pattern::Prefix(value) => {
                let (from, to) = (self.beside.text(value), self.beside.text(&after(value)));
                format!("({column} >= {from} AND {column} < {to})")
            }
            Pattern::Wild(value) => self.dialect.wild(column, value, &mut self.beside),
        }
    }

    fn range(&mut self, column: &str, from: Option<&str>, to: Option<&str>) -> String {
        let mut sql = format!("{column} > ''");
        if let Some(from) = from {
            sql += &format!(" AND {column} >= {}", self.beside.text(from));
        }
        if let Some(to) = to {
            // What the end says to the hour includes all of that hour.
            sql += &format!(" AND {column} < {}", self.beside.text(&after(to)));
        }
        sql
    }

    fn name(&mut self, tag: Tag, place: Option<usize>, patterns: &[String]) -> String {
        let place = place.map_or_else(String::new, |place| format!(" AND place = {place}"));
        let of = format!("tag = {}{place}", tag_number(tag));
        let one = |pattern: &String| match pattern.is_empty() {
            true => format!("NOT EXISTS (SELECT 1 FROM names WHERE study = s.id AND {of})"),
            false => {
                let matches = self.matching("text", pattern);
                format!("s.id IN (SELECT study FROM names WHERE {of} AND {matches})")
            }
        };
        let any: Vec<String> = patterns.iter().map(one).collect();
        format!("({})", any.join(" OR "))
    }
}

/// Where a column is, seen from the tables of a search: in one of them, or in what is kept of a row as JSON.
enum Place {
    Column(&'static str),
    Told(&'static str, Tag),
    /// Told, with what dots a date of old has left out.
    Date(&'static str, Tag),
    Fact(&'static str),
}

fn place(column: Column) -> Place {
    Place::Column(match column {
        Column::StudyUid => "s.uid",
        Column::StudyDate => "s.date",
        Column::StudyTime => "s.time",
        Column::Accession => "s.accession",
        Column::PatientId => "s.patient_id",
        Column::BirthDate => "s.birth_date",
        Column::Sex => "s.sex",
        Column::StudyId => "s.study_id",
        Column::StudyDescription => "s.description",
        Column::StudySeries => "s.series",
        Column::StudyInstances => "s.instances",
        Column::SeriesUid => "e.uid",
        Column::Modality => "e.modality",
        Column::SeriesNumber => "e.number",
        Column::SeriesDescription => "e.description",
        Column::BodyPart => "e.body_part",
        Column::PpsDate => "e.pps_date",
        Column::PpsTime => "e.pps_time",
        Column::StepId => "e.step_id",
        Column::ProcedureId => "e.procedure_id",
        Column::SeriesInstances => "e.instances",
        Column::Manufacturer => return Place::Told("e.more", MANUFACTURER),
        Column::SopInstanceUid => "i.uid",
        Column::SopClassUid => "i.class",
        Column::InstanceNumber => "i.number",
        Column::ContentDate => return Place::Date("i.more", CONTENT_DATE),
        Column::Rows => return Place::Fact("rows"),
        Column::Columns => return Place::Fact("columns"),
        Column::TransferSyntax => "o.syntax",
    })
}
