//! Takes instances from where they are to where they shall be.
//!
//! [`Worker`] does one file: opened, decided on, converted or kept, and put in its place whole or not at all; what became
//! of it is a [`Record`].

pub mod dicomdir;
mod place;
mod record;
pub mod trouble;
mod worker;

pub use place::is_plain;
pub use record::{Outcome, Record};
pub use worker::{Done, Item, Memory, Settings, Target, Worker, residue_path};
