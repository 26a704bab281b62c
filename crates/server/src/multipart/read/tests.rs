//! The reader of bodies: however they are cut, whatever is in them.

use super::*;
use proptest::prelude::*;

/// Gives no more than so many bytes at once.
struct Cut<'a>(&'a [u8], usize);

impl Read for Cut<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(buf.len()).min(self.0.len());
        buf[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

type Read1 = (Head, Vec<u8>);

/// All parts, and how it ended.
fn read(body: &[u8], boundary: &str, step: usize) -> (Vec<Read1>, Result<(), Trouble>) {
    let mut found = Vec::new();
    let mut parts = match Parts::new(Cut(body, step), boundary) {
        Ok(parts) => parts,
        Err(trouble) => return (found, Err(trouble)),
    };
    loop {
        match parts.next_part() {
            Ok(None) => return (found, Ok(())),
            Err(trouble) => return (found, Err(trouble)),
            Ok(Some(head)) => {
                let mut content = Vec::new();
                match parts.read_to_end(&mut content) {
                    Ok(_) => found.push((head, content)),
                    Err(_) => return (found, Err(parts.next_part().unwrap_err())),
                }
            }
        }
    }
}

fn body(contents: &[Vec<u8>], boundary: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for content in contents {
        body.extend(format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").bytes());
        body.extend(content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    body
}

#[test]
fn parts_as_senders_write_them() {
    let body = b"preamble\r\n--b b  \t\r\nContent-Type: application/dicom;\r\n  transfer-syntax=*\r\ncontent-location: x\r\n\r\n\
        one\r\n--b\r\n--b bee\r\n--b b \r\n\r\n\r\n--b b\r\nX:\r\n\r\n\r\n--b b-- epilogue\r\n--b b\r\n";
    for step in [1, 2, 3, 7, 1000] {
        let (parts, end) = read(body, "b b", step);
        assert_eq!(end, Ok(()));
        let contents: Vec<&[u8]> = parts.iter().map(|(_, content)| content.as_slice()).collect();
        assert_eq!(contents, [b"one\r\n--b\r\n--b bee".as_slice(), b"", b""], "by {step}");
        assert_eq!(parts[0].0.get("content-type"), Some("application/dicom; transfer-syntax=*"));
        assert_eq!(parts[0].0.get("content-location"), Some("x"));
        assert_eq!((parts[1].0.get("x"), parts[2].0.get("x")), (None, Some("")));
    }
}

#[test]
fn what_is_not_read_is_passed() {
    let body = body(&[vec![7; 500_000], b"two".to_vec()], "b");
    let mut parts = Parts::new(&body[..], "b").unwrap();
    parts.next_part().unwrap().unwrap();
    parts.read_exact(&mut [0; 100]).unwrap();
    parts.next_part().unwrap().unwrap();
    let mut content = Vec::new();
    parts.read_to_end(&mut content).unwrap();
    assert_eq!(content, b"two");
    assert_eq!(parts.next_part(), Ok(None));
    assert_eq!(parts.next_part(), Ok(None));
}

#[test]
fn what_is_no_body() {
    let head = |name: usize| [b"--b\r\n".to_vec(), vec![b'a'; name], b": x\r\n\r\ny\r\n--b--".to_vec()].concat();
    let fields = |n: usize| [b"--b\r\n".to_vec(), b"a: b\r\n".repeat(n), b"\r\ny\r\n--b--".to_vec()].concat();
    assert_eq!(read(&head(1000), "b", 99).1, Ok(()));
    assert_eq!(read(&head(20_000), "b", 99).1, Err(Trouble::Head("too long")));
    assert_eq!(read(&head(1 << 20), "b", 4096).1, Err(Trouble::Head("too long")));
    assert_eq!(read(&fields(64), "b", 99).1, Ok(()));
    assert_eq!(read(&fields(65), "b", 99).1, Err(Trouble::Head("of too many fields")));
    for (text, trouble) in [
        ("", Trouble::NoParts),
        ("no delimiter", Trouble::NoParts),
        ("--b", Trouble::Cut),
        ("--b\r\n", Trouble::Cut),
        ("--b\r\nA: b\r\n\r\n", Trouble::Cut),
        ("--b\r\nA: b\r\n\r\ncontent", Trouble::Cut),
        ("--b\r\nA: b\r\n\r\ncontent\r\n--b", Trouble::Cut),
        ("--b\r\nA: b\r\n\r\ncontent\r\n--b-", Trouble::Cut),
        ("--b\r\nno field\r\n\r\n\r\n--b--", Trouble::Head("not one of fields and values")),
        ("--b\r\n: b\r\n\r\n\r\n--b--", Trouble::Head("not one of fields and values")),
    ] {
        for step in [1, 5, 100] {
            assert_eq!(read(text.as_bytes(), "b", step).1, Err(trouble.clone()), "{text:?} by {step}");
        }
    }
    assert_eq!(read("x".repeat(100_000).as_bytes(), "b", 4096).1, Err(Trouble::NoParts));
    for boundary in ["", "\n", "\u{e9}", &"b".repeat(201)] {
        assert_eq!(read(b"", boundary, 1).1, Err(Trouble::Boundary));
    }
}

#[test]
fn a_body_without_parts_is_none() {
    assert_eq!(read(b"--b--\r\n", "b", 1), (vec![], Ok(())));
}

/// Contents that are made of what delimiters are made of.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n--bound".to_vec()),
        Just(b"\r\n--boun".to_vec()),
        Just(b"--bound".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"-".to_vec()),
        Just(b" ".to_vec()),
        Just(b"x".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
        (0..200_000usize).prop_map(|n| vec![b'y'; n]),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Would these bytes end their part by themselves?
fn holds_delimiter(content: &[u8]) -> bool {
    let whole = [b"\r\n", content, b"\r\n"].concat();
    let needle = b"\r\n--bound";
    memmem::find_iter(&whole, needle).any(|at| {
        let rest = &whole[at + needle.len()..];
        let blanks = rest.iter().take_while(|b| b" \t".contains(b)).count();
        rest.starts_with(b"--") || rest[blanks..].starts_with(b"\r\n") || rest[blanks..] == *b"\r"
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What was put into a body comes out of it, however it is cut.
    #[test]
    fn what_is_written_is_read(contents in proptest::collection::vec(content(), 1..4), step in 1..5000usize) {
        let contents: Vec<_> = contents.into_iter().filter(|content| !holds_delimiter(content)).collect();
        let (parts, end) = read(&body(&contents, "bound"), "bound", step);
        prop_assert_eq!(end, Ok(()));
        prop_assert!(parts.into_iter().map(|(_, content)| content).eq(contents));
    }

    /// A body that is cut has no part that is cut: what came whole is the same, the rest is an error.
    #[test]
    fn a_cut_body_has_whole_parts(contents in proptest::collection::vec(content(), 1..4), cut in 0.0..1.0f64, step in 1..5000usize) {
        let contents: Vec<_> = contents.into_iter().filter(|content| !holds_delimiter(content)).collect();
        let whole = body(&contents, "bound");
        let at = ((whole.len() - b"--\r\n".len()) as f64 * cut) as usize;
        let (parts, end) = read(&whole[..at], "bound", step);
        prop_assert!(end.is_err());
        prop_assert!(parts.iter().zip(&contents).all(|((_, part), content)| part == content));
    }

    /// Anything at all is read or is an error; the same, however it comes.
    #[test]
    fn anything_ends(pieces in proptest::collection::vec(content(), 0..4), step in 1..5000usize) {
        let body = pieces.concat();
        prop_assert_eq!(read(&body, "bound", step), read(&body, "bound", 1 << 20));
    }
}
