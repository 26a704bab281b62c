//! `firstlight inspect FILE|DIR...`: what a file holds, and the byte where each resolution level of each frame ends.

use crate::args::InspectFlags;
use crate::failure::{Exit, Failure, hint_for, reason};
use crate::inputs::{self, Named};
use crate::units::count;
use dicom::{Facts, LIKELY_HEAD, Pixels, Source, TransferSyntax, is_likely_dicom};
use htj2k::{Header, Index, Limits, Progression};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Start of codestream and of its first marker segment (T.800 A.4.1, A.5.1).
const CODESTREAM: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];

/// What is printed as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Inspected {
    /// In a folder, the one it is told of.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    transfer_syntax: Option<String>,
    rows: u32,
    columns: u32,
    frames: Vec<Frame>,
    #[serde(skip)]
    codestream: Option<Header>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    /// Offset of the frame's first byte in the file.
    offset: u64,
    /// Bytes of the frame, a pad byte at the end not counted where the codestream tells.
    length: u64,
    levels: Vec<Level>,
    /// Runs of bytes it lies in, when there is more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fragments: Vec<(u64, u64)>,
}

#[derive(Debug, Serialize)]
struct Level {
    level: u8,
    width: u32,
    height: u32,
    end: u64,
}

/// Runs the command.
pub fn run(flags: &InspectFlags) -> Result<Exit, Failure> {
    let mut before = false;
    inputs::each(&flags.files, |file| {
        if before && !flags.json {
            println!();
        }
        before = true;
        let inspected = inspect_one(&file, flags.json);
        before &= !matches!(inspected, Ok(None));
        inspected.map(|exit| exit.unwrap_or(Exit::Well))
    })
}

/// Nothing where it is no DICOM and none was said to be.
fn inspect_one(file: &Named, json: bool) -> Result<Option<Exit>, Failure> {
    if starts_as_codestream(file.path) {
        return inspect_codestream(file, json).map(Some);
    }
    let source = match Source::open(file.path) {
        Ok(source) => source,
        Err(dicom::Error::NotDicom) if file.found => return Ok(None),
        Err(e) => return refuse(file.name, &e).map(Some),
    };
    let mut inspected = match inspect(&source) {
        Ok(inspected) => inspected,
        Err(e) => return refuse(file.name, &e).map(Some),
    };
    if json {
        inspected.file = file.found.then(|| file.name.display().to_string());
        return print_json(&inspected).map(Some);
    }
    let facts = source.facts();
    println!("file     {}", file.name.display());
    println!("syntax   {}", syntax_line(&facts.transfer_syntax));
    println!("image    {}", image_line(facts));
    print_text(&inspected);
    Ok(Some(Exit::Well))
}

/// One line and a hint for a file that can't be read; the exit code says whose fault it is.
pub fn refuse(path: &Path, error: &dicom::Error) -> Result<Exit, Failure> {
    match error {
        dicom::Error::Io(e) => {
            let failure = Failure::new(format!("cannot read {}: {}", path.display(), reason(e)));
            Err(hint_for(e).into_iter().fold(failure, Failure::hint))
        }
        dicom::Error::NotDicom => {
            Failure::new(format!("{}: {error}", path.display()))
                .hint(match is_meant_to_be(path) {
                    true => "its name or its first bytes say DICOM, and no data set can be found in it",
                    false => "it has neither a DICOM prefix nor a data set that can be read",
                })
                .print();
            Ok(Exit::Refused)
        }
        _ => {
            Failure::new(format!("{}: {error}", path.display()))
                .hint("the file is cut short or damaged: get it again from where it came")
                .print();
            Ok(Exit::Refused)
        }
    }
}

fn is_meant_to_be(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIKELY_HEAD as u64).read_to_end(&mut head));
    read.is_ok() && is_likely_dicom(&head, path)
}

/// `CT  512 x 512, 1 frame, 16 bits signed, MONOCHROME2`.
pub fn image_line(facts: &Facts) -> String {
    let modality = if facts.modality.is_empty() { "-" } else { &facts.modality };
    if facts.pixels == Pixels::None {
        return format!("{modality}  no pixels");
    }
    let sign = if facts.signed { "signed" } else { "unsigned" };
    let size = format!("{} x {}, {}", facts.columns, facts.rows, count(facts.frames.into(), "frame"));
    let lossy = if facts.lossy { ", lossy" } else { "" };
    format!(
        "{modality}  {size}, {} of {} bits {sign}, {}{lossy}",
        facts.bits_stored, facts.bits_allocated, facts.photometric
    )
}

/// `HTJ2K Lossless RPCL`.
pub fn syntax_name(uid: &str) -> String {
    TransferSyntax::new(uid).name().to_owned()
}

