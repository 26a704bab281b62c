//! What happened goes into the record before it is answered.

use super::decide::Asked;
use super::needs::Needs;
use super::{For, Forwarded};
use crate::state::App;
use ::access::record::{Event, Kind};
use ::access::{Identity, Right, Who};
use axum::http::Extensions;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// Records that somebody is let in to studies, or searches.
pub async fn admitted(app: &Arc<App>, asked: &Asked, identity: &Identity, client: IpAddr) {
    let Some(book) = &app.config.record else { return };
    let kind = match (asked.needs, asked.right) {
        (Needs::Search, _) => Kind::Search,
        // The worklist and what is performed.
        (Needs::Store, Right::Read) => Kind::Search,
        (Needs::Studies | Needs::Named, Right::Delete) => Kind::Delete,
        (Needs::Studies | Needs::Named, _) => Kind::Read,
        // What is stored is known when it is there.
        _ => return,
    };
    let event =
        |study: Option<&String>| Event { who: identity.who().clone(), from: Some(client), kind, study: study.cloned() };
    if kind == Kind::Search {
        return book.note(event(None), None);
    }
    for study in &asked.studies {
        let event = event(Some(study));
        if !book.counts(&event) {
            note(app, event).await;
        }
    }
}

/// Notes an event with the patient of its study. Of what is not there, nothing was seen.
async fn note(app: &Arc<App>, event: Event) {
    let noted = app.read(move |app| {
        let study = event.study.as_deref().unwrap_or_default();
        let facts =
            app.door.facts(study).inspect_err(|error| tracing::error!(%error, "no patient for the record of access"));
        if let (Some(book), Ok(Some(facts))) = (&app.config.record, facts) {
            book.note(event, Some(&facts.patient));
        }
        Ok(())
    });
    // Whatever goes wrong holds nobody up.
    let _ = noted.await;
}

/// Records what was stored.
pub fn stored(app: &App, asker: &For, client: Option<IpAddr>, studies: BTreeSet<&str>) {
    let Some(book) = &app.config.record else { return };
    for study in studies {
        let patient = app.door.facts(study).ok().flatten().map(|facts| facts.patient.clone());
        let who = asker.0.who().clone();
        book.note(Event { who, from: client, kind: Kind::Store, study: Some(study.to_owned()) }, patient.as_deref());
    }
}

/// Records that somebody changed something of a study.
pub fn changed(app: &App, asker: &For, client: Option<IpAddr>, study: &str) {
    let Some(book) = &app.config.record else { return };
    let patient = app.door.facts(study).ok().flatten().map(|facts| facts.patient.clone());
    let who = asker.0.who().clone();
    book.note(Event { who, from: client, kind: Kind::Change, study: Some(study.to_owned()) }, patient.as_deref());
}

/// Records that somebody signed in or out, or tried to.
pub fn signed(app: &App, who: Who, client: IpAddr, kind: Kind) {
    if let Some(book) = &app.config.record {
        book.note(Event { who, from: Some(client), kind, study: None }, None);
    }
}

/// Where a request comes from.
pub fn client(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Forwarded>().map(|known| known.client)
}
