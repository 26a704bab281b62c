//! What conversion tells while it runs, and at its end.

use store::index::InstanceKey;

use crate::error::Error;

/// What happened to one instance, told while [`Archive::convert_pending`](crate::Archive::convert_pending) runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Re-encoded, verified and swapped in.
    Converted {
        /// The instance.
        key: InstanceKey,
        /// The rule that asked for it.
        rule: String,
        /// Transfer syntax UID before.
        from: String,
        /// Transfer syntax UID after.
        to: String,
        /// Bytes of the received object.
        bytes_in: u64,
        /// Bytes of the converted object.
        bytes_out: u64,
        /// Frames.
        frames: u32,
    },
    /// Stays as received.
    Kept {
        /// The instance.
        key: InstanceKey,
        /// The rule that says so.
        rule: String,
        /// Why.
        reason: String,
    },
    /// Could not be converted now; stays as received, and the reason is recorded.
    Failed {
        /// The instance.
        key: InstanceKey,
        /// Why.
        error: Error,
    },
}

/// Counts of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Instances re-encoded.
    pub converted: u64,
    /// Instances kept as received.
    pub kept: u64,
    /// Instances that failed.
    pub failed: u64,
    /// Received bytes of the instances converted.
    pub bytes_in: u64,
    /// Stored bytes of the instances converted.
    pub bytes_out: u64,
}

impl Summary {
    pub(crate) fn count(&mut self, event: &Event) {
        match event {
            Event::Converted { bytes_in, bytes_out, .. } => {
                self.converted += 1;
                self.bytes_in += bytes_in;
                self.bytes_out += bytes_out;
            }
            Event::Kept { .. } => self.kept += 1,
            Event::Failed { .. } => self.failed += 1,
        }
    }
}
