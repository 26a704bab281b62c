//! Audit messages as XML (PS3.15 A.5.1, A.5.3) in frames of syslog (RFC 5424 6).

use super::event::{Event, Kind};
use crate::identity::Who;
use std::fmt::Write;

/// Security and authorisation messages (10), notice (5).
const PRIORITY: u32 = 10 * 8 + 5;
/// What the message is (PS3.15 A.6.2).
const MESSAGE_ID: &str = "DICOM+RFC3881";

/// A frame with the message of an event.
#[derive(Debug)]
pub struct Frame<'a> {
    /// What happened.
    pub event: &'a Event,
    /// Whose study it is, by Patient ID, where that is known.
    pub patient: Option<&'a str>,
    /// How often, in the minute of it.
    pub count: u64,
    /// Seconds since 1970.
    pub at: i64,
    /// The machine that says so.
    pub host: &'a str,
}

impl Frame<'_> {
    /// One line without its end.
    pub fn text(&self) -> String {
        let (time, process) = (rfc3339(self.at), std::process::id());
        let host = if self.host.is_empty() { "-" } else { self.host };
        format!("<{PRIORITY}>1 {time} {host} firstlight {process} {MESSAGE_ID} - \u{FEFF}{}", self.xml(&time))
    }

    fn xml(&self, time: &str) -> String {
        let event = self.event;
        let (action, id, name) = what(event.kind);
        let failed = event.kind == Kind::SignInFailed;
        let mut out = String::with_capacity(1024);
        let _ = write!(
            out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><AuditMessage><EventIdentification EventActionCode=\"{action}\" EventDateTime=\"{time}\" EventOutcomeIndicator=\"{}\"><EventID csd-code=\"{id}\" codeSystemName=\"DCM\" originalText=\"{name}\"/>{}</EventIdentification>",
            if failed { 4 } else { 0 },
            kind_of_sign_in(event.kind),
        );
        let from = event
            .from
            .map_or(String::new(), |from| format!(" NetworkAccessPointID=\"{from}\" NetworkAccessPointTypeCode=\"2\""));
        let _ = write!(
            out,
            "<ActiveParticipant UserID=\"{}\" UserIsRequestor=\"true\"{from}><RoleIDCode csd-code=\"110153\" codeSystemName=\"DCM\" originalText=\"Source Role ID\"/></ActiveParticipant>",
            escaped(&user(&event.who)),
        );
        let _ = write!(
            out,
            "<ActiveParticipant UserID=\"firstlight\" UserIsRequestor=\"false\"><RoleIDCode csd-code=\"110152\" codeSystemName=\"DCM\" originalText=\"Destination Role ID\"/></ActiveParticipant><AuditSourceIdentification AuditSourceID=\"firstlight@{}\"><AuditSourceTypeCode csd-code=\"4\"/></AuditSourceIdentification>",
            escaped(self.host),
        );
        if let Some(study) = &event.study {
            let _ = write!(
                out,
                "<ParticipantObjectIdentification ParticipantObjectID=\"{}\" ParticipantObjectTypeCode=\"2\" ParticipantObjectTypeCodeRole=\"3\"><ParticipantObjectIDTypeCode csd-code=\"110180\" codeSystemName=\"DCM\" originalText=\"Study Instance UID\"/><ParticipantObjectDetail type=\"Accesses\" value=\"{}\"/></ParticipantObjectIdentification>",
                escaped(study),
                base64(&self.count.to_string()),
            );
        }
        if let Some(patient) = self.patient.filter(|patient| !patient.is_empty()) {
            let _ = write!(
                out,
                "<ParticipantObjectIdentification ParticipantObjectID=\"{}\" ParticipantObjectTypeCode=\"1\" ParticipantObjectTypeCodeRole=\"1\"><ParticipantObjectIDTypeCode csd-code=\"2\" codeSystemName=\"RFC-3881\" originalText=\"Patient Number\"/></ParticipantObjectIdentification>",
                escaped(patient),
            );
        }
        out.push_str("</AuditMessage>");
        out
    }
}

/// Action, code and meaning of an event (PS3.15 A.5.3, PS3.16 CID 400).
fn what(kind: Kind) -> (char, u32, &'static str) {
    match kind {
        Kind::Search => ('E', 110_112, "Query"),
        Kind::Read => ('R', 110_104, "DICOM Instances Transferred"),
        Kind::Store => ('C', 110_104, "DICOM Instances Transferred"),
        Kind::Change => ('U', 110_103, "DICOM Instances Accessed"),
        Kind::Delete => ('D', 110_105, "DICOM Study Deleted"),
        Kind::SignIn | Kind::SignInFailed | Kind::SignOut => ('E', 110_114, "User Authentication"),
    }
}

fn kind_of_sign_in(kind: Kind) -> &'static str {
    match kind {
        Kind::SignIn | Kind::SignInFailed => {
            "<EventTypeCode csd-code=\"110122\" codeSystemName=\"DCM\" originalText=\"Login\"/>"
        }
        Kind::SignOut => "<EventTypeCode csd-code=\"110123\" codeSystemName=\"DCM\" originalText=\"Logout\"/>",
        _ => "",
    }
}

fn user(who: &Who) -> String {
    match who {
        Who::User(name) => name.clone(),
        Who::Token { issuer, subject } => format!("{subject}@{issuer}"),
        other => other.to_string(),
    }
}

/// A text as the value of an attribute, on one line.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // What XML can't hold, and what would end the line.
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push(' '),
            c => out.push(c),
        }
        out
    })
}

/// Values of details are base64 (PS3.15 A.5.1).
fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// `2026-12-01T03:00:00Z`.
fn rfc3339(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // From 1 March of the year 0, in eras of 400 years (H. Hinnant, "chrono-compatible low-level date algorithms").
    let z = days + 719_468;
    let (era, day) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (month, day) =
        (if shifted < 10 { shifted + 3 } else { shifted - 9 }, day_of_year - (153 * shifted + 2) / 5 + 1);
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(event: &Event) -> String {
        Frame { event, patient: Some("P\u{0}-1"), count: 3, at: 1_796_094_000, host: "pacs" }.text()
    }

    #[test]
    fn times() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_796_094_000), "2026-12-01T03:00:00Z");
    }

    #[test]
    fn a_frame_is_one_line_whatever_names_hold() {
        let event = Event {
            who: Who::Link { id: 7, name: "Dr. \"Roe\" <x>&\n<ActiveParticipant/>".into() },
            from: Some([10, 0, 0, 1].into()),
            kind: Kind::Read,
            study: Some("1.2.3".into()),
        };
        let text = frame(&event);
        assert!(text.starts_with("<85>1 2026-12-01T03:00:00Z pacs firstlight "), "{text}");
        assert!(!text.contains('\n') && !text.contains('\u{0}') && !text.contains("<ActiveParticipant/>"), "{text}");
        for part in [
            "csd-code=\"110104\"",
            "EventActionCode=\"R\"",
            "ParticipantObjectID=\"1.2.3\"",
            "ParticipantObjectID=\"P -1\"",
            "NetworkAccessPointID=\"10.0.0.1\"",
            "value=\"Mw==\"",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_failed_sign_in_is_told_as_one() {
        let event = Event { who: Who::User("ana".into()), from: None, kind: Kind::SignInFailed, study: None };
        let text = frame(&event);
        assert!(
            text.contains("EventOutcomeIndicator=\"4\"") && text.contains("110122") && !text.contains("NetworkAccess"),
            "{text}"
        );
    }
}
