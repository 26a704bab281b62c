//! `firstlight policy explain|list|show`, and where a policy comes from: a shipped one by name, or a file.

use crate::args::{PolicyCommand, PolicyFlags};
use crate::failure::{Exit, Failure};
use crate::settings;
use std::path::Path;
use transcode::{Action, Policy, Source, Target, TransferSyntax};

/// Names of the shipped policies, and what each is for.
const SHIPPED: [(&str, &str); 3] = [
    ("default", "small grey images to JPEG-LS, large ones and colour to HTJ2K; JPEG stays JPEG"),
    ("htj2k-all", "HTJ2K for everything it can carry: for new archives"),
    ("jxl-colour", "as default, with JPEG XL for colour"),
];

/// Runs the command.
pub fn run(flags: PolicyFlags, file: settings::File) -> Result<Exit, Failure> {
    match flags.command {
        PolicyCommand::Explain { file: path, policy } => {
            let name = policy.or(file.policy).unwrap_or_else(settings::default_policy);
            explain(&path, &name)
        }
        PolicyCommand::List => {
            for (name, purpose) in SHIPPED.iter().filter(|(name, _)| Policy::shipped(name).is_some()) {
                println!("{name:<12}{purpose}");
            }
            Ok(Exit::Well)
        }
        PolicyCommand::Show { name } => {
            Policy::shipped(&name).ok_or_else(|| unknown(&name))?;
            Err(Failure::new("not yet"))
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
    let wrong = |e| {
        Failure::new(format!("{}: {e}", path.display())).hint("`firstlight policy show default` prints one that works")
    };
    Policy::parse(&text).map_err(wrong)
}

/// A target's name in a policy and its transfer syntax UID.
pub fn short_name(target: Target) -> (&'static str, &'static str) {
    match target {
        Target::JpegLsLossless => ("jpeg-ls-lossless", TransferSyntax::JPEG_LS),
        Target::Htj2kLosslessRpcl => ("htj2k-lossless-rpcl", TransferSyntax::HTJ2K_RPCL),
        _ => ("a syntax that has no name here", ""),
    }
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
            let (name, uid) = short_name(target);
            println!("rule    {}: becomes {name} ({uid})", decision.rule);
        }
        Action::Keep { reason } => println!("rule    {}: kept as received: {reason}", decision.rule),
    }
    Ok(Exit::Well)
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    Failure::new(format!("no policy is called {name:?}"))
        .hint(format!("shipped are {}; a file is named by its path", names.join(", ")))
}
