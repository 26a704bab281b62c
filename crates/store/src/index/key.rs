//! The name of an instance in the index.

/// Study, series and SOP instance UID together.
///
/// The three make the key: the same SOP instance UID in two series is two instances.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceKey {
    /// Study Instance UID (0020,000D).
    pub study: String,
    /// Series Instance UID (0020,000E).
    pub series: String,
    /// SOP Instance UID (0008,0018).
    pub sop: String,
}
