//! The table of resources: every path with what may be asked of it and in which forms it is given.

/// A resource and one method of it.
pub struct Resource {
    /// GET, POST or DELETE. HEAD comes with every GET, OPTIONS with everything below the DICOMweb root.
    pub method: &'static str,
    /// Path, its parameters in braces.
    pub path: &'static str,
    /// What it is.
    pub summary: &'static str,
    /// Names of query parameters, each one of [`QUERIES`].
    pub query: &'static [&'static str],
    /// Media types of the body of a request.
    pub body: &'static [&'static str],
    /// Media types.
    pub media: &'static [&'static str],
    /// Statuses beside 200 and those that any resource may answer with.
    pub statuses: &'static [u16],
}

/// A query parameter: its name, its type in JSON Schema, what it means.
pub const QUERIES: [(&str, &str, &str); 36] = [
    ("accept", "string", "Media types, before those of the Accept header"),
    ("after", "integer", "The number of the last change that is known"),
    ("annotation", "string", "`patient`, `technique` or both, joined by a comma: words burned in"),
    ("charset", "string", "`utf-8`: the one that is given"),
    ("columns", "integer", "At most so many columns"),
    ("contentType", "string", "Media types, best first"),
    ("frameNumber", "integer", "A frame, from 1"),
    ("fuzzymatching", "boolean", "Person names match by the beginnings of their words"),
    ("iccprofile", "string", "`no`, `yes`, `srgb`, `adobergb`, `rommrgb` or `displayp3`"),
    ("imageQuality", "integer", "JPEG quality, 1 to 100"),
    ("includefield", "string", "`all`, or tags or keywords joined by commas"),
    ("level", "integer", "Every side halved so many times: images of their own, derived from those that are named"),
    ("limit", "integer", "At most so many; 200 without it, never more than 1000"),
    ("objectUID", "string", "SOP Instance UID"),
    ("offset", "integer", "Skip so many"),
    ("quality", "integer", "JPEG quality, 1 to 100"),
    ("region", "string", "Left, top, right and bottom of a region as shares of the image, joined by commas"),
    ("requestType", "string", "`WADO`"),
    ("rows", "integer", "At most so many rows"),
    ("series", "string", "The first picture of this series"),
    ("seriesUID", "string", "Series Instance UID"),
    ("studyUID", "string", "Study Instance UID"),
    ("transferSyntax", "string", "Transfer syntax UID of a DICOM file"),
    (
        "viewport",
        "string",
        "Columns and rows to fit into; then first column and row, columns and rows of a region, negative ones mirrored",
    ),
    ("window", "string", "Center, width and `linear`, `linear-exact` or `sigmoid`, joined by commas"),
    ("windowCenter", "number", "Center of a window"),
    ("windowWidth", "number", "Width of a window"),
    ("AccessionNumber", "string", "Matches by Accession Number"),
    ("Modality", "string", "Matches by the modality of the step"),
    ("ModalitiesInStudy", "string", "Matches by a modality of the study"),
    (
        "PatientID",
        "string",
        "Matches by Patient ID; any other attribute of the search is named like this, by keyword or tag",
    ),
    ("PatientName", "string", "Matches by name; `*` and `?` are wild cards"),
    ("ScheduledProcedureStepStartDate", "string", "Matches by a date of the step, or a range as A-B"),
    ("ScheduledStationAETitle", "string", "Matches by the AE title of a station"),
    ("StudyDate", "string", "Matches by a date, or a range as A-B"),
    ("StudyInstanceUID", "string", "Matches by UIDs, joined by commas"),
];

