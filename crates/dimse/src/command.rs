//! Command sets (PS3.7 6.3 and Annex E): group 0000, always in Implicit VR Little Endian.

use crate::error::Error;
use std::collections::BTreeMap;

/// Bytes of the longest command set that is taken. Real ones have some 200.
pub const LONGEST: usize = 16 << 10;

/// Commands (Command Field (0000,0100)); a response has the highest bit too.
pub mod field {
    /// C-STORE-RQ.
    pub const STORE: u16 = 0x0001;
    /// C-GET-RQ.
    pub const GET: u16 = 0x0010;
    /// C-FIND-RQ.
    pub const FIND: u16 = 0x0020;
    /// C-MOVE-RQ.
    pub const MOVE: u16 = 0x0021;
    /// C-ECHO-RQ.
    pub const ECHO: u16 = 0x0030;
    /// C-CANCEL-RQ.
    pub const CANCEL: u16 = 0x0FFF;
    /// N-EVENT-REPORT-RQ.
    pub const EVENT_REPORT: u16 = 0x0100;
    /// N-SET-RQ.
    pub const SET: u16 = 0x0120;
    /// N-CREATE-RQ.
    pub const CREATE: u16 = 0x0140;
    /// N-ACTION-RQ.
    pub const ACTION: u16 = 0x0130;
    /// What makes a response of a request.
    pub const RESPONSE: u16 = 0x8000;
}

/// Element numbers of group 0000.
pub mod element {
    /// Affected SOP Class UID.
    pub const AFFECTED_CLASS: u16 = 0x0002;
    /// Requested SOP Class UID.
    pub const REQUESTED_CLASS: u16 = 0x0003;
    /// Command Field.
    pub const FIELD: u16 = 0x0100;
    /// Message ID.
    pub const MESSAGE_ID: u16 = 0x0110;
    /// Message ID Being Responded To.
    pub const RESPONDED_TO: u16 = 0x0120;
    /// Move Destination.
    pub const DESTINATION: u16 = 0x0600;
    /// Priority.
    pub const PRIORITY: u16 = 0x0700;
    /// Command Data Set Type.
    pub const DATA_SET_TYPE: u16 = 0x0800;
    /// Status.
    pub const STATUS: u16 = 0x0900;
    /// Error Comment.
    pub const COMMENT: u16 = 0x0902;
    /// Error ID.
    pub const ERROR_ID: u16 = 0x0903;
    /// Affected SOP Instance UID.
    pub const AFFECTED_INSTANCE: u16 = 0x1000;
    /// Requested SOP Instance UID.
    pub const REQUESTED_INSTANCE: u16 = 0x1001;
    /// Event Type ID.
    pub const EVENT_TYPE: u16 = 0x1002;
    /// Action Type ID.
    pub const ACTION_TYPE: u16 = 0x1008;
    /// Number of Remaining Sub-operations.
    pub const REMAINING: u16 = 0x1020;
    /// Number of Completed Sub-operations.
    pub const COMPLETED: u16 = 0x1021;
    /// Number of Failed Sub-operations.
    pub const FAILED: u16 = 0x1022;
    /// Number of Warning Sub-operations.
    pub const WARNING: u16 = 0x1023;
    /// Move Originator Application Entity Title.
    pub const ORIGINATOR: u16 = 0x1030;
    /// Move Originator Message ID.
    pub const ORIGINATOR_ID: u16 = 0x1031;
}

/// Command Data Set Type of a message without a data set.
const NO_DATA_SET: u16 = 0x0101;
/// Command Data Set Type of a message with one: anything else.
const DATA_SET: u16 = 0x0000;

/// A command set: values by element number of group 0000, as they are on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command(BTreeMap<u16, Vec<u8>>);

impl Command {
    /// A request: its command, its SOP class, and the number that its answers name.
    pub fn request(field: u16, class: &str, message: u16) -> Command {
        Command::default()
            .with_uid(element::AFFECTED_CLASS, class)
            .with(element::FIELD, field)
            .with(element::MESSAGE_ID, message)
            .with(element::DATA_SET_TYPE, NO_DATA_SET)
    }

    /// The response to a request (PS3.7 9.1, 10.1).
    pub fn response(request: &Command, status: u16) -> Command {
        let mut response = Command::default();
        for (of, to) in [
            (element::REQUESTED_CLASS, element::AFFECTED_CLASS),
            (element::AFFECTED_CLASS, element::AFFECTED_CLASS),
            (element::REQUESTED_INSTANCE, element::AFFECTED_INSTANCE),
            (element::AFFECTED_INSTANCE, element::AFFECTED_INSTANCE),
            (element::EVENT_TYPE, element::EVENT_TYPE),
            (element::ACTION_TYPE, element::ACTION_TYPE),
        ] {
            if let Some(value) = request.0.get(&of) {
                response.0.insert(to, value.clone());
            }
        }
        response
            .with(element::FIELD, request.field() | field::RESPONSE)
            .with(element::RESPONDED_TO, request.message())
            .with(element::DATA_SET_TYPE, NO_DATA_SET)
            .with(element::STATUS, status)
    }

    /// The same with a number.
    pub fn with(mut self, element: u16, value: u16) -> Command {
        self.0.insert(element, value.to_le_bytes().to_vec());
        self
    }

    /// The same with a UID.
    pub fn with_uid(mut self, element: u16, uid: &str) -> Command {
        self.0.insert(element, even(uid, 0));
        self
    }

