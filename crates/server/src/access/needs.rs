//! What a resource asks of whoever asks for it. A route that is not named here asks for an administrator, so that a new one is shut
//! until somebody has thought of it; one with a study in its path is asked about that study by itself.

use ::access::Right;
use axum::http::Method;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it speaks of no patient.
    Nothing,
    /// A page of ours: who is not signed in is led there.
    Page,
    /// Somebody whom we know.
    Somebody,
    /// Somebody; what is found is kept to what they may see.
    Search,
    /// Somebody who may store; of each instance it is decided when it is there.
    Store,
    /// A right to the study that the path names.
    Studies,
    /// A right to the studies that the query names.
    Named,
    /// An administrator, or somebody at the machine itself.
    Operator,
    /// An administrator. Of a server that asks nobody who they are: anyone may look, and somebody at the machine itself may change something.
    Keeper,
    /// An administrator.
    Administrator,
}

const ROUTES: &[(&str, Needs)] = &[
    ("/healthz", Needs::Nothing),
    ("/readyz", Needs::Nothing),
    ("/openapi.json", Needs::Nothing),
    ("/start.css", Needs::Nothing),
    ("/start.js", Needs::Nothing),
    ("/start.svg", Needs::Nothing),
    ("/status.css", Needs::Nothing),
    ("/status.js", Needs::Nothing),
    ("/sign-in", Needs::Nothing),
    ("/sign-in.css", Needs::Nothing),
    ("/sign-in/provider", Needs::Nothing),
    ("/sign-in/provider/back", Needs::Nothing),
    ("/sign-out", Needs::Nothing),
    ("/welcome/{token}", Needs::Nothing),
    ("/", Needs::Page),
    ("/viewer", Needs::Page),
    ("/viewer/", Needs::Page),
    ("/viewer/{*path}", Needs::Page),
    ("/light", Needs::Page),
    ("/light/", Needs::Page),
    ("/status.json", Needs::Somebody),
    ("/metrics", Needs::Operator),
    ("/status", Needs::Keeper),
    ("/status/now", Needs::Keeper),
    ("/status/lists/{list}", Needs::Keeper),
    ("/status/lists/failed/again", Needs::Keeper),
    ("/status/lists/conflicts/keep", Needs::Keeper),
    ("/status/lists/conflicts/serve", Needs::Keeper),
    ("/changes", Needs::Search),
    ("/events", Needs::Search),
    ("/session", Needs::Somebody),
    ("/session/{id}/events", Needs::Somebody),
    ("/worklist", Needs::Store),
    ("/worklist/performed", Needs::Store),
    ("/wado", Needs::Named),
    ("/dicom-web", Needs::Named),
    ("/dicom-web/", Needs::Named),
    ("/dicom-web/wado", Needs::Named),
    ("/dicom-web/capabilities", Needs::Somebody),
    ("/dicom-web/studies", Needs::Search),
    ("/dicom-web/series", Needs::Search),
    ("/dicom-web/instances", Needs::Search),
];

impl Needs {
    /// Of a request; `None`: no route has the path, and a file of the viewer may.
    pub fn of(method: &Method, route: Option<&str>, path: &str) -> Needs {
        let Some(route) = route else { return Needs::Nothing };
        let of_study = route.split('/').any(|piece| piece == "{study}");
        let below_root = route.starts_with("/dicom-web");
        match ROUTES.iter().find(|(known, _)| *known == route).map(|(_, needs)| *needs) {
            // It says what may be asked, and looks at nothing.
            _ if *method == Method::OPTIONS && below_root => Needs::Nothing,
            _ if of_study && *method == Method::POST => Needs::Store,
            _ if of_study => Needs::Studies,
            Some(Needs::Search) if *method == Method::POST => Needs::Store,
            // Files of the application hold nothing of the archive.
            Some(Needs::Page) if path.rsplit('/').next().is_some_and(|name| name.contains('.')) => Needs::Nothing,
            Some(needs) => needs,
            None => Needs::Administrator,
        }
    }
}

/// The right that a method asks for.
pub fn right(method: &Method) -> Right {
    match *method {
        Method::POST | Method::PUT | Method::PATCH => Right::Write,
        Method::DELETE => Right::Delete,
        _ => Right::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_shut() {
        let of = |method: Method, route| Needs::of(&method, Some(route), route);
        assert_eq!(of(Method::GET, "/backup"), Needs::Administrator);
        assert_eq!(of(Method::GET, "/dicom-web/patients"), Needs::Administrator);
        assert_eq!(of(Method::GET, "/dicom-web/studies/{study}/anything"), Needs::Studies);
        assert_eq!(of(Method::DELETE, "/dicom-web/studies/{study}"), Needs::Studies);
        assert_eq!(of(Method::POST, "/dicom-web/studies/{study}"), Needs::Store);
        assert_eq!(of(Method::POST, "/dicom-web/studies"), Needs::Store);
        assert_eq!(of(Method::GET, "/worklist"), Needs::Store);
        assert_eq!(of(Method::OPTIONS, "/dicom-web/studies/{study}"), Needs::Nothing);
        assert_eq!(Needs::of(&Method::GET, Some("/viewer/{*path}"), "/viewer/app.js"), Needs::Nothing);
        assert_eq!(Needs::of(&Method::GET, Some("/viewer/{*path}"), "/viewer/viewer"), Needs::Page);
    }
}
