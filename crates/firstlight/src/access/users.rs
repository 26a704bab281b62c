//! `firstlight user`: users of an archive.

use super::{door, secret_input, shown};
use crate::args::access::UserCommand;
use crate::failure::{Exit, Failure};
use crate::settings::access::{On, grants};
use crate::units::time;
use ::access::{Door, check_name};
use serde_json::json;

/// Runs the command.
pub fn run(set: On<UserCommand>) -> Result<Exit, Failure> {
    let door = door(&set.data)?;
    match set.command {
        UserCommand::Add { name, grant } => {
            check_name(&name)?;
            let password = secret_input::new_password(&name)?;
            let new = door.put_user(&name, &password, &grants(grant))?;
            println!("{name} {}", if new { "was added" } else { "was changed" });
        }
        UserCommand::List { json } => list(&door, json)?,
        UserCommand::Passwd { name } => {
            let password = secret_input::new_password(&name)?;
            if !door.set_password(&name, &password)? {
                return Err(no_user(&name));
            }
            println!("{name} has a new password");
        }
        UserCommand::Remove { name } => {
            if !door.remove_user(&name)? {
                return Err(no_user(&name));
            }
            println!("{name} was removed");
        }
    }
    Ok(Exit::Well)
}

fn list(door: &Door, as_json: bool) -> Result<(), Failure> {
    for user in door.users()? {
        match as_json {
            true => println!("{}", json!({ "name": user.name, "grants": user.grants, "made": user.made })),
            false => println!("{}  {}  since {}", user.name, shown(&user.grants), time(user.made)),
        }
    }
    Ok(())
}

fn no_user(name: &str) -> Failure {
    Failure::new(format!("no user is called {}", name.escape_debug())).hint("`firstlight user list` has the names")
}