    /// The same with a text: an AE title, or a comment, which is cut to its 64 characters.
    pub fn with_text(mut self, element: u16, text: &str) -> Command {
        let plain: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).take(64).collect();
        self.0.insert(element, even(plain.trim(), b' '));
        self
    }

    /// The same, followed by a data set.
    pub fn with_data_set(self) -> Command {
        self.with(element::DATA_SET_TYPE, DATA_SET)
    }

    /// Reads a command set. Elements of other groups and lengths beyond the end are errors; nothing is allocated beyond `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Command, Error> {
        let mut command = Command::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some((head, behind)) = rest.split_first_chunk::<8>() else {
                return Err(Error::Protocol("a command set ends within an element"));
            };
            let [g0, g1, e0, e1, l0, l1, l2, l3] = *head;
            if (g0, g1) != (0, 0) {
                return Err(Error::Protocol("a command set has an element of another group"));
            }
            let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let Some((value, after)) = behind.split_at_checked(len) else {
                return Err(Error::Protocol("a command set has a value that goes beyond its end"));
            };
            command.0.insert(u16::from_le_bytes([e0, e1]), value.to_vec());
            rest = after;
        }
        command.number(element::FIELD).ok_or(Error::Protocol("a command set has no Command Field"))?;
        Ok(command)
    }

    /// The command set with its group length.
    pub fn encode(&self) -> Vec<u8> {
        let elements = self.0.iter().filter(|(element, _)| **element != 0);
        let len: usize = elements.clone().map(|(_, value)| 8 + value.len()).sum();
        let mut out = Vec::with_capacity(12 + len);
        put(&mut out, 0, &(len as u32).to_le_bytes());
        elements.for_each(|(element, value)| put(&mut out, *element, value));
        out
    }

    /// The Command Field.
    pub fn field(&self) -> u16 {
        self.number(element::FIELD).unwrap_or(0)
    }

    /// The Message ID.
    pub fn message(&self) -> u16 {
        self.number(element::MESSAGE_ID).unwrap_or(0)
    }

    /// The Status; a response without one did not succeed.
    pub fn status(&self) -> u16 {
        self.number(element::STATUS).unwrap_or(crate::status::CANNOT_UNDERSTAND)
    }

    /// Does a data set follow?
    pub fn has_data_set(&self) -> bool {
        self.number(element::DATA_SET_TYPE).is_some_and(|kind| kind != NO_DATA_SET)
    }

    /// A number.
    pub fn number(&self, element: u16) -> Option<u16> {
        Some(u16::from_le_bytes(*self.0.get(&element)?.first_chunk()?))
    }

    /// A UID or text without its padding; empty when it is not there.
    pub fn text(&self, element: u16) -> String {
        let value = self.0.get(&element).map(|value| String::from_utf8_lossy(value)).unwrap_or_default();
        value.trim_matches([' ', '\0']).to_owned()
    }
}

fn put(out: &mut Vec<u8>, element: u16, value: &[u8]) {
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&element.to_le_bytes());
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

fn even(text: &str, pad: u8) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(2), pad);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// C-ECHO-RQ, byte by byte after PS3.7 9.3.5.1.
    #[test]
    fn an_echo_is_written_as_the_standard_has_it() {
        let bytes = Command::request(field::ECHO, "1.2.840.10008.1.1", 7).encode();
        let expected = [
            &b"\0\0\0\0\x04\0\0\0\x38\0\0\0"[..],
            b"\0\0\x02\0\x12\0\0\x001.2.840.10008.1.1\0",
            b"\0\0\0\x01\x02\0\0\0\x30\0",
            b"\0\0\x10\x01\x02\0\0\0\x07\0",
            b"\0\0\x00\x08\x02\0\0\0\x01\x01",
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn a_response_names_what_it_responds_to() {
        let request = Command::request(field::STORE, "1.2", 9).with_uid(element::AFFECTED_INSTANCE, "1.2.3");
        let response = Command::response(&request, 0xA700);
        assert_eq!((response.field(), response.status()), (0x8001, 0xA700));
        assert_eq!(response.number(element::RESPONDED_TO), Some(9));
        assert_eq!(response.text(element::AFFECTED_INSTANCE), "1.2.3");
        assert!(!response.has_data_set() && request.clone().with_data_set().has_data_set());
    }

    #[test]
    fn forged_lengths_and_other_groups_are_errors() {
        let whole = Command::request(field::ECHO, "1.2.840.10008.1.1", 7).encode();
        assert!(Command::parse(&whole).is_ok());
        assert!(Command::parse(&whole[..whole.len() - 1]).is_err());
        assert!(Command::parse(b"\0\0\0\x01\xff\xff\xff\xff\x30\0").is_err());
        assert!(Command::parse(b"\x08\0\0\x01\x02\0\0\0\x30\0").is_err());
        assert!(Command::parse(b"").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(command) = Command::parse(&bytes) {
                let held: usize = command.0.values().map(Vec::len).sum();
                prop_assert!(held <= bytes.len());
            }
        }

        #[test]
        fn what_is_written_is_read(numbers in proptest::collection::btree_map(1u16.., any::<u16>(), 0..20)) {
            let command = numbers.iter().fold(Command::request(field::FIND, "1.2", 1), |c, (e, n)| c.with(*e, *n));
            let mut read = Command::parse(&command.encode()).unwrap();
            read.0.remove(&0);
            prop_assert_eq!(read, command);
        }
    }
}
