//! `firstlight share`: links that show studies to who has no account.

use super::{door, no_number, shown};
use crate::args::access::ShareCommand;
use crate::failure::{Exit, Failure};
use crate::settings::access::{NewShare, On, Share};
use crate::units::time;
use ::access::Door;
use qrcode::{QrCode, render::unicode::Dense1x2};
use serde_json::json;
use std::io::IsTerminal;
use std::time::Duration;

/// Runs the command.
pub fn run(set: On<Share>) -> Result<Exit, Failure> {
    let door = door(&set.data)?;
    match set.command {
        Share::New(new) => make(&door, *new)?,
        Share::Other(ShareCommand::List { json }) => list(&door, json)?,
        Share::Other(ShareCommand::Revoke { number }) => {
            if !door.revoke_share(number)? {
                return Err(no_number("link", number, "share"));
            }
            println!("link {number} was revoked");
        }
    }
    Ok(Exit::Well)
}

fn make(door: &Door, new: NewShare) -> Result<(), Failure> {
    let asked = new.asked;
    let (number, secret) = door.add_share(::access::NewShare {
        name: asked.name,
        studies: new.studies.into_iter().map(String::from).collect(),
        lasts: Duration::from_secs(u64::from(asked.days) * 86_400),
        uses: asked.uses,
    })?;
    let link = format!("{}/s/{}/", new.at, secret.text());
    println!("{link}");
    if asked.qr || std::io::stdout().is_terminal() {
        let code = QrCode::new(&link).map_err(|e| Failure::new(format!("the link fits into no QR code: {e}")))?;
        println!("{}", code.render::<Dense1x2>().build());
    }
    eprintln!(
        "link {number}: whoever has it sees these images; it can't be shown again, and `firstlight share revoke {number}` ends it"
    );
    Ok(())
}

fn list(door: &Door, as_json: bool) -> Result<(), Failure> {
    for link in door.shares()? {
        let (name, grants) = (&link.name, &link.grants);
        if as_json {
            let row = json!({ "number": link.id, "name": name, "grants": grants, "made": link.made, "opened": link.seen,
                "ends": link.expires, "uses": link.uses });
            println!("{row}");
            continue;
        }
        let ends = link.expires.map_or(String::new(), |ends| format!("  until {}", time(ends)));
        let uses = link.uses.map_or(String::new(), |uses| format!("  {uses} uses left"));
        println!("{}  {}  {}{ends}{uses}", link.id, name.escape_debug(), shown(grants));
    }
    Ok(())
}
