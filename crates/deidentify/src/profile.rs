//! What the profile does with an attribute: Table E.1-1 of PS3.15, its options, and the rules for what it does not list.
//!
//! `profile.tsv` is the table: tag, action of the Basic Profile, options that change it, keyword. The letters of the options:
//! `u` Retain UIDs keeps it, `d` Retain Device Identity keeps it (`D`: cleans it), `i` Retain Institution Identity keeps it, `p`
//! Retain Patient Characteristics keeps it (`P`: cleans it), `t` Full Dates keeps it and Modified Dates shifts it, `c` Clean
//! Descriptors, `s` Clean Structured Content, `g` Clean Graphics clean it.
//!
//! A combined action (X/Z/D and the like) depends on the attribute's Type in the IOD. It is resolved to what is valid under
//! every Type: the dummy where D is allowed, else the empty value where Z is, else removal. A value that is empty already stays
//! so: it tells nothing.

use dicom::data_set::{Tag, Vr};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// The Basic Application Level Confidentiality Profile and its options (PS3.15 E.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    options: Vec<ProfileOption>,
}

/// An option of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProfileOption {
    /// UIDs stay as they are (E.3.9).
    RetainUids,
    /// What names the device stays (E.3.8).
    RetainDevice,
    /// What names the institution stays (E.3.11).
    RetainInstitution,
    /// Age, sex, size, weight and the like stay (E.3.7).
    RetainPatientCharacteristics,
    /// Dates and times stay (E.3.6).
    RetainFullDates,
    /// Dates are shifted by a number of days that is the same for all objects of a patient (E.3.6).
    RetainModifiedDates,
    /// Private elements that are known to be safe stay (E.3.10).
    RetainSafePrivate,
    /// Words of descriptions that are known to be harmless stay (E.3.5).
    CleanDescriptors,
    /// Content trees stay, their text cleaned (E.3.4).
    CleanStructuredContent,
    /// Graphic annotations stay, their text cleaned; overlay bitmaps go (E.3.3).
    CleanGraphics,
}

/// A profile that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The list does not start with `basic`.
    #[error("the profile starts with \"basic\", options follow")]
    NotBasic,
    /// A name that is no option.
    #[error("unknown option {0:?}")]
    Unknown(String),
    /// Full and modified dates at the same time.
    #[error("dates can be kept in full or modified, not both")]
    BothDates,
}

use ProfileOption::*;

