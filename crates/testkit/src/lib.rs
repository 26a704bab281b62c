//! For tests only: small instances, where the corpus is, and a server of PostgreSQL.

mod corpus;
mod made;
mod postgres;

pub use corpus::{corpus, report, skipped};
pub use made::{Form, Made};
pub use postgres::{Postgres, postgres};

/// The file of an image of 16 x 16 zeros in Explicit VR Little Endian.
pub fn image() -> Vec<u8> {
    let mut image = Made::image(Form::Explicit, 16, 16, 16, 12, false);
    image.element(0x7FE0, 0x0010, "OW", &[0; 512]).file()
}