const SEARCH: &[&str] = &[
    "limit",
    "offset",
    "fuzzymatching",
    "includefield",
    "accept",
    "charset",
    "PatientName",
    "PatientID",
    "StudyDate",
    "AccessionNumber",
    "ModalitiesInStudy",
    "StudyInstanceUID",
];
const RENDERED: &[&str] = &["accept", "viewport", "window", "quality", "annotation", "iccprofile"];
const WADO: &[&str] = &[
    "requestType",
    "studyUID",
    "seriesUID",
    "objectUID",
    "contentType",
    "transferSyntax",
    "frameNumber",
    "rows",
    "columns",
    "region",
    "windowCenter",
    "windowWidth",
    "imageQuality",
    "annotation",
];
const WORKLIST: &[&str] = &[
    "limit",
    "offset",
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "StudyInstanceUID",
    "Modality",
    "ScheduledProcedureStepStartDate",
    "ScheduledStationAETitle",
];
const METADATA: &[&str] = &["accept", "charset", "includefield"];
const ACCEPT: &[&str] = &["accept"];
const FILES: &[&str] = &["accept", "level"];

const MODELS: &[&str] = &["application/dicom+json", "multipart/related; type=\"application/dicom+xml\""];
const DICOM: &[&str] = &["multipart/related; type=\"application/dicom\"", "application/zip"];
const ONE_DICOM: &[&str] = &["multipart/related; type=\"application/dicom\"", "application/dicom", "application/zip"];
const PIXELS: &[&str] = &[
    "multipart/related; type=\"application/octet-stream\"",
    "multipart/related; type=\"image/jls\"",
    "multipart/related; type=\"image/jphc\"",
    "multipart/related; type=\"image/jpeg\"",
    "multipart/related; type=\"image/jxl\"",
];
const VALUES: &[&str] = &["multipart/related; type=\"application/octet-stream\"", "application/octet-stream"];
const IMAGES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/jxl"];
const MANY_IMAGES: &[&str] = &[
    "multipart/related; type=\"image/jpeg\"",
    "multipart/related; type=\"image/png\"",
    "image/jpeg",
    "image/png",
    "image/gif",
];
const WADO_MEDIA: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/jxl", "application/dicom"];
const ITEMS: &[&str] = &["application/dicom+json"];
const JSON: &[&str] = &["application/json"];
const TEXT: &[&str] = &["text/plain"];
const HTML: &[&str] = &["text/html"];

const STORED: &[&str] = &[
    "multipart/related; type=\"application/dicom\"",
    "multipart/related; type=\"application/dicom+json\"",
    "multipart/related; type=\"application/dicom+xml\"",
    "application/dicom",
];
const STORE_ANSWERS: &[&str] = &["application/dicom+json", "application/dicom+xml"];
const STORE_STATUSES: &[u16] = &[202, 405, 406, 408, 409, 413, 415, 507];

/// Statuses of what has ranges and entity tags.
const RANGES: &[u16] = &[206, 304, 404, 406, 416];
const TAGGED: &[u16] = &[304, 404, 406];
const MADE: &[u16] = &[404, 406];
const FOUND: &[u16] = &[304, 406];

const fn get(
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    media: &'static [&'static str],
    statuses: &'static [u16],
) -> Resource {
    Resource { method: "GET", path, summary, query, body: &[], media, statuses }
}

const fn post(
    path: &'static str,
    summary: &'static str,
    body: &'static [&'static str],
    media: &'static [&'static str],
    statuses: &'static [u16],
) -> Resource {
    Resource { method: "POST", path, summary, query: &[], body, media, statuses }
}

const fn delete(path: &'static str, summary: &'static str) -> Resource {
    Resource { method: "DELETE", path, summary, query: &[], body: &[], media: &[], statuses: &[204, 404, 405, 409] }
}

macro_rules! below {
    (study $rest:literal) => {
        concat!("/dicom-web/studies/{study}", $rest)
    };
    (series $rest:literal) => {
        concat!("/dicom-web/studies/{study}/series/{series}", $rest)
    };
    (instance $rest:literal) => {
        concat!("/dicom-web/studies/{study}/series/{series}/instances/{instance}", $rest)
    };
    (frames $rest:literal) => {
        concat!("/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}", $rest)
    };
}

