//! `firstlight policy explain|check|compare|list|show`, and where a policy comes from: a shipped one by name, or a file.

use crate::args::{PolicyCommand, PolicyFlags};
use crate::failure::{Exit, Failure};
use crate::settings;
use std::path::Path;
use transcode::{Action, Policy, Source};

/// Runs the command.
pub fn run(flags: PolicyFlags, file: settings::File) -> Result<Exit, Failure> {
    match flags.command {
        PolicyCommand::Explain { file: path, policy } => {
            let name = policy.or(file.policy).unwrap_or_else(settings::default_policy);
            explain(&path, &name)
        }
        PolicyCommand::Check { file: path } => check(&path),
        PolicyCommand::Compare(flags) => crate::compare::run(&flags),
        PolicyCommand::List => {
            for name in Policy::SHIPPED {
                let purpose = Policy::shipped_text(name).and_then(|text| text.lines().next()).unwrap_or_default();
                let purpose = purpose.trim_start_matches("# ").split(". ").next().unwrap_or_default();
                println!("{name:<12}{}", purpose.trim_end_matches('.'));
            }
            Ok(Exit::Well)
        }
        PolicyCommand::Show { name } => {
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

fn explain(path: &Path, name: &str) -> Result<Exit, Failure> {
    let policy = load(name)?;
    let source = match Source::open(path) {
        Ok(source) => source,
        Err(e) => return crate::inspect::refuse(path, &e),
    };
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
            println!("rule    {}: becomes {becomes}", decision.rule);
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
        .hint(format!("shipped are {names}; a file is named by its path"))
}
