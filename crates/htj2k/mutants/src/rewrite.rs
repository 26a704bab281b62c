//! Writes each place as a choice. Every mutant's alternative stands on a line of its own, behind its number in a comment.

use std::fmt::Write as _;
use std::ops::Range;

use crate::places::{Edit, Form, Kind};

/// What `crate::mutant()` is in a crate that holds mutants: the number in the environment. A test that fails ends the program.
pub const RUNTIME: &str = r#"
mod mutants {
    #![allow(unsafe_code, missing_docs)]
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    #[used]
    #[unsafe(link_section = ".init_array")]
    static START: extern "C" fn() = start;
    extern "C" fn start() {
        if let Some(number) = std::env::var("MUTANT").ok().and_then(|n| n.parse().ok()) {
            NUMBER.store(number, Ordering::Relaxed);
            std::panic::set_hook(std::boxed::Box::new(|what| {
                // Not by `eprintln`, which tests capture.
                let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{what}\n"));
                std::process::exit(101);
            }));
        }
    }
    #[inline(always)]
    pub(crate) fn number() -> u32 {
        NUMBER.load(Ordering::Relaxed)
    }
}
pub(crate) use mutants::number as mutant;
"#;

/// The source with its edits, which are sorted outermost first.
pub fn apply(source: &str, edits: &[Edit]) -> String {
    Writer { source, edits }.inside(0..source.len(), 0)
}

struct Writer<'a> {
    source: &'a str,
    edits: &'a [Edit],
}

impl Writer<'_> {
    /// The text of a range, with the edits in it from the `first` on.
    fn inside(&self, range: Range<usize>, first: usize) -> String {
        let mut text = String::new();
        let mut at = range.start;
        for (n, edit) in self.edits.iter().enumerate().skip(first) {
            if edit.whole.start >= range.end {
                break;
            }
            if edit.whole.start >= at && edit.whole.end <= range.end {
                text += &self.source[at..edit.whole.start];
                self.edit(n, &mut text);
                at = edit.whole.end;
            }
        }
        text + &self.source[at..range.end]
    }

    fn edit(&self, n: usize, text: &mut String) {
        let edit = &self.edits[n];
        let part = |range: &Range<usize>| self.inside(range.clone(), n + 1);
        let arms = |write: &dyn Fn(&str) -> String| {
            let mut arms = String::from("match crate::mutant() {");
            for choice in &edit.choices {
                let number = choice.number;
                let _ = write!(arms, "\n/*mutant {number}*/ {number} => {},", write(&choice.replacement));
            }
            arms
        };
        match &edit.form {
            Form::Binary { left, right, operator, kind } => {
                let (left, right) = (part(left), part(right));
                let numbers = edit.choices.iter().map(|c| c.number).collect::<Vec<_>>();
                let _ = match kind {
                    Kind::Value => {
                        let arms = arms(&|op| format!("l {op} r"));
                        write!(text, "(match ({left}, {right}) {{ (l, r) => {arms}\n_ => l {operator} r }} }})")
                    }
                    Kind::Comparison => {
                        let arms = arms(&|op| format!("*l {op} *r"));
                        write!(text, "(match (&({left}), &({right})) {{ (l, r) => {arms}\n_ => *l {operator} *r }} }})")
                    }
                    Kind::Assign => {
                        let arms = arms(&|op| format!("{left} {op} r"));
                        write!(text, "{{ let r = {right}; {arms}\n_ => {left} {operator} r }} }}")
                    }
                    // Lazy: the right side where the left one does not decide.
                    Kind::And | Kind::Or => {
                        let open = *kind == Kind::And;
                        let [number] = numbers[..] else { panic!("&& and || become one another") };
                        write!(
                            text,
                            "(match ({left}, \n/*mutant {number}*/ crate::mutant() == {number}) {{ ({open}, false) | ({}, true) => {right}, (l, _) => l }})",
                            !open
                        )
                    }
                };
            }
            Form::Unary { operand, operator } => {
                let arms = arms(&|_| "x".to_owned());
                let _ = write!(text, "(match {} {{ x => {arms}\n_ => {operator}x }} }})", part(operand));
            }
            Form::Body => {
                for choice in &edit.choices {
                    let (number, value) = (choice.number, &choice.replacement);
                    let _ =
                        write!(text, "\n/*mutant {number}*/ if crate::mutant() == {number} {{ return {value}; }}\n");
                }
            }
            Form::Arm { guard } => {
                let number = edit.choices[0].number;
                let unless = format!("\n/*mutant {number}*/ crate::mutant() != {number}");
                let _ = match guard {
                    Some(guard) => write!(text, "{unless} && ({})", part(guard)),
                    None => write!(text, " if {unless}"),
                };
            }
            Form::Guard => {
                let arms = arms(&str::to_owned);
                let _ = write!(text, "({arms}\n_ => {} }})", part(&edit.whole));
            }
        }
    }
}
