//! Puts the mutants that `cargo mutants --list --json` names into the sources, all at once: each place that a mutant changes
//! becomes a choice by number at run time, so that one build serves for all of them.
//!
//! `htj2k-mutants LIST.json ROOT [LEFT-OUT-NUMBER...]` rewrites the files below ROOT and prints the numbers (places in the list) that
//! it built in, each with the file and the line where its choice now stands. Constants are computed by the compiler, so mutants
//! in them are not built in, nor values of a type that the body decides; nor are those named on the command line, which did not compile.

mod places;
mod rewrite;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::{env, fs};

use serde::Deserialize;

/// A mutant, as `cargo mutants` lists it.
#[derive(Deserialize)]
struct Mutant {
    file: String,
    genre: Genre,
    replacement: String,
    span: Span,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Genre {
    BinaryOperator,
    UnaryOperator,
    FnValue,
    MatchArm,
    MatchArmGuard,
    StructField,
}

#[derive(Deserialize)]
struct Span {
    start: Position,
}

/// Line and column from 1.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Hash)]
struct Position {
    line: usize,
    column: usize,
}

/// A number and what to put in the place.
struct Choice {
    number: usize,
    genre: Genre,
    replacement: String,
}

fn main() {
    let mut args = env::args().skip(1);
    let (list, root) = (args.next().expect("LIST.json"), args.next().expect("ROOT"));
    let left_out: HashSet<usize> = args.map(|n| n.parse().expect("a number")).collect();
    let mutants: Vec<Mutant> = serde_json::from_str(&fs::read_to_string(list).unwrap()).unwrap();
    let mut by_file: BTreeMap<String, Vec<(Position, Choice)>> = BTreeMap::new();
    for (n, mutant) in mutants.into_iter().enumerate() {
        // 0 is the program as it is.
        let number = n + 1;
        if !left_out.contains(&number) {
            let choice = Choice { number, genre: mutant.genre, replacement: mutant.replacement };
            by_file.entry(mutant.file).or_default().push((mutant.span.start, choice));
        }
    }
    for (file, choices) in by_file {
        let path = Path::new(&root).join(&file);
        let source = fs::read_to_string(&path).unwrap();
        let edits = places::find(&source, choices);
        let text = rewrite::apply(&source, &edits);
        for (line, text) in text.lines().enumerate() {
            if let Some((_, rest)) = text.split_once("/*mutant ") {
                let number = rest.split_once("*/").unwrap().0;
                println!("{number}\t{file}\t{}", line + 1);
            }
        }
        fs::write(path, text).unwrap();
    }
    let lib = Path::new(&root).join("crates/htj2k/src/lib.rs");
    let text = fs::read_to_string(&lib).unwrap();
    fs::write(lib, text + rewrite::RUNTIME).unwrap();
}
