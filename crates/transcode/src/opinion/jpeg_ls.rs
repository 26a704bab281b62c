//! JPEG-LS looked at by DCMTK's `dcmdjpls`, where it is installed: a process of its own, with a bounded time, on a file that
//! holds nothing but the frame.

use super::Answer;
use crate::Source;
use crate::encode::Plan;
use crate::error::Result;
use crate::input::hex;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What a decoder may take for one frame.
const LONGEST: Duration = Duration::from_secs(60);

/// DCMTK decodes nothing shallower, whoever wrote it.
const LEAST_BITS: u8 = 8;

/// The elements of [`instance`] and of the file meta information that DCMTK writes, as its dictionaries name them. To read its own,
/// which has them all, takes the program longer than to decode a small frame.
const DICTIONARY: &str = "\
(0002,0000)\tUL\tFileMetaInformationGroupLength\t1\tDICOM
(0002,0001)\tOB\tFileMetaInformationVersion\t1\tDICOM
(0002,0002)\tUI\tMediaStorageSOPClassUID\t1\tDICOM
(0002,0003)\tUI\tMediaStorageSOPInstanceUID\t1\tDICOM
(0002,0010)\tUI\tTransferSyntaxUID\t1\tDICOM
(0002,0012)\tUI\tImplementationClassUID\t1\tDICOM
(0002,0013)\tSH\tImplementationVersionName\t1\tDICOM
(0008,0016)\tUI\tSOPClassUID\t1\tDICOM
(0008,0018)\tUI\tSOPInstanceUID\t1\tDICOM
(0028,0002)\tUS\tSamplesPerPixel\t1\tDICOM
(0028,0004)\tCS\tPhotometricInterpretation\t1\tDICOM
(0028,0006)\tUS\tPlanarConfiguration\t1\tDICOM
(0028,0010)\tUS\tRows\t1\tDICOM
(0028,0011)\tUS\tColumns\t1\tDICOM
(0028,0100)\tUS\tBitsAllocated\t1\tDICOM
(0028,0101)\tUS\tBitsStored\t1\tDICOM
(0028,0102)\tUS\tHighBit\t1\tDICOM
(0028,0103)\tUS\tPixelRepresentation\t1\tDICOM
(7FE0,0010)\tox\tPixelData\t1\tDICOM
";

/// The program and what it calls itself.
struct Program {
    path: PathBuf,
    name: String,
}

pub(super) fn look(plan: &Plan, codestream: &[u8], samples_sha256: &str) -> Answer {
    let Some(program) = program() else { return Answer::Without("dcmdjpls (DCMTK) is not installed".into()) };
    let name = &program.name;
    if plan.precision < LEAST_BITS {
        return Answer::Without(format!("{name} reads no frames of fewer than {LEAST_BITS} bits"));
    }
    match program.decode(plan, codestream) {
        Ok(Some(samples)) if hex(&Sha256::digest(&samples)) == samples_sha256 => Answer::Same(name.clone()),
        Ok(Some(_)) => Answer::Other(format!("{name} decodes other samples")),
        Ok(None) => Answer::Other(format!("{name} can't decode it")),
        Err(error) => Answer::Without(format!("{name} could not be asked: {error}")),
    }
}

/// Looked for once, in the folders of `PATH`.
fn program() -> Option<&'static Program> {
    static PROGRAM: OnceLock<Option<Program>> = OnceLock::new();
    let find = || {
        let folders = std::env::var_os("PATH")?;
        let path = std::env::split_paths(&folders).map(|folder| folder.join("dcmdjpls")).find(|path| path.is_file())?;
        let told = Command::new(&path).arg("--version").stderr(Stdio::null()).output().ok()?;
        let told = String::from_utf8_lossy(&told.stdout);
        let version = told.split_whitespace().find(|word| word.starts_with('v') && word.contains('.'));
        Some(Program { path, name: format!("dcmdjpls {}", version.unwrap_or("").trim_start_matches('v')) })
    };
    PROGRAM.get_or_init(find).as_ref()
}

