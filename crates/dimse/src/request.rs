//! Associations that this side requests (PS3.8 7.1.1).

use crate::association::{Association, Context};
use crate::error::Error;
use crate::line::Line;
use crate::negotiate::{peer_most, trimmed};
use crate::send::Call;
use crate::uids;
use crate::wire::{Incoming, Wire};
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AssociationRJResult, AssociationRQ, PresentationContextProposed, PresentationContextResultReason, RequestorRoles,
    UserVariableItem,
};
use std::net::{TcpStream, ToSocketAddrs};

/// Presentation contexts that one association can have: their numbers are the odd ones of a byte.
pub const MOST_CONTEXTS: usize = 128;

/// A context as it is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// SOP class or service.
    pub class: String,
    /// Transfer syntaxes, best first.
    pub syntaxes: Vec<String>,
    /// This side wants to be sent such objects (C-GET).
    pub receive: bool,
}

impl Proposed {
    /// A service, or a class of objects to send, in these transfer syntaxes.
    pub fn new(class: &str, syntaxes: &[&str]) -> Proposed {
        let syntaxes = syntaxes.iter().map(|syntax| syntax.to_string()).collect();
        Proposed { class: class.to_owned(), syntaxes, receive: false }
    }
}

/// Requests an association. Of more contexts than one can have, the last are not proposed.
pub fn associate(call: &Call, proposed: &[Proposed]) -> Result<Association, Error> {
    let proposed = &proposed[..proposed.len().min(MOST_CONTEXTS)];
    let limits = &call.limits;
    let mut wire = Wire::new(connect(call)?, limits.pdu, limits.times, call.stop.clone());
    wire.write_pdu(&Pdu::AssociationRQ(request(call, proposed)))?;
    let answer = match wire.read(limits.times.negotiation, false)? {
        Incoming::Negotiation(Pdu::AssociationAC(answer)) => answer,
        Incoming::Negotiation(Pdu::AssociationRJ(refusal)) => {
            let when = if refusal.result == AssociationRJResult::Transient { "for now, " } else { "" };
            return Err(Error::Rejected(format!("{when}{}", refusal.source)));
        }
        _ => {
            wire.abort(true);
            return Err(Error::Protocol("no answer to A-ASSOCIATE-RQ"));
        }
    };
    let receives = |class: &str| {
        let role = |item: &UserVariableItem| matches!(item, UserVariableItem::ScuScpRoleSelectionSubItem(of, roles) if trimmed(of) == class && roles.scp);
        answer.user_variables.iter().any(role)
    };
    let accepted =
        answer.presentation_contexts.iter().filter(|c| c.reason == PresentationContextResultReason::Acceptance);
    let context = |result: &dicom_ul::pdu::PresentationContextResult| {
        let proposed = proposed.get(usize::from(result.id / 2)).filter(|_| result.id % 2 == 1)?;
        Some(Context {
            id: result.id,
            abstract_syntax: proposed.class.clone(),
            transfer_syntax: trimmed(&result.transfer_syntax).to_owned(),
            requestor_is_scp: proposed.receive && receives(&proposed.class),
        })
    };
    let contexts = accepted.filter_map(context).collect();
    let most = peer_most(&answer.user_variables);
    Ok(Association::new(wire, contexts, call.title.to_string(), most))
}

fn connect(call: &Call) -> Result<Line, Error> {
    let times = &call.limits.times;
    if !call.peer.tls {
        return Line::plain(reach(call)?, times);
    }
    let tls = call.tls.as_ref().ok_or_else(|| Error::Tls(format!("{} is to be called with it", call.peer)))?;
    Line::requested(reach(call)?, tls, &call.peer.host, times, &call.stop)
}

fn reach(Call { peer, limits, .. }: &Call) -> Result<TcpStream, Error> {
    let reach = |source| Error::Reach { peer: peer.to_string(), source };
    let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
    for address in (peer.host.as_str(), peer.port).to_socket_addrs().map_err(reach)? {
        match TcpStream::connect_timeout(&address, limits.times.negotiation) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(reach(last))
}

fn request(call: &Call, proposed: &[Proposed]) -> AssociationRQ {
    let context = |(n, proposed): (usize, &Proposed)| PresentationContextProposed {
        id: (2 * n + 1) as u8,
        abstract_syntax: proposed.class.clone(),
        transfer_syntaxes: proposed.syntaxes.clone(),
    };
    let mut user_variables = vec![
        UserVariableItem::MaxLength(call.limits.pdu),
        UserVariableItem::ImplementationClassUID(transcode::IMPLEMENTATION_CLASS_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(transcode::IMPLEMENTATION_VERSION_NAME.to_owned()),
    ];
    let mut told: Vec<&str> = proposed.iter().filter(|p| p.receive).map(|p| p.class.as_str()).collect();
    told.sort_unstable();
    told.dedup();
    let roles = RequestorRoles { scu: false, scp: true };
    user_variables.extend(told.into_iter().map(|c| UserVariableItem::ScuScpRoleSelectionSubItem(c.to_owned(), roles)));
    AssociationRQ {
        protocol_version: 1,
        calling_ae_title: call.title.to_string(),
        called_ae_title: call.peer.title.to_string(),
        application_context_name: uids::APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: proposed.iter().enumerate().map(context).collect(),
        user_variables,
    }
}