/// Option, its name in a list, its letter in the table (retaining, cleaning), its code and meaning (PS3.16 CID 7050).
const OPTIONS: [(ProfileOption, &str, &str, &str, &str); 10] = [
    (RetainUids, "retain-uids", "u", "113110", "Retain UIDs Option"),
    (RetainDevice, "retain-device", "dD", "113109", "Retain Device Identity Option"),
    (RetainInstitution, "retain-institution", "i", "113112", "Retain Institution Identity Option"),
    (RetainPatientCharacteristics, "retain-patient", "pP", "113108", "Retain Patient Characteristics Option"),
    (RetainFullDates, "retain-dates", "t", "113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    (
        RetainModifiedDates,
        "modify-dates",
        "t",
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    (RetainSafePrivate, "retain-safe-private", "", "113111", "Retain Safe Private Option"),
    (CleanDescriptors, "clean-descriptors", "c", "113105", "Clean Descriptors Option"),
    (CleanStructuredContent, "clean-structured", "s", "113104", "Clean Structured Content Option"),
    (CleanGraphics, "clean-graphics", "g", "113103", "Clean Graphics Option"),
];

impl Profile {
    /// Names of the options, for [`Profile::parse`].
    pub const OPTIONS: [&str; 10] = {
        let mut names = [""; 10];
        let mut n = 0;
        while n < 10 {
            names[n] = OPTIONS[n].1;
            n += 1;
        }
        names
    };

    /// Reads `basic` or `basic,OPTION,...`.
    pub fn parse(list: &str) -> Result<Profile, ProfileError> {
        let mut names = list.split(',').map(str::trim);
        if names.next() != Some("basic") {
            return Err(ProfileError::NotBasic);
        }
        let option = |name: &str| OPTIONS.iter().find(|o| o.1 == name).map(|o| o.0);
        let mut options = names
            .map(|n| option(n).ok_or_else(|| ProfileError::Unknown(n.to_owned())))
            .collect::<Result<Vec<_>, _>>()?;
        options.sort_unstable();
        options.dedup();
        if options.contains(&RetainFullDates) && options.contains(&RetainModifiedDates) {
            return Err(ProfileError::BothDates);
        }
        Ok(Profile { options })
    }

    /// Is the option chosen?
    pub fn has(&self, option: ProfileOption) -> bool {
        self.options.contains(&option)
    }

    /// Code value and meaning of the profile and of each option (PS3.16 CID 7050).
    pub(crate) fn codes(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        let chosen = OPTIONS.iter().filter(|o| self.has(o.0)).map(|o| (o.3, o.4));
        std::iter::once(("113100", "Basic Application Confidentiality Profile")).chain(chosen)
    }

    /// What is done with an attribute of this VR.
    pub(crate) fn act(&self, tag: Tag, vr: Vr) -> Act {
        match TABLE.get(&tag) {
            Some(row) => self.listed(row),
            None => self.unlisted(tag, vr),
        }
    }

    fn listed(&self, row: &Row) -> Act {
        let letter = |wanted: char| row.options.contains(wanted);
        let chosen = OPTIONS.iter().filter(|o| self.has(o.0));
        let (mut keep, mut clean) = (false, false);
        for (option, _, letters, ..) in chosen {
            for l in letters.chars().filter(|l| letter(*l)) {
                match (option, l) {
                    (RetainModifiedDates, _) => return Act::Shift,
                    (_, 'u' | 'd' | 'i' | 'p' | 't') => keep = true,
                    _ => clean = true,
                }
            }
        }
        if keep {
            Act::Keep
        } else if clean {
            Act::Clean(row.basic)
        } else {
            row.basic.act()
        }
    }

    /// Attributes that Table E.1-1 does not list stay, but for those that can name a person, a place, an instance or a moment.
    fn unlisted(&self, tag: Tag, vr: Vr) -> Act {
        if let Some(act) = beyond(tag) {
            return act;
        }
        let Some(keyword) = keyword(tag) else { return Act::Remove };
        match vr {
            Vr::PN | Vr::AE => Act::Remove,
            Vr::UI if class_like(keyword) || self.has(RetainUids) => Act::Keep,
            Vr::UI => Act::Uid,
            Vr::UR if matches!(keyword, "CodingSchemeURL" | "URNCodeValue") => Act::Keep,
            Vr::UR => Act::Remove,
            Vr::DA | Vr::DT | Vr::TM if self.has(RetainFullDates) => Act::Keep,
            Vr::DA | Vr::DT | Vr::TM if self.has(RetainModifiedDates) => Act::Shift,
            Vr::DA | Vr::DT | Vr::TM => Act::Remove,
            Vr::LO | Vr::LT | Vr::ST | Vr::UT if keyword.contains("Comment") || keyword.ends_with("Notes") => {
                Act::Remove
            }
            _ => Act::Keep,
        }
    }
}

impl fmt::Display for Profile {
    /// As [`Profile::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("basic")?;
        OPTIONS.iter().filter(|o| self.has(o.0)).try_for_each(|o| write!(f, ",{}", o.1))
    }
}

/// What is done with one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// X
    Remove,
    /// Z
    Empty,
    /// D
    Dummy,
    /// U
    Uid,
    /// K; a sequence is kept and its items treated in turn.
    Keep,
    /// C; where nothing is left, the Basic Profile's action is done.
    Clean(Basic),
    /// A date that moves by the shift of its patient; a time stays.
    Shift,
}

