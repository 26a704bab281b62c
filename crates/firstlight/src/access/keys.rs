//! `firstlight key`: keys of programs.

use super::{door, no_number, shown};
use crate::args::access::KeyCommand;
use crate::failure::{Exit, Failure};
use crate::settings::access::{On, grants};
use crate::units::time;
use ::access::{Door, NewKey};
use serde_json::json;
use std::time::Duration;

/// Runs the command.
pub fn run(set: On<KeyCommand>) -> Result<Exit, Failure> {
    let door = door(&set.data)?;
    match set.command {
        KeyCommand::Add { name, grant, days } => {
            let lasts = days.map(|days| Duration::from_secs(u64::from(days) * 86_400));
            let (number, secret) = door.add_key(NewKey { name, grants: grants(grant), lasts })?;
            println!("{}", secret.key_text());
            eprintln!("key {number}: it can't be shown again; programs send it as `Authorization: Bearer KEY`");
        }
        KeyCommand::List { json } => list(&door, json)?,
        KeyCommand::Revoke { number } => {
            if !door.revoke_key(number)? {
                return Err(no_number("key", number, "key"));
            }
            println!("key {number} was revoked");
        }
    }
    Ok(Exit::Well)
}

fn list(door: &Door, as_json: bool) -> Result<(), Failure> {
    for key in door.keys()? {
        let (name, grants) = (&key.name, &key.grants);
        if as_json {
            let row = json!({ "number": key.id, "name": name, "grants": grants, "made": key.made, "used": key.seen, "ends": key.expires });
            println!("{row}");
            continue;
        }
        let ends = key.expires.map_or(String::new(), |ends| format!("  until {}", time(ends)));
        println!("{}  {}  {}  used {}{ends}", key.id, name.escape_debug(), shown(grants), time(key.seen));
    }
    Ok(())
}
