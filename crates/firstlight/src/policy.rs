//! `firstlight policy explain|check|compare|list|show`, and where a policy comes from: a shipped one by name, or a file.

use crate::failure::{Exit, Failure};
use crate::inputs;
use crate::settings::look::Policy as Asked;
use dicom::Source;
use std::path::{Path, PathBuf};
use transcode::{Action, Policy};

/// Runs the command.
pub fn run(asked: Asked) -> Result<Exit, Failure> {
    match asked {
        Asked::Explain { files, policy } => explain(&files, &policy),
        Asked::Check(path) => check(&path),
        Asked::Compare(flags) => crate::compare::run(&flags),
        Asked::List => {
            for name in Policy::SHIPPED {
                let purpose = Policy::shipped_text(name).and_then(|text| text.lines().next()).unwrap_or_default();
                let purpose = purpose.trim_start_matches("# ").split(". ").next().unwrap_or_default();
                println!("{name:<12}{}", purpose.trim_end_matches('.'));
            }
            Ok(Exit::Well)
        }
        Asked::Show(name) => {
            print!("{}", Policy::shipped_text(&name).ok_or_else(|| unknown(&name))?);
            Ok(Exit::Well)
        }
    }
}

/// A shipped policy, or the rules of a file.
pub fn load(name: &str) -> Result<Policy, Failure> {
    if let Some(policy) = Policy::shipped(name) {
        return Ok(policy);
    }
    let path = Path::new(name);
    if !path.exists() && !name.contains(['/', '.']) {
        return Err(unknown(name));
    }
    let text = std::fs::read_to_string(path).map_err(|e| Failure::io("read the policy", path, &e))?;
    Policy::parse(&text).map_err(|error| {
        let hint = error.suggestion().unwrap_or("`firstlight policy show default` prints one that works");
        Failure::new(format!("{}: {error}", path.display())).hint(hint)
    })
}

fn explain(paths: &[PathBuf], name: &str) -> Result<Exit, Failure> {
    let policy = load(name)?;
    let mut before = false;
    inputs::each(paths, |file| {
        let source = match Source::open(file.path) {
            Ok(source) => source,
            Err(dicom::Error::NotDicom) if file.found => return Ok(Exit::Well),
            Err(e) => return crate::inspect::refuse(file.name, &e),
        };
        if std::mem::replace(&mut before, true) {
            println!();
        }
        explain_one(&source, file.name, &policy, name)
    })
}

fn explain_one(source: &Source, path: &Path, policy: &Policy, name: &str) -> Result<Exit, Failure> {
    let facts = source.facts();
    let decision = policy.decide(facts);
    println!("file    {}", path.display());
    println!("image   {}", crate::inspect::image_line(facts));
    println!("syntax  {}", crate::inspect::syntax_line(&facts.transfer_syntax));
    println!("policy  {name}");
    for line in &decision.why {
        println!("        {line}");
    }
    match decision.then {
        Action::Convert(target) => {
            let becomes = crate::inspect::syntax_line(&target.transfer_syntax());
            let smaller = if decision.only_if_smaller { ", only if that is smaller" } else { "" };
            println!("rule    {}: becomes {becomes}{smaller}", decision.rule);
        }
        Action::Keep { reason } => println!("rule    {}: kept as received: {reason}", decision.rule),
    }
    Ok(Exit::Well)
}

/// Reads a policy and says what it holds; doubts are no errors.
fn check(name: &str) -> Result<Exit, Failure> {
    let policy = load(name)?;
    let rules: Vec<&str> = policy.rules().collect();
    println!("{name}: {}: {}", crate::units::count(rules.len() as u64, "rule"), rules.join(", "));
    for doubt in policy.doubts() {
        eprintln!("warning: {doubt}");
    }
    Ok(Exit::Well)
}

fn unknown(name: &str) -> Failure {
    let names = Policy::SHIPPED.join(", ");
    Failure::new(format!("no policy is called {name:?}"))
        .hint(format!("these are shipped: {names}; a file of rules is named by its path"))
}