/// The action of the Basic Profile, combined ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basic {
    X,
    Z,
    D,
    U,
    /// X/Z/U*: the sequence stays, its UIDs are replaced.
    Star,
}

impl Basic {
    /// Combined actions are resolved as the opening of this file says.
    fn parse(text: &str) -> Option<Basic> {
        Some(match text {
            "X" => Basic::X,
            "Z" | "X/Z" => Basic::Z,
            "D" | "Z/D" | "X/D" | "X/Z/D" => Basic::D,
            "U" => Basic::U,
            "X/Z/U*" => Basic::Star,
            _ => return None,
        })
    }

    pub(crate) fn act(self) -> Act {
        match self {
            Basic::X => Act::Remove,
            Basic::Z => Act::Empty,
            Basic::D => Act::Dummy,
            Basic::U => Act::Uid,
            Basic::Star => Act::Keep,
        }
    }
}

#[derive(Debug)]
struct Row {
    basic: Basic,
    options: &'static str,
}

static TABLE: LazyLock<HashMap<Tag, Row>> = LazyLock::new(|| rows(include_str!("profile.tsv")).collect());

/// Rows of single attributes; whole groups (50xx, 60xx) are removed in [`beyond`].
fn rows(text: &'static str) -> impl Iterator<Item = (Tag, Row)> {
    text.lines().filter_map(|line| {
        let mut cells = line.split('\t');
        let tag = u32::from_str_radix(cells.next()?, 16).ok()?;
        let (basic, options) = (Basic::parse(cells.next()?)?, cells.next()?);
        // Referenced Study Sequence holds references alone, and may not be empty where it is optional (PS3.3 C.7.2.1).
        let basic = if tag == 0x0008_1110 { Basic::Star } else { basic };
        Some((Tag((tag >> 16) as u16, tag as u16), Row { basic, options }))
    })
}

/// What identifies although the table has no row for it, or has one for a whole group.
fn beyond(tag: Tag) -> Option<Act> {
    let group = tag.group();
    let repeating = (0x5000..=0x50FF).contains(&group) || (0x6000..=0x60FF).contains(&group);
    let gone = repeating
        || tag.element() == 0
        || group < 0x0008
        || matches!(
            (group, tag.element()),
            (0x0008, 0x0001) // Length to End
                | (0x0010, 0x0033 | 0x0035) // birth and death date in another calendar
                | (0x0010, 0x2294) // Breed Registration Number
                | (0x0040, 0x1006 | 0x1007 | 0x2006 | 0x2007) // order numbers
                | (0x0040, 0xA992) // Uniform Resource Locator (Trial)
                | (0x0040, 0xE001) // HL7 Instance Identifier
                | (0x0042, 0x0010) // Document Title
                | (0x0400, 0x0500) // Encrypted Attributes Sequence
                | (0x4FFE, 0x0001) // MAC Parameters Sequence, of signatures that are gone
                | (0x4010, 0x1077 | 0x1078) // itinerary
                | (0xFFFA | 0xFFFC, _)
        );
    gone.then_some(Act::Remove)
}

/// UIDs that name a kind of thing and not one thing.
fn class_like(keyword: &str) -> bool {
    ["SOPClass", "TransferSyntax", "CodingScheme", "ContextUID", "MappingResource"]
        .iter()
        .any(|part| keyword.contains(part))
}

