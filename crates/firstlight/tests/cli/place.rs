//! Runs the command on images made here, and shows what a user sees with the changing parts replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for one test.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a grey image.
    pub fn image(&self, relative: &str, image: Image) -> PathBuf {
        self.file(relative, &image.bytes())
    }

    pub fn file(&self, relative: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
        fs::write(&path, bytes).expect("write the file");
        path
    }

    /// Runs `firstlight` in the folder.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firstlight"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FIRSTLIGHT_")) {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.folder.path()).output().expect("run firstlight")
    }

    /// What a user sees: the command line, both outputs and the exit code.
    pub fn shown(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
        let shown = format!(
            "$ firstlight {}\n{}--- talk\n{}--- exit {code}\n",
            arguments.join(" "),
            text(&output.stdout),
            text(&output.stderr)
        );
        let real = self.folder.path().canonicalize().expect("the folder");
        shown.replace(&*real.to_string_lossy(), "[DIR]").replace(&*self.folder.path().to_string_lossy(), "[DIR]")
    }

    /// Every file below a folder, what the command remembers left out.
    pub fn tree(&self, relative: &str) -> Vec<String> {
        let root = self.path(relative);
        let (mut found, mut waiting) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_name() == ".firstlight" {
                } else if path.is_dir() {
                    waiting.push(path);
                } else {
                    found.push(path.strip_prefix(&root).expect("below").to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    }

    /// The lines of a report.
    pub fn report(&self, relative: &str) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path(relative)).expect("a report");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// A grey Secondary Capture image, Explicit VR Little Endian.
#[derive(Clone, Copy)]
pub struct Image {
    pub rows: u16,
    pub columns: u16,
    pub seed: u32,
    /// Samples that are left away at the end.
    pub cut: usize,
}

impl Default for Image {
    fn default() -> Self {
        Image { rows: 20, columns: 30, seed: 1, cut: 0 }
    }
}

impl Image {
    pub fn bytes(self) -> Vec<u8> {
        let sop = format!("2.25.{}", 1000 + self.seed);
        let mut meta = Vec::new();
        element(&mut meta, 0x0002, 0x0002, b"UI", b"1.2.840.10008.5.1.4.1.1.7");
        element(&mut meta, 0x0002, 0x0003, b"UI", sop.as_bytes());
        element(&mut meta, 0x0002, 0x0010, b"UI", b"1.2.840.10008.1.2.1");
        let mut file = vec![0; 128];
        file.extend(b"DICM");
        element(&mut file, 0x0002, 0x0000, b"UL", &(meta.len() as u32).to_le_bytes());
        file.extend(meta);
        element(&mut file, 0x0008, 0x0016, b"UI", b"1.2.840.10008.5.1.4.1.1.7");
        element(&mut file, 0x0008, 0x0018, b"UI", sop.as_bytes());
        element(&mut file, 0x0008, 0x0060, b"CS", b"OT");
        element(&mut file, 0x0010, 0x0010, b"PN", b"Test^Image");
        element(&mut file, 0x0020, 0x000d, b"UI", b"2.25.1");
        element(&mut file, 0x0020, 0x000e, b"UI", b"2.25.2");
        element(&mut file, 0x0028, 0x0002, b"US", &1u16.to_le_bytes());
        element(&mut file, 0x0028, 0x0004, b"CS", b"MONOCHROME2");
        element(&mut file, 0x0028, 0x0010, b"US", &self.rows.to_le_bytes());
        element(&mut file, 0x0028, 0x0011, b"US", &self.columns.to_le_bytes());
        element(&mut file, 0x0028, 0x0100, b"US", &16u16.to_le_bytes());
        element(&mut file, 0x0028, 0x0101, b"US", &12u16.to_le_bytes());
        element(&mut file, 0x0028, 0x0102, b"US", &11u16.to_le_bytes());
        element(&mut file, 0x0028, 0x0103, b"US", &0u16.to_le_bytes());
        element(&mut file, 0x7fe0, 0x0010, b"OW", &self.samples());
        file.truncate(file.len() - 2 * self.cut);
        file
    }

    /// A ramp with a little noise, so that nothing is trivially small.
    fn samples(self) -> Vec<u8> {
        let mut state = self.seed.wrapping_mul(2_654_435_761) | 1;
        let mut samples = Vec::new();
        for n in 0..u32::from(self.rows) * u32::from(self.columns) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let (row, column) = (n / u32::from(self.columns), n % u32::from(self.columns));
            samples.extend((((row + column) * 4 + state % 16) as u16 & 0x0fff).to_le_bytes());
        }
        samples
    }
}

fn element(file: &mut Vec<u8>, group: u16, number: u16, vr: &[u8; 2], value: &[u8]) {
    let padded = value.len().next_multiple_of(2);
    file.extend(group.to_le_bytes());
    file.extend(number.to_le_bytes());
    file.extend(vr);
    if matches!(vr, b"OW" | b"OB" | b"SQ" | b"UN") {
        file.extend([0, 0]);
        file.extend((padded as u32).to_le_bytes());
    } else {
        file.extend((padded as u16).to_le_bytes());
    }
    file.extend(value);
    let pad = if vr == b"UI" { 0 } else { b' ' };
    file.resize(file.len() + padded - value.len(), pad);
}

/// Cuts an image in its header, behind the tag of Rows.
pub fn cut_in_header(path: &Path) {
    let whole = read(path);
    let rows = whole.windows(4).position(|tag| tag == [0x28, 0, 0x10, 0]).expect("an image has rows");
    fs::write(path, &whole[..rows + 9]).expect("it can be written");
}

/// Reads a file of the folder.
pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