/// Everything that is served, but the files of the pages.
pub const RESOURCES: &[Resource] = &[
    get("/", "The list of studies", &[], HTML, &[]),
    get(
        "/changes",
        "What was stored, converted, deleted, restored and corrected, in order",
        &["after", "limit"],
        JSON,
        &[400],
    ),
    get("/events", "The same as it happens", &["after"], &["text/event-stream"], &[400]),
    get("/healthz", "It runs", &[], TEXT, &[]),
    get("/metrics", "Counters in the Prometheus text format", &[], TEXT, &[]),
    get("/openapi.json", "This description", &[], JSON, &[]),
    get("/readyz", "It can answer", &[], TEXT, &[]),
    get("/status", "The page for those who run it", &[], HTML, &[]),
    get("/status/lists/failed", "Failed conversions, a page at a time", &[], JSON, &[400]),
    post("/status/lists/failed/again", "Try a failed conversion again", JSON, &[], &[204, 404]),
    post(
        "/status/lists/conflicts/keep",
        "Keep what is served, and take another object off the list",
        JSON,
        &[],
        &[204, 404],
    ),
    post("/status/lists/conflicts/serve", "Serve another object under the same UIDs", JSON, &[], &[204, 404, 409]),
    get("/status/now", "Figures of this moment", &[], JSON, &[]),
    get("/status.json", "What is stored and how far conversion is", &[], JSON, &[]),
    get("/viewer", "The viewer", &[], HTML, &[404]),
    get("/wado", "One object by the parameters of a query (WADO-URI)", WADO, WADO_MEDIA, RANGES),
    get("/worklist", "What modalities have to do: the worklist", WORKLIST, ITEMS, &[]),
    get("/worklist/performed", "What modalities say that they do: performed procedure steps", &[], ITEMS, &[]),
    post(
        "/worklist",
        "Add items to the worklist, or change them, by study and step",
        &["application/dicom+json", "application/json"],
        ITEMS,
        &[201, 405, 409, 413, 415],
    ),
    Resource {
        method: "DELETE",
        path: "/worklist",
        summary: "Take items off the worklist",
        query: WORKLIST,
        body: &[],
        media: JSON,
        statuses: &[404, 405],
    },
    post("/session", "Begin a consultation", &[], JSON, &[201]),
    post("/session/{id}/events", "Tell a consultation something", JSON, &[], &[204, 404, 413, 429]),
    post("/dicom-web/studies", "Store instances", STORED, STORE_ANSWERS, STORE_STATUSES),
    post(below!(study ""), "Store instances of a study", STORED, STORE_ANSWERS, STORE_STATUSES),
    delete(below!(study ""), "Delete a study"),
    delete(below!(series ""), "Delete a series"),
    delete(below!(instance ""), "Delete an instance"),
    get(
        "/session/{id}/events",
        "Hear a consultation: hello, the state, then what the others tell",
        &[],
        &["text/event-stream"],
        &[404],
    ),
    get("/dicom-web/", "Capabilities", &[], &["application/vnd.sun.wadl+xml", "application/json"], &[]),
    get("/dicom-web/capabilities", "Capabilities", &[], &["application/vnd.sun.wadl+xml", "application/json"], &[]),
    get("/dicom-web/wado", "One object by the parameters of a query (WADO-URI)", WADO, WADO_MEDIA, RANGES),
    get("/dicom-web/studies", "Search for studies", SEARCH, MODELS, FOUND),
    get("/dicom-web/series", "Search for series", SEARCH, MODELS, FOUND),
    get("/dicom-web/instances", "Search for instances", SEARCH, MODELS, FOUND),
    get(below!(study "/series"), "Search for series of a study", SEARCH, MODELS, FOUND),
    get(below!(study "/instances"), "Search for instances of a study", SEARCH, MODELS, FOUND),
    get(below!(series "/instances"), "Search for instances of a series", SEARCH, MODELS, FOUND),
    get(below!(study ""), "All instances of a study", FILES, DICOM, RANGES),
    get(below!(series ""), "All instances of a series", FILES, DICOM, RANGES),
    get(below!(instance ""), "One instance", FILES, ONE_DICOM, RANGES),
    get(below!(study "/metadata"), "Metadata of a study", METADATA, MODELS, TAGGED),
    get(below!(series "/metadata"), "Metadata of a series", METADATA, MODELS, TAGGED),
    get(below!(instance "/metadata"), "Metadata of an instance", METADATA, MODELS, TAGGED),
    get(
        below!(study "/first"),
        "What a viewer needs to show a study's first picture, in one answer",
        &["series"],
        JSON,
        TAGGED,
    ),
    get(below!(series "/levels"), "Where each resolution level of each frame of a series ends", &[], JSON, TAGGED),
    get(below!(instance "/levels"), "Where each resolution level of each frame of an instance ends", &[], JSON, TAGGED),
    get(below!(study "/bulkdata"), "All bulk values of a study", ACCEPT, VALUES, MADE),
    get(below!(series "/bulkdata"), "All bulk values of a series", ACCEPT, VALUES, MADE),
    get(below!(instance "/bulkdata"), "All bulk values of an instance", ACCEPT, VALUES, MADE),
    get(below!(instance "/bulkdata/{path}"), "One bulk value", ACCEPT, VALUES, RANGES),
    get(below!(study "/pixeldata"), "All frames of a study", ACCEPT, PIXELS, MADE),
    get(below!(series "/pixeldata"), "All frames of a series", ACCEPT, PIXELS, MADE),
    get(below!(instance "/pixeldata"), "All frames of an instance", ACCEPT, PIXELS, MADE),
    get(below!(instance "/frames"), "All frames of an instance", ACCEPT, PIXELS, RANGES),
    get(
        below!(frames ""),
        "Frames as they are stored, decoded, or coded anew for who names a coding. Bodies of errors are empty",
        ACCEPT,
        PIXELS,
        RANGES,
    ),
    get(
        below!(study "/rendered"),
        "The images of a study for display, by their first frames",
        RENDERED,
        MANY_IMAGES,
        MADE,
    ),
    get(
        below!(series "/rendered"),
        "The images of a series for display, by their first frames",
        RENDERED,
        MANY_IMAGES,
        MADE,
    ),
    get(
        below!(instance "/rendered"),
        "An instance for display: its first frame, or all of them as GIF",
        RENDERED,
        IMAGES,
        RANGES,
    ),
    get(below!(frames "/rendered"), "Frames for display", RENDERED, MANY_IMAGES, RANGES),
    get(below!(study "/thumbnail"), "A small image of a study", RENDERED, IMAGES, RANGES),
    get(below!(series "/thumbnail"), "A small image of a series", RENDERED, IMAGES, RANGES),
    get(below!(instance "/thumbnail"), "A small image of an instance", RENDERED, IMAGES, RANGES),
    get(below!(frames "/thumbnail"), "A small image of a frame", RENDERED, IMAGES, RANGES),
];

