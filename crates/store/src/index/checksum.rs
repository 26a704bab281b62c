//! The checksum of a row: over the type, length and bytes of its values in the order of the columns, the same for every engine.
//!
//! Engines work it out in triggers, so that no writer can forget it; the scrubber works it out again.

use sha2::{Digest, Sha256};

/// The checksum of a row, value by value.
#[derive(Debug, Clone, Default)]
pub struct Checksum(Sha256);

impl Checksum {
    /// Adds nothing, where a value may be missing.
    pub fn null(&mut self) {
        self.add(0, &[]);
    }

    /// Adds a whole number.
    pub fn integer(&mut self, value: i64) {
        self.add(1, &value.to_le_bytes());
    }

    /// Adds a number with a fraction.
    pub fn real(&mut self, value: f64) {
        self.add(2, &value.to_le_bytes());
    }

    /// Adds a text, as the bytes of its UTF-8; one that is damaged may be none.
    pub fn text(&mut self, value: &[u8]) {
        self.add(3, value);
    }

    /// Adds bytes.
    pub fn blob(&mut self, value: &[u8]) {
        self.add(4, value);
    }

    /// The checksum.
    pub fn finish(self) -> [u8; 16] {
        let mut sum = [0; 16];
        sum.copy_from_slice(&self.0.finalize()[..16]);
        sum
    }

    fn add(&mut self, kind: u8, bytes: &[u8]) {
        self.0.update([kind]);
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored must stay what it is: worked out by another implementation of SHA-256.
    #[test]
    fn the_sum_of_a_row_never_changes() {
        let mut sum = Checksum::default();
        sum.null();
        sum.integer(-2);
        sum.text("é".as_bytes());
        sum.blob(&[0, 1]);
        sum.real(0.5);
        let hex: String = sum.finish().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "83b088ddac073faa87b2d69128c02386");
    }
}
