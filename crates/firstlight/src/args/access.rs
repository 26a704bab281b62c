//! Who may come in, as typed: `user`, `key`, `share`, `label`, and what `serve` asks of its clients.

use access::{Part, Rights};
use clap::{Args, Subcommand};
use server::Network;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// What `serve` asks of its clients.
#[derive(Debug, Default, Args)]
pub struct DoorFlags {
    /// Let in who signs in and nobody else, also on this machine; beyond it that is so in any case. Where there is no user yet, a link
    /// for the first administrator is printed
    #[arg(long, env = "FIRSTLIGHT_SIGN_IN")]
    pub sign_in: bool,
    /// Believe what the proxies at these addresses (or networks, 10.0.0.0/8) say of their clients; beyond this machine nobody else is
    /// answered then, and TLS is theirs
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', env = "FIRSTLIGHT_BEHIND_PROXY")]
    pub behind_proxy: Vec<Network>,
    /// Answer so many requests a second of a user, a key or a token, and a second's worth at once; more are told to come again (429)
    /// [default: any number]
    #[arg(long, value_name = "N", env = "FIRSTLIGHT_REQUESTS_PER_SECOND")]
    pub requests_per_second: Option<NonZeroU32>,
    #[command(flatten)]
    pub record: RecordFlags,
}

/// The record of who saw what.
#[derive(Debug, Default, Args)]
pub struct RecordFlags {
    /// Folder of the record of who saw what [default: access-record in the folder of the archive, where one signs in; else none]
    #[arg(long, value_name = "DIR", env = "FIRSTLIGHT_ACCESS_RECORD")]
    pub access_record: Option<PathBuf>,
    /// Remove files of it that are older than so many days; without it, none is removed
    #[arg(long, value_name = "N", env = "FIRSTLIGHT_ACCESS_RECORD_DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub access_record_days: Option<u32>,
    /// Send it to this receiver of syslog over TLS too (RFC 5425), such as audit.example.org:6514
    #[arg(long, value_name = "HOST:PORT", env = "FIRSTLIGHT_ACCESS_SYSLOG", requires = "access_syslog_ca")]
    pub access_syslog: Option<String>,
    /// The certificates of those who sign the receiver's certificate, in PEM
    #[arg(long, value_name = "FILE", env = "FIRSTLIGHT_ACCESS_SYSLOG_CA")]
    pub access_syslog_ca: Option<PathBuf>,
}

/// The archive whose accounts are meant.
#[derive(Debug, Default, Args)]
pub struct ArchiveFlag {
    /// Folder of the archive
    #[arg(long, global = true, value_name = "DIR", env = "FIRSTLIGHT_DATA")]
    pub data: Option<PathBuf>,
}

/// What is granted.
#[derive(Debug, Args)]
pub struct GrantFlags {
    /// What may be done: read, write, delete, share, administer, with commas between; or all
    #[arg(long, value_name = "RIGHTS", default_value = "read")]
    pub may: Rights,
    /// Only with studies that fulfil one of these: patient=ID, patient=ID^^^ISSUER, modality=MR, label=WORD, study=UID; without it, with all
    #[arg(long, value_name = "WHICH")]
    pub only: Vec<Part>,
}

#[derive(Debug, Args)]
pub struct UserFlags {
    #[command(flatten)]
    pub archive: ArchiveFlag,
    #[command(subcommand)]
    pub command: UserCommand,
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user, or change what one may; the password is asked for, or is the first line of standard input
    Add {
        /// The name, as it is typed to sign in
        name: String,
        #[command(flatten)]
        grant: GrantFlags,
    },
    /// List the users and what they may
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a user another password; whoever is signed in by the old one is signed out
    Passwd {
        /// The name
        name: String,
    },
    /// Remove a user, and sign the user out
    Remove {
        /// The name
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct KeyFlags {
    #[command(flatten)]
    pub archive: ArchiveFlag,
    #[command(subcommand)]
    pub command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key for a program and print it: it can't be shown again
    Add {
        /// What it is called
        name: String,
        #[command(flatten)]
        grant: GrantFlags,
        /// How many days it is good for; without it, until it is revoked
        #[arg(long, value_name = "N")]
        days: Option<u32>,
    },
    /// List the keys and what they allow
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a key back, by its number in the list
    Revoke {
        /// Its number
        number: i64,
    },
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    override_usage = "firstlight share [OPTIONS] <STUDY>...\n       firstlight share list\n       firstlight share revoke <NUMBER>"
)]
pub struct ShareFlags {
    #[command(flatten)]
    pub archive: ArchiveFlag,
    #[command(flatten)]
    pub new: NewShareFlags,
    #[command(subcommand)]
    pub command: Option<ShareCommand>,
}

/// A link that is to be made.
#[derive(Debug, Args)]
pub struct NewShareFlags {
    /// Study Instance UIDs of what is shared
    #[arg(value_name = "STUDY")]
    pub studies: Vec<String>,
    /// How many days the link is good for
    #[arg(long, value_name = "N", default_value = "7", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// How often it can be opened; without it, as often as one likes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub uses: Option<u32>,
    /// For whom it is: the name stands on the images
    #[arg(long, value_name = "TEXT", default_value = "Shared")]
    pub name: String,
    /// The address clients see, where it is another than the one that the settings say
    #[arg(long, value_name = "URL", env = "FIRSTLIGHT_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// Print the QR code also where standard output is no terminal
    #[arg(long)]
    pub qr: bool,
}

#[derive(Debug, Subcommand)]
pub enum ShareCommand {
    /// List the links and what they share
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a link back, by its number in the list
    Revoke {
        /// Its number
        number: i64,
    },
}

#[derive(Debug, Args)]
pub struct LabelFlags {
    #[command(flatten)]
    pub archive: ArchiveFlag,
    /// Study Instance UID
    pub study: String,
    /// Words that say who may see it
    #[arg(required = true, value_name = "WORD")]
    pub words: Vec<String>,
    /// Take the words away
    #[arg(long)]
    pub remove: bool,
}