/// What may be asked of a path, as Allow tells it. `matched` is the path of the router; `store`: may instances be stored and deleted?
pub fn allowed(matched: &str, store: bool) -> String {
    let path = matched.replace("{*", "{");
    let same = |resource: &&Resource| resource.path.trim_end_matches('/') == path.trim_end_matches('/');
    let mut methods = vec!["OPTIONS"];
    let may = |resource: &&Resource| store || (resource.body != STORED && resource.method != "DELETE");
    for resource in RESOURCES.iter().filter(same).filter(may) {
        methods.push(resource.method);
        if resource.method == "GET" {
            methods.push("HEAD");
        }
    }
    methods.sort_unstable();
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_described_once() {
        for resource in RESOURCES {
            for name in resource.query {
                assert_eq!(QUERIES.iter().filter(|query| query.0 == *name).count(), 1, "{name}");
            }
        }
        for (name, ..) in QUERIES {
            assert!(RESOURCES.iter().any(|resource| resource.query.contains(&name)), "{name} is of no resource");
        }
    }

    #[test]
    fn methods_of_a_path() {
        assert_eq!(allowed("/dicom-web/studies/{study}", true), "DELETE, GET, HEAD, OPTIONS, POST");
        assert_eq!(allowed("/dicom-web/studies/{study}", false), "GET, HEAD, OPTIONS");
        assert_eq!(allowed("/dicom-web", true), "GET, HEAD, OPTIONS");
        assert!(allowed("/session", false).contains("POST"));
    }
}