impl Program {
    /// The samples; `None` when the program refuses the frame or takes too long.
    fn decode(&self, plan: &Plan, codestream: &[u8]) -> Result<Option<Vec<u8>>> {
        let folder = tempfile::tempdir()?;
        let path = |name| folder.path().join(name);
        let (from, to, dictionary) = (path("frame.dcm"), path("decoded.dcm"), path("frame.dic"));
        std::fs::write(&from, instance(plan, codestream))?;
        std::fs::write(&dictionary, DICTIONARY)?;
        // Should ours not do for a version of the program, its own does.
        let decoded = self.run(&from, &to, Some(&dictionary))? || self.run(&from, &to, None)?;
        if !decoded {
            return Ok(None);
        }
        let mut samples = Vec::new();
        match Source::open(&to).and_then(|decoded| decoded.read_frame(0, &mut samples)) {
            Ok(()) if plan.bits_allocated > container(plan) => {
                Ok(Some(samples.into_iter().flat_map(|byte| [byte, 0]).collect()))
            }
            Ok(()) => Ok(Some(samples)),
            Err(crate::Error::Io(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Runs the program; whether it decoded.
    fn run(&self, from: &Path, to: &Path, dictionary: Option<&Path>) -> Result<bool> {
        let mut command = Command::new(&self.path);
        command.args(["--quiet", "--color-by-pixel"]).args([from, to]);
        command.envs(dictionary.map(|path| ("DCMDICTPATH", path)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (began, mut pause) = (Instant::now(), Duration::from_millis(2));
        loop {
            match child.try_wait()? {
                Some(status) => return Ok(status.success()),
                None if began.elapsed() > LONGEST => {
                    child.kill()?;
                    return Ok(child.wait()?.success());
                }
                None => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

/// Bits Allocated of the file: DCMTK takes streams of 8 bits and less in bytes alone. More than a sample has are zero.
fn container(plan: &Plan) -> u16 {
    if plan.precision > 8 { 16 } else { 8 }
}

/// A file around one frame. JPEG-LS knows no sign (PS3.5 8.2.3), so that none is told: the bits are compared.
fn instance(plan: &Plan, codestream: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 128];
    file.extend_from_slice(b"DICM");
    let syntax = plan.target.transfer_syntax();
    let mut meta = Vec::new();
    element(&mut meta, (2, 0x0001), b"OB", &[0, 1]);
    element(&mut meta, (2, 0x0002), b"UI", b"1.2.840.10008.5.1.4.1.1.7\0");
    element(&mut meta, (2, 0x0003), b"UI", b"2.25.1\0\0");
    element(&mut meta, (2, 0x0010), b"UI", &even(syntax.uid().as_bytes(), 0));
    element(&mut file, (2, 0), b"UL", &(meta.len() as u32).to_le_bytes());
    file.extend(meta);
    element(&mut file, (8, 0x0016), b"UI", b"1.2.840.10008.5.1.4.1.1.7\0");
    element(&mut file, (8, 0x0018), b"UI", b"2.25.1\0\0");
    let short = |file: &mut Vec<u8>, number, value: u16| element(file, (0x28, number), b"US", &value.to_le_bytes());
    short(&mut file, 0x0002, plan.samples);
    element(&mut file, (0x28, 0x0004), b"CS", if plan.samples == 3 { b"RGB " } else { b"MONOCHROME2 " });
    if plan.samples > 1 {
        short(&mut file, 0x0006, 0);
    }
    short(&mut file, 0x0010, plan.rows as u16);
    short(&mut file, 0x0011, plan.columns as u16);
    short(&mut file, 0x0100, container(plan));
    short(&mut file, 0x0101, plan.precision.into());
    short(&mut file, 0x0102, u16::from(plan.precision).saturating_sub(1));
    short(&mut file, 0x0103, 0);
    pixel_data(&mut file, &even(codestream, 0));
    file
}

/// Pixel Data in one fragment, after an empty offset table (PS3.5 A.4).
fn pixel_data(file: &mut Vec<u8>, fragment: &[u8]) {
    file.extend_from_slice(&[0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
    file.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0]);
    file.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0]);
    file.extend_from_slice(&(fragment.len() as u32).to_le_bytes());
    file.extend_from_slice(fragment);
    file.extend_from_slice(&[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
}

fn element(out: &mut Vec<u8>, tag: (u16, u16), vr: &[u8; 2], value: &[u8]) {
    out.extend_from_slice(&tag.0.to_le_bytes());
    out.extend_from_slice(&tag.1.to_le_bytes());
    out.extend_from_slice(vr);
    if vr == b"OB" {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    } else {
        out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    }
    out.extend_from_slice(value);
}

fn even(bytes: &[u8], pad: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(pad);
    }
    bytes
}
