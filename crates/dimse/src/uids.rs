//! SOP classes and services by UID (PS3.4, PS3.6 Annex A).

/// Verification.
pub const VERIFICATION: &str = "1.2.840.10008.1.1";
/// The application context of DICOM (PS3.7 A.2.1).
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
/// Patient Root Query/Retrieve, FIND.
pub const PATIENT_FIND: &str = "1.2.840.10008.5.1.4.1.2.1.1";
/// Patient Root Query/Retrieve, MOVE.
pub const PATIENT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.1.2";
/// Patient Root Query/Retrieve, GET.
pub const PATIENT_GET: &str = "1.2.840.10008.5.1.4.1.2.1.3";
/// Study Root Query/Retrieve, FIND.
pub const STUDY_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
/// Study Root Query/Retrieve, MOVE.
pub const STUDY_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
/// Study Root Query/Retrieve, GET.
pub const STUDY_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";
/// Storage Commitment Push Model.
pub const STORAGE_COMMITMENT: &str = "1.2.840.10008.1.20.1";
/// Its one instance.
pub const STORAGE_COMMITMENT_INSTANCE: &str = "1.2.840.10008.1.20.1.1";

/// Modality Worklist, FIND.
pub const WORKLIST_FIND: &str = "1.2.840.10008.5.1.4.31";
/// Modality Performed Procedure Step.
pub const PERFORMED_STEP: &str = "1.2.840.10008.3.1.2.3.3";

/// What is answered beside C-STORE.
const SERVICES: &[&str] = &[
    VERIFICATION,
    STORAGE_COMMITMENT,
    PATIENT_FIND,
    PATIENT_MOVE,
    PATIENT_GET,
    STUDY_FIND,
    STUDY_MOVE,
    STUDY_GET,
    WORKLIST_FIND,
    PERFORMED_STEP,
];

/// Ends of the UIDs of storage classes that archives mostly hold (PS3.4 B.5), behind 1.2.840.10008.5.1.4.1.1.
const USUAL: &[&str] = &[
    "1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "2", "2.1", "3.1", "4", "4.1", "4.2", "6.1", "6.2", "7", "7.1", "7.2",
    "7.3", "7.4", "9.1.1", "9.1.2", "9.1.3", "9.2.1", "11.1", "11.2", "12.1", "12.1.1", "12.2", "12.2.1", "13.1.1",
    "13.1.2", "13.1.3", "20", "30", "66", "66.1", "66.2", "66.3", "66.4", "77.1.1", "77.1.1.1", "77.1.2", "77.1.2.1",
    "77.1.3", "77.1.4", "77.1.4.1", "77.1.5.1", "77.1.5.2", "77.1.5.4", "77.1.6", "88.11", "88.22", "88.33", "88.34",
    "88.40", "88.50", "88.59", "88.65", "88.67", "104.1", "104.2", "128", "130", "481.1", "481.2", "481.3", "481.4",
    "481.5", "481.7", "481.8",
];

/// Storage classes that archives mostly hold.
pub fn usual_storage() -> impl Iterator<Item = String> {
    USUAL.iter().map(|end| format!("1.2.840.10008.5.1.4.1.1.{end}"))
}

/// Is it a service that is answered here?
pub fn is_service(uid: &str) -> bool {
    SERVICES.contains(&uid)
}

/// Is it a class of objects that are stored: one of the standard, or a private one?
pub fn is_storage(uid: &str) -> bool {
    let of_standard = uid.starts_with("1.2.840.10008.");
    let storage = uid.starts_with("1.2.840.10008.5.1.4.1.1.") || uid == "1.2.840.10008.5.1.4.34.7";
    storage || (!of_standard && dicom::Uid::parse(uid).is_some())
}

/// Is it a C-FIND of a query/retrieve model?
pub fn is_find(uid: &str) -> bool {
    matches!(uid, PATIENT_FIND | STUDY_FIND)
}

/// Is it a C-MOVE of a query/retrieve model?
pub fn is_move(uid: &str) -> bool {
    matches!(uid, PATIENT_MOVE | STUDY_MOVE)
}

/// Is it a C-GET of a query/retrieve model?
pub fn is_get(uid: &str) -> bool {
    matches!(uid, PATIENT_GET | STUDY_GET)
}
