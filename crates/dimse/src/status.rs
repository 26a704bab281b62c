//! Statuses of responses (PS3.7 Annex C, PS3.4 B.2.3, C.4).

/// Done.
pub const SUCCESS: u16 = 0x0000;
/// Matches go on.
pub const PENDING: u16 = 0xFF00;
/// Matches go on; some keys were not matched by.
pub const PENDING_WITHOUT_SOME_KEYS: u16 = 0xFF01;
/// Ended by C-CANCEL.
pub const CANCELLED: u16 = 0xFE00;
/// No room, or the storage fails: another try may succeed.
pub const OUT_OF_RESOURCES: u16 = 0xA700;
/// The matches cannot be counted (C-MOVE, C-GET).
pub const CANNOT_COUNT: u16 = 0xA701;
/// C-MOVE names a destination that is not known.
pub const UNKNOWN_DESTINATION: u16 = 0xA801;
/// The data set is not what the command, or the level, says.
pub const DOES_NOT_MATCH: u16 = 0xA900;
/// Some sub-operations failed or had warnings.
pub const SOME_FAILED: u16 = 0xB000;
/// The data set cannot be understood.
pub const CANNOT_UNDERSTAND: u16 = 0xC000;
/// The SOP class is not supported here.
pub const CLASS_NOT_SUPPORTED: u16 = 0x0122;
/// No such argument (N-ACTION).
pub const INVALID_ARGUMENT: u16 = 0x0115;
/// An attribute has a value that it can't have (N-CREATE, N-SET).
pub const INVALID_VALUE: u16 = 0x0106;
/// One of this UID is there (N-CREATE).
pub const DUPLICATE_INSTANCE: u16 = 0x0111;
/// None of this UID is there (N-SET).
pub const NO_SUCH_INSTANCE: u16 = 0x0112;
/// An attribute that has to be there is not (N-CREATE).
pub const MISSING_ATTRIBUTE: u16 = 0x0120;
/// The caller may not do that.
pub const NOT_AUTHORIZED: u16 = 0x0124;
/// No such action.
pub const NO_SUCH_ACTION: u16 = 0x0123;
/// It failed for a reason that has no status of its own.
pub const PROCESSING_FAILURE: u16 = 0x0110;
/// Too much is under way.
pub const RESOURCE_LIMITATION: u16 = 0x0213;
/// The operation is not known.
pub const UNRECOGNIZED: u16 = 0x0211;

/// Was it done, if with a warning?
pub fn is_done(status: u16) -> bool {
    status == SUCCESS || is_warning(status)
}

/// A warning (0001, Bxxx, and the two of PS3.7 C.4).
pub fn is_warning(status: u16) -> bool {
    matches!(status, 0x0001 | 0x0107 | 0x0116) || status >> 12 == 0xB
}

/// More responses follow.
pub fn is_pending(status: u16) -> bool {
    matches!(status, PENDING | PENDING_WITHOUT_SOME_KEYS)
}
