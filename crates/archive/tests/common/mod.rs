//! DICOM files made for tests, and the way to real ones.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use archive::{Archive, Options, Tag};
use tempfile::TempDir;

/// A folder of real files, or a visible line and `None`.
pub fn corpus(folder: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("FIRSTLIGHT_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")));
    let path = shared.join("data/open").join(folder);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: no {folder} of the open corpus (looked in {})", path.display());
    None
}

/// All files below a folder, sorted.
pub fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// An archive in a folder of its own.
pub fn archive() -> (Archive, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Archive::open(folder.path(), Options::default()).unwrap(), folder)
}

/// An instance in Explicit VR Little Endian; elements are written in the order of their tags.
#[derive(Clone)]
pub struct Made {
    elements: std::collections::BTreeMap<(u16, u16), (&'static str, Vec<u8>)>,
}

pub fn made(study: &str, series: &str, sop: &str) -> Made {
    let mut made = Made { elements: Default::default() };
    made.set(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.7");
    made.set(0x0008_0018, "UI", sop);
    made.set(0x0020_000D, "UI", study);
    made.set(0x0020_000E, "UI", series);
    made.set(0x0008_0060, "CS", "OT");
    made
}

impl Made {
    pub fn set(&mut self, tag: u32, vr: &'static str, value: &str) -> &mut Made {
        self.bytes(tag, vr, value.as_bytes())
    }

    pub fn bytes(&mut self, tag: u32, vr: &'static str, value: &[u8]) -> &mut Made {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == "UI" || vr == "OB" { 0 } else { b' ' });
        }
        self.elements.insert(((tag >> 16) as u16, tag as u16), (vr, value));
        self
    }

    /// A grey image with a pattern that depends on `seed`.
    pub fn image(&mut self, rows: u16, columns: u16, seed: u32) -> &mut Made {
        for (tag, value) in [
            (0x0028_0002, 1),
            (0x0028_0010, rows),
            (0x0028_0011, columns),
            (0x0028_0100, 16),
            (0x0028_0101, 12),
            (0x0028_0102, 11),
            (0x0028_0103, 0),
        ] {
            self.bytes(tag, "US", &value.to_le_bytes());
        }
        self.set(0x0028_0004, "CS", "MONOCHROME2");
        let pixels = (0..u32::from(rows) * u32::from(columns)).flat_map(|n| {
            let (x, y) = (n % u32::from(columns), n / u32::from(columns));
            let noise = n.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(97)) >> 29;
            (((x * 3 + y * 2 + noise + seed * 11) & 0xFFF) as u16).to_le_bytes()
        });
        let pixels: Vec<u8> = pixels.collect();
        self.bytes(0x7FE0_0010, "OW", &pixels)
    }

    /// The same with fragments for pixels, the first of them the offset table.
    pub fn encapsulated(&self, syntax: &str, parts: &[&[u8]]) -> Vec<u8> {
        let mut head = self.clone();
        head.elements.remove(&(0x7FE0, 0x0010));
        let mut file = head.file_in(syntax);
        file.extend(b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF");
        for part in parts {
            file.extend(b"\xFE\xFF\x00\xE0");
            file.extend((part.len() as u32).to_le_bytes());
            file.extend(*part);
        }
        file.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
        file
    }

    pub fn file(&self) -> Vec<u8> {
        self.file_in("1.2.840.10008.1.2.1\0")
    }

    fn file_in(&self, syntax: &str) -> Vec<u8> {
        let text = |tag| self.elements.get(&tag).map(|e| e.1.clone()).unwrap_or_default();
        let mut meta = Vec::new();
        element(&mut meta, (2, 1), "OB", &[0, 1]);
        element(&mut meta, (2, 2), "UI", &text((0x0008, 0x0016)));
        element(&mut meta, (2, 3), "UI", &text((0x0008, 0x0018)));
        element(&mut meta, (2, 0x10), "UI", syntax.as_bytes());
        let mut file = vec![0; 128];
        file.extend_from_slice(b"DICM");
        element(&mut file, (2, 0), "UL", &(meta.len() as u32).to_le_bytes());
        file.extend(meta);
        for (tag, (vr, value)) in &self.elements {
            element(&mut file, *tag, vr, value);
        }
        file
    }
}

fn element(out: &mut Vec<u8>, tag: (u16, u16), vr: &str, value: &[u8]) {
    out.extend(tag.0.to_le_bytes());
    out.extend(tag.1.to_le_bytes());
    out.extend(vr.as_bytes());
    if matches!(vr, "OB" | "OW" | "SQ" | "UN" | "UT") {
        out.extend([0, 0]);
        out.extend((value.len() as u32).to_le_bytes());
    } else {
        out.extend((value.len() as u16).to_le_bytes());
    }
    out.extend(value);
}

pub fn tag(tag: u32) -> Tag {
    Tag((tag >> 16) as u16, tag as u16)
}

/// The first value of an attribute in DICOM JSON.
pub fn value(json: &serde_json::Map<String, serde_json::Value>, tag: &str) -> serde_json::Value {
    json.get(tag).and_then(|a| a.get("Value")).and_then(|v| v.get(0)).cloned().unwrap_or_default()
}

/// The stored bytes of an instance.
pub fn stored(archive: &Archive, study: &str, series: &str, sop: &str) -> Vec<u8> {
    let instance = archive.instance(study, series, sop).unwrap().expect("listed");
    let object = archive.object(&instance).unwrap();
    let mut bytes = vec![0; object.size() as usize];
    object.read_at(0, &mut bytes).unwrap();
    bytes
}

/// The index as another program sees it: rows it changes carry no sum.
pub fn unsealed(folder: &Path) -> rusqlite::Connection {
    let index = rusqlite::Connection::open(folder.join("index.sqlite")).unwrap();
    index.create_scalar_function("row_sum", -1, Default::default(), |_| Ok(Option::<Vec<u8>>::None)).unwrap();
    index
}

/// Makes an index one of an earlier version, but for what versions up to 9 added: without the tables and triggers of later ones.
pub fn of_version(index: &rusqlite::Connection, version: i64) {
    let later = "SELECT 'DROP ' || type || ' ' || name FROM sqlite_schema WHERE (type = 'trigger' AND tbl_name NOT LIKE 'removed%' \
         AND (name LIKE '%gone' OR name LIKE '%came_released' OR name LIKE '%handed_out')) OR (type = 'table' AND name NOT LIKE 'sqlite%' \
         AND name NOT IN ('studies', 'names', 'study_modalities', 'series', 'instances', 'objects', 'jobs', 'evidence', 'prepared', \
         'totals', 'ways_back', 'opinions', 'figures', 'scrubs', 'faults', 'unserved', 'settled')) ORDER BY type DESC";
    let later: Vec<String> = {
        let mut later = index.prepare(later).unwrap();
        later.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    index.pragma_update(None, "foreign_keys", "OFF").unwrap();
    later.iter().for_each(|drop| index.execute_batch(drop).unwrap());
    index.execute("DELETE FROM totals WHERE name = 'handed_out'", []).unwrap();
    index.pragma_update(None, "user_version", version).unwrap();
}
