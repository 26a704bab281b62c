//! Instances made element by element.

#[cfg(feature = "dicom")]
use dicom::Source;

/// How a made instance is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Implicit VR Little Endian.
    Implicit,
    /// Explicit VR Little Endian.
    Explicit,
    /// Explicit VR Big Endian.
    Big,
}

/// Makes instances element by element.
pub struct Made {
    /// How its elements are written.
    pub form: Form,
    /// The transfer syntax that its file meta names.
    pub syntax: &'static str,
    /// The data set so far.
    pub body: Vec<u8>,
    /// Elements of the file meta beside the transfer syntax.
    pub meta: Vec<u8>,
}

impl Made {
    /// An instance without elements.
    pub fn new(form: Form) -> Made {
        let syntax = match form {
            Form::Implicit => "1.2.840.10008.1.2",
            Form::Explicit => "1.2.840.10008.1.2.1",
            Form::Big => "1.2.840.10008.1.2.2",
        };
        Made { form, syntax, body: Vec::new(), meta: Vec::new() }
    }

    /// A grey image of `rows` x `columns` in 16 bits up to the pixel data, which the caller adds.
    pub fn image(form: Form, rows: u16, columns: u16, allocated: u16, stored: u16, signed: bool) -> Made {
        let mut made = Made::new(form);
        made.text(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.7\0");
        made.text(0x0008, 0x0018, "UI", "1.2.3.4\0");
        made.text(0x0008, 0x0060, "CS", "OT");
        made.text(0x0010, 0x0010, "PN", "A^B ");
        made.text(0x0020, 0x000D, "UI", "1.2.3\0");
        made.text(0x0020, 0x000E, "UI", "1.2.3.5\0");
        made.number(0x0028, 0x0002, 1);
        made.text(0x0028, 0x0004, "CS", "MONOCHROME2 ");
        made.number(0x0028, 0x0010, rows);
        made.number(0x0028, 0x0011, columns);
        made.number(0x0028, 0x0100, allocated);
        made.number(0x0028, 0x0101, stored);
        made.number(0x0028, 0x0102, stored - 1);
        made.number(0x0028, 0x0103, signed.into());
        made
    }

    /// A value of US.
    pub fn number(&mut self, group: u16, element: u16, value: u16) -> &mut Made {
        let value = if self.form == Form::Big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.element(group, element, "US", &value)
    }

    /// A value of text, padded already.
    pub fn text(&mut self, group: u16, element: u16, vr: &str, value: &str) -> &mut Made {
        self.element(group, element, vr, value.as_bytes())
    }

    /// An element whose value is in the byte order of the form already.
    pub fn element(&mut self, group: u16, element: u16, vr: &str, value: &[u8]) -> &mut Made {
        self.head(group, element, vr, value.len() as u32);
        self.body.extend_from_slice(value);
        self
    }

    /// Tag, VR and length of an element.
    pub fn head(&mut self, group: u16, element: u16, vr: &str, len: u32) -> &mut Made {
        let long =
            matches!(vr, "OB" | "OD" | "OF" | "OL" | "OV" | "OW" | "SQ" | "SV" | "UC" | "UN" | "UR" | "UT" | "UV");
        self.u16(group);
        self.u16(element);
        match self.form {
            Form::Implicit => self.u32(len),
            _ => {
                self.body.extend_from_slice(vr.as_bytes());
                if long {
                    self.u16(0);
                    self.u32(len);
                } else {
                    self.u16(len as u16);
                }
            }
        }
        self
    }

    /// Pixel data in fragments; the first is the offset table.
    pub fn fragments(&mut self, parts: &[&[u8]]) -> &mut Made {
        self.head(0x7FE0, 0x0010, "OB", u32::MAX);
        for part in parts {
            self.item(0xE000, part.len() as u32);
            self.body.extend_from_slice(part);
        }
        self.item(0xE0DD, 0)
    }

    /// Tag and length of an item or its end.
    pub fn item(&mut self, element: u16, len: u32) -> &mut Made {
        self.u16(0xFFFE);
        self.u16(element);
        self.u32(len);
        self
    }

    fn u16(&mut self, v: u16) {
        self.body.extend_from_slice(&if self.form == Form::Big { v.to_be_bytes() } else { v.to_le_bytes() });
    }

    fn u32(&mut self, v: u32) {
        self.body.extend_from_slice(&if self.form == Form::Big { v.to_be_bytes() } else { v.to_le_bytes() });
    }

    /// Adds an element of the file meta.
    pub fn meta(&mut self, element: u16, vr: &str, value: &str) -> &mut Made {
        self.meta.extend_from_slice(&2u16.to_le_bytes());
        self.meta.extend_from_slice(&element.to_le_bytes());
        self.meta.extend_from_slice(vr.as_bytes());
        self.meta.extend_from_slice(&(value.len() as u16).to_le_bytes());
        self.meta.extend_from_slice(value.as_bytes());
        self
    }

    /// The whole file.
    pub fn file(&self) -> Vec<u8> {
        let mut uid = self.syntax.to_owned();
        if uid.len() % 2 == 1 {
            uid.push('\0');
        }
        let mut head = Made::new(Form::Explicit);
        head.meta(0x0010, "UI", &uid);
        let mut file = b"MZ made".to_vec();
        file.resize(128, 0x90);
        file.extend_from_slice(b"DICM");
        file.extend_from_slice(&head.meta);
        file.extend_from_slice(&self.meta);
        file.extend_from_slice(&self.body);
        file
    }

    /// The instance, opened.
    #[cfg(feature = "dicom")]
    pub fn source(&self) -> Source {
        Source::from_bytes(self.file()).expect("a made instance opens")
    }
}