/// The keyword of PS3.6; `None` for a tag the standard does not have.
fn keyword(tag: Tag) -> Option<&'static str> {
    StandardDataDictionary.by_tag(tag).map(|entry| entry.alias())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(list: &str, group: u16, element: u16, vr: Vr) -> Act {
        Profile::parse(list).unwrap().act(Tag(group, element), vr)
    }

    #[test]
    fn the_table_is_whole() {
        let lines: Vec<_> = include_str!("profile.tsv").lines().collect();
        assert_eq!(lines.len(), 655);
        // All but 50xx,xxxx, 60xx,3000 and 60xx,4000 are single attributes.
        assert_eq!(TABLE.len(), 652);
        let with = |letter| lines.iter().filter(|l| l.split('\t').nth(2).is_some_and(|o| o.contains(letter))).count();
        assert_eq!(
            ['u', 'd', 'D', 'i', 'p', 'P', 't', 'c', 's', 'g'].map(with),
            [60, 48, 11, 10, 14, 5, 169, 140, 4, 4]
        );
    }

    #[test]
    fn well_known_rows() {
        for (group, element, vr, basic) in [
            (0x0010, 0x0010, Vr::PN, Act::Empty),
            (0x0010, 0x0020, Vr::LO, Act::Dummy),
            (0x0010, 0x0030, Vr::DA, Act::Empty),
            (0x0008, 0x0018, Vr::UI, Act::Uid),
            (0x0008, 0x0020, Vr::DA, Act::Empty),
            (0x0008, 0x0050, Vr::SH, Act::Empty),
            (0x0008, 0x0080, Vr::LO, Act::Dummy),
            (0x0008, 0x103E, Vr::LO, Act::Remove),
            (0x0008, 0x1140, Vr::SQ, Act::Keep),
            (0x0020, 0x4000, Vr::LT, Act::Remove),
            (0x0040, 0xA730, Vr::SQ, Act::Dummy),
            (0x5004, 0x3000, Vr::OW, Act::Remove),
            (0x6002, 0x3000, Vr::OW, Act::Remove),
            (0x6000, 0x4000, Vr::LT, Act::Remove),
            (0x0028, 0x0010, Vr::US, Act::Keep),
            (0x0008, 0x0016, Vr::UI, Act::Keep),
            (0x0008, 0x0060, Vr::CS, Act::Keep),
            (0x0028, 0x9999, Vr::LO, Act::Remove),
            (0x0010, 0x0033, Vr::LO, Act::Remove),
        ] {
            assert_eq!(act("basic", group, element, vr), basic, "({group:04X},{element:04X})");
        }
    }

    #[test]
    fn options_change_their_columns_and_no_other() {
        assert_eq!(act("basic,retain-uids", 0x0008, 0x0018, Vr::UI), Act::Keep);
        assert_eq!(act("basic,retain-device", 0x0018, 0x1000, Vr::LO), Act::Keep);
        assert_eq!(act("basic,retain-institution", 0x0008, 0x0080, Vr::LO), Act::Keep);
        assert_eq!(act("basic,retain-patient", 0x0010, 0x1010, Vr::AS), Act::Keep);
        assert_eq!(act("basic,retain-dates", 0x0008, 0x0020, Vr::DA), Act::Keep);
        assert_eq!(act("basic,modify-dates", 0x0008, 0x0020, Vr::DA), Act::Shift);
        assert_eq!(act("basic,modify-dates", 0x0010, 0x0030, Vr::DA), Act::Empty);
        assert_eq!(act("basic,clean-descriptors", 0x0008, 0x103E, Vr::LO), Act::Clean(Basic::X));
        assert_eq!(act("basic,clean-structured", 0x0040, 0xA730, Vr::SQ), Act::Clean(Basic::D));
        assert_eq!(act("basic,retain-dates,retain-device,retain-institution", 0x0010, 0x0010, Vr::PN), Act::Empty);
    }

    #[test]
    fn lists_of_options_are_read_or_refused() {
        let all = Profile::parse("basic, retain-device,retain-uids,retain-device").unwrap();
        assert_eq!(all.to_string(), "basic,retain-uids,retain-device");
        assert_eq!(Profile::parse(""), Err(ProfileError::NotBasic));
        assert_eq!(Profile::parse("basic,retain-all"), Err(ProfileError::Unknown("retain-all".into())));
        assert_eq!(Profile::parse("basic,retain-dates,modify-dates"), Err(ProfileError::BothDates));
        let codes: Vec<_> = all.codes().map(|c| c.0).collect();
        assert_eq!(codes, ["113100", "113110", "113109"]);
    }
}