/// `HTJ2K Lossless RPCL (1.2.840.10008.1.2.4.202)`.
pub fn syntax_line(syntax: &TransferSyntax) -> String {
    format!("{} ({})", syntax.name(), syntax.uid())
}

fn inspect(source: &Source) -> Result<Inspected, dicom::Error> {
    let facts = source.facts();
    let mut inspected = Inspected {
        file: None,
        transfer_syntax: Some(facts.transfer_syntax.uid().to_owned()),
        rows: facts.rows,
        columns: facts.columns,
        frames: Vec::new(),
        codestream: None,
    };
    let mut bytes = Vec::new();
    for (n, frame) in (0..).zip(source.frames()) {
        let mut shown =
            Frame { offset: frame.offset(), length: frame.length(), levels: Vec::new(), fragments: Vec::new() };
        if frame.fragments.len() > 1 {
            shown.fragments.clone_from(&frame.fragments);
        }
        if facts.syntax_of_frames().is_htj2k() && frame.fault().is_none() {
            bytes.clear();
            source.read_frame(n, &mut bytes)?;
            if let Ok(index) = Index::read(&bytes, &Limits::default()) {
                shown.levels = levels(&index);
                if let Some(last) = shown.levels.last() {
                    shown.length = last.end;
                }
                inspected.codestream.get_or_insert(index.header);
            }
        }
        inspected.frames.push(shown);
    }
    Ok(inspected)
}

fn levels(index: &Index) -> Vec<Level> {
    index.levels.iter().map(|l| Level { level: l.level, width: l.width, height: l.height, end: l.end }).collect()
}

fn starts_as_codestream(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 4];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == CODESTREAM
}

fn inspect_codestream(file: &Named, json: bool) -> Result<Exit, Failure> {
    let bytes = std::fs::read(file.path).map_err(|e| Failure::io("read", file.name, &e))?;
    let index = match Index::read(&bytes, &Limits::default()) {
        Ok(index) => index,
        Err(e) => {
            Failure::new(format!("{}: {e}", file.name.display()))
                .hint("the codestream is cut short or damaged")
                .print();
            return Ok(Exit::Refused);
        }
    };
    let frame = Frame { offset: 0, length: bytes.len() as u64, levels: levels(&index), fragments: Vec::new() };
    let (rows, columns) = (index.header.height, index.header.width);
    let inspected = Inspected {
        file: None,
        transfer_syntax: None,
        rows,
        columns,
        frames: vec![frame],
        codestream: Some(index.header),
    };
    if json {
        return print_json(&inspected);
    }
    println!("file     {}", file.name.display());
    println!("syntax   a bare codestream");
    print_text(&inspected);
    Ok(Exit::Well)
}

fn print_json(inspected: &Inspected) -> Result<Exit, Failure> {
    let text = serde_json::to_string(inspected).map_err(|e| Failure::new(format!("cannot print: {e}")))?;
    println!("{text}");
    Ok(Exit::Well)
}

fn print_text(inspected: &Inspected) {
    if let Some(header) = &inspected.codestream {
        println!("stream   {}", stream_line(header));
    }
    let width = inspected.frames.iter().map(|f| (f.offset + f.length).to_string().len()).max().unwrap_or(0);
    for (n, frame) in inspected.frames.iter().enumerate() {
        let runs = if frame.fragments.is_empty() {
            String::new()
        } else {
            format!("  in {} fragments", frame.fragments.len())
        };
        println!("frame {:<4} offset {:>width$}  length {:>width$}{runs}", n + 1, frame.offset, frame.length);
        for level in &frame.levels {
            let share = level.end as f64 * 100.0 / frame.length.max(1) as f64;
            let size = format!("{} x {}", level.width, level.height);
            println!("  level {}  {size:>13}  ends at {:>width$}  {share:5.1} %", level.level, level.end);
        }
    }
}

fn stream_line(header: &Header) -> String {
    let coder = if header.high_throughput { "HTJ2K" } else { "JPEG 2000" };
    let wavelet = if header.reversible { "reversible" } else { "irreversible" };
    let colour = if header.colour_transform { ", colour transform" } else { "" };
    let order = match header.progression {
        Progression::Lrcp => "LRCP",
        Progression::Rlcp => "RLCP",
        Progression::Rpcl => "RPCL",
        Progression::Pcrl => "PCRL",
        Progression::Cprl => "CPRL",
    };
    let tiles = count(u64::from(header.tiles.0) * u64::from(header.tiles.1), "tile");
    let tlm = if header.tlm { "TLM" } else { "no TLM" };
    format!(
        "{coder}, {order}, {}, {wavelet}{colour}, {tiles}, {tlm}",
        count(header.decompositions.into(), "decomposition")
    )
}
