//! What an association is agreed on, seen from who is called (PS3.8 7.1.1, PS3.7 Annex D).

use crate::association::Context;
use crate::peers::{AeTitle, Peer};
use crate::tls;
use crate::uids;
use ::access::{Grants, Identity, Who};
use dicom::syntax::Coding;
use dicom::{TransferSyntax, Uid};
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason as ByProtocol,
    AssociationRJServiceUserReason as ByUser, AssociationRJSource, AssociationRQ, PresentationContextProposed,
    PresentationContextResult, PresentationContextResultReason as Reason, RequestorRoles, UserVariableItem,
};
use rustls::pki_types::CertificateDer;
use std::net::IpAddr;

/// Who may call.
#[derive(Debug, Clone)]
pub struct Access {
    /// Our own AE title.
    pub title: AeTitle,
    /// Who may call, and from where. Empty: everyone, by whatever title.
    pub peers: Vec<Peer>,
    /// Who may call may store.
    pub may_store: bool,
    /// What those of these titles may; others may everything.
    pub grants: Vec<(AeTitle, Grants)>,
}

impl Access {
    /// Who calls by this title, and what they may: all that is granted to it, if anything is.
    pub fn identity(&self, calling: &str) -> Identity {
        let own: Vec<_> = self.grants.iter().filter(|(title, _)| title.is(calling)).collect();
        let granted = match own.is_empty() {
            true => Grants::everything(),
            false => Grants(own.into_iter().flat_map(|(_, grants)| grants.0.iter().cloned()).collect()),
        };
        Identity::new(Who::Peer(calling.trim().to_owned()), granted)
    }

    /// Has one of the peers this address? `None` where names have to be looked up for that.
    pub fn lists(&self, from: IpAddr) -> Option<bool> {
        let from = from.to_canonical();
        let addresses = || self.peers.iter().map(|peer| peer.host.parse::<IpAddr>().ok());
        if self.peers.is_empty() || addresses().flatten().any(|address| address.to_canonical() == from) {
            return Some(true);
        }
        addresses().all(|address| address.is_some()).then_some(false)
    }

    /// Why a caller is not let in; `None` when it is.
    fn refuses(&self, called: &str, calling: &str, caller: &Caller) -> Option<(ByUser, &'static str)> {
        if self.peers.is_empty() {
            return None;
        }
        if !self.title.is(called) {
            return Some((ByUser::CalledAETitleNotRecognized, "it calls somebody else"));
        }
        let why = |why| Some((ByUser::CallingAETitleNotRecognized, why));
        let titled = || self.peers.iter().filter(|peer| peer.title.is(calling) && peer.is_at(caller.from));
        if titled().next().is_none() {
            return why("no peer of this title is there");
        }
        let mut secured = titled().filter(|peer| caller.is_secured || !peer.tls).peekable();
        if secured.peek().is_none() {
            return why("this peer has to call with TLS");
        }
        match secured.any(|peer| caller.is_known_as(&peer.host)) {
            true => None,
            false => why("its certificate is not made out for the machine of this peer"),
        }
    }
}

/// Where a caller is, and what it has shown of itself.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its address.
    pub from: IpAddr,
    /// It speaks TLS.
    pub is_secured: bool,
    /// Its certificate, where it counts for whom it is made out.
    pub certificate: Option<CertificateDer<'static>>,
}

impl Caller {
    fn is_known_as(&self, host: &str) -> bool {
        self.certificate.as_ref().is_none_or(|certificate| tls::is_for(certificate, host))
    }
}

/// Why a caller is not let in.
#[derive(Debug)]
pub struct Refused {
    /// The answer that says so.
    pub answer: AssociationRJ,
    /// Why, for our own log.
    pub why: &'static str,
}

/// What was agreed on.
#[derive(Debug)]
pub struct Agreed {
    /// The answer that says so.
    pub answer: AssociationAC,
    /// The contexts that were accepted.
    pub contexts: Vec<Context>,
    /// Bytes of a P-DATA-TF that the caller takes; 0: any number.
    pub peer_most: u32,
}

/// Answers a request. `most`: bytes of a P-DATA-TF that are taken.
pub fn answer(request: &AssociationRQ, access: &Access, caller: &Caller, most: u32) -> Result<Agreed, Refused> {
    if request.protocol_version & 1 == 0 {
        let source = AssociationRJSource::ServiceProviderASCE(ByProtocol::ProtocolVersionNotSupported);
        return Err(refused(source, "another version of the protocol"));
    }
    if trimmed(&request.application_context_name) != uids::APPLICATION_CONTEXT {
        let source = AssociationRJSource::ServiceUser(ByUser::ApplicationContextNameNotSupported);
        return Err(refused(source, "another application context"));
    }
    if let Some((reason, why)) = access.refuses(&request.called_ae_title, &request.calling_ae_title, caller) {
        return Err(refused(AssociationRJSource::ServiceUser(reason), why));
    }
    let roles = agreed_roles(&request.user_variables);
    let receives = |class: &str| roles.iter().any(|(of, roles)| of == trimmed(class) && roles.scp);
    let mut contexts: Vec<Context> = Vec::new();
    let mut results = Vec::with_capacity(request.presentation_contexts.len());
    for proposed in &request.presentation_contexts {
        let result = match contexts.iter().any(|known| known.id == proposed.id) {
            true => Err(Reason::NoReason),
            false => choose(proposed, access.may_store, receives(&proposed.abstract_syntax)),
        };
        let (reason, transfer_syntax) = match result {
            Ok(syntax) => (Reason::Acceptance, syntax),
            Err(reason) => (reason, TransferSyntax::IMPLICIT_LITTLE.to_owned()),
        };
        if reason == Reason::Acceptance {
            let class = trimmed(&proposed.abstract_syntax);
            contexts.push(Context {
                id: proposed.id,
                abstract_syntax: class.to_owned(),
                transfer_syntax: trimmed(&transfer_syntax).to_owned(),
                requestor_is_scp: receives(class),
            });
        }
        results.push(PresentationContextResult { id: proposed.id, reason, transfer_syntax });
    }
    let mut user_variables = vec![
        UserVariableItem::MaxLength(most),
        UserVariableItem::ImplementationClassUID(transcode::IMPLEMENTATION_CLASS_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(transcode::IMPLEMENTATION_VERSION_NAME.to_owned()),
    ];
    user_variables
        .extend(roles.into_iter().map(|(class, roles)| UserVariableItem::ScuScpRoleSelectionSubItem(class, roles)));
    let answer = AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling_ae_title.clone(),
        called_ae_title: request.called_ae_title.clone(),
        application_context_name: uids::APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results,
        user_variables,
    };
    Ok(Agreed { answer, contexts, peer_most: peer_most(&request.user_variables) })
}

/// Bytes of a P-DATA-TF that the other side takes; 0: any number.
pub fn peer_most(items: &[UserVariableItem]) -> u32 {
    let told = items.iter().find_map(|item| match item {
        UserVariableItem::MaxLength(most) => Some(*most),
        _ => None,
    });
    told.unwrap_or(16 << 10)
}

/// A UID without its padding.
pub fn trimmed(uid: &str) -> &str {
    uid.trim_matches(['\0', ' '])
}

fn refused(source: AssociationRJSource, why: &'static str) -> Refused {
    Refused { answer: AssociationRJ { result: AssociationRJResult::Permanent, source }, why }
}

/// The roles that a caller wants to play for classes of objects: it may have both.
fn agreed_roles(items: &[UserVariableItem]) -> Vec<(String, RequestorRoles)> {
    let role = |item: &UserVariableItem| match item {
        UserVariableItem::ScuScpRoleSelectionSubItem(class, roles) if uids::is_storage(trimmed(class)) => {
            Some((trimmed(class).to_owned(), *roles))
        }
        _ => None,
    };
    items.iter().filter_map(role).collect()
}

/// The transfer syntax for a context, or why there is none. Services speak Explicit or Implicit VR Little Endian; objects come as they
/// are, so the caller's order counts, but that explicit VRs go before implicit ones, which say less. Objects that the caller is sent
/// (C-GET) go in what every object can be made, as they may be stored in any syntax.
fn choose(proposed: &PresentationContextProposed, may_store: bool, receives: bool) -> Result<String, Reason> {
    let class = trimmed(&proposed.abstract_syntax);
    let offered = || proposed.transfer_syntaxes.iter().filter(|uid| Uid::parse(uid).is_some());
    if uids::is_service(class) {
        let spoken = [TransferSyntax::EXPLICIT_LITTLE, TransferSyntax::IMPLICIT_LITTLE];
        let found = spoken.iter().find_map(|spoken| offered().find(|uid| trimmed(uid) == *spoken));
        return found.cloned().ok_or(Reason::TransferSyntaxesNotSupported);
    }
    if !(may_store || receives) || !uids::is_storage(class) || proposed.id.is_multiple_of(2) {
        return Err(Reason::AbstractSyntaxNotSupported);
    }
    let rank = if receives { rank_to_send } else { rank };
    offered().min_by_key(|uid| rank(trimmed(uid))).cloned().ok_or(Reason::TransferSyntaxesNotSupported)
}

fn rank(uid: &str) -> u8 {
    match uid {
        TransferSyntax::IMPLICIT_LITTLE => 1,
        TransferSyntax::EXPLICIT_BIG => 2,
        uid if TransferSyntax::new(uid).coding() == Coding::Unknown => 3,
        _ => 0,
    }
}

fn rank_to_send(uid: &str) -> u8 {
    match uid {
        TransferSyntax::EXPLICIT_LITTLE => 0,
        TransferSyntax::IMPLICIT_LITTLE => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

    fn request(contexts: &[(u8, &str, &[&str])]) -> AssociationRQ {
        let context = |(id, class, syntaxes): &(u8, &str, &[&str])| PresentationContextProposed {
            id: *id,
            abstract_syntax: class.to_string(),
            transfer_syntaxes: syntaxes.iter().map(|s| s.to_string()).collect(),
        };
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "CT1".into(),
            called_ae_title: "FIRSTLIGHT".into(),
            application_context_name: uids::APPLICATION_CONTEXT.into(),
            presentation_contexts: contexts.iter().map(context).collect(),
            user_variables: vec![UserVariableItem::MaxLength(0)],
        }
    }

    fn access(peers: &[&str]) -> Access {
        let peers = peers.iter().map(|p| p.parse().unwrap()).collect();
        Access { title: "FIRSTLIGHT".parse().unwrap(), peers, may_store: true, grants: Vec::new() }
    }

    fn caller() -> Caller {
        Caller { from: "127.0.0.1".parse().unwrap(), is_secured: false, certificate: None }
    }

    fn answered(request: &AssociationRQ, peers: &[&str]) -> Result<Agreed, Refused> {
        answer(request, &access(peers), &caller(), 4096)
    }

    #[test]
    fn objects_come_as_they_are() {
        let of = |syntaxes: &[&str]| {
            let agreed = answered(&request(&[(1, CT, syntaxes)]), &[]).unwrap();
            agreed.contexts[0].transfer_syntax.clone()
        };
        let (implicit, explicit, big) = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2");
        assert_eq!(of(&["1.2.840.10008.1.2.4.70", explicit]), "1.2.840.10008.1.2.4.70");
        assert_eq!(of(&[implicit, big, explicit]), explicit);
        assert_eq!(of(&[big, implicit]), implicit);
        assert_eq!(of(&["1.2.3.4"]), "1.2.3.4", "also a private one");
    }

    #[test]
    fn what_is_not_known_is_refused_context_by_context() {
        let unified = "1.2.840.10008.5.1.4.34.6.3";
        let asked = request(&[
            (1, unified, &["1.2.840.10008.1.2"]),
            (3, uids::VERIFICATION, &["1.2.840.10008.1.2.4.70"]),
            (5, "1.2.999.1", &["1.2.840.10008.1.2"]),
            (6, CT, &["1.2.840.10008.1.2"]),
            (5, CT, &["1.2.840.10008.1.2"]),
        ]);
        let agreed = answered(&asked, &[]).unwrap();
        let reasons: Vec<_> = agreed.answer.presentation_contexts.iter().map(|c| c.reason.clone()).collect();
        use Reason::*;
        let refused = AbstractSyntaxNotSupported;
        assert_eq!(
            reasons,
            [refused.clone(), TransferSyntaxesNotSupported, Acceptance, refused, NoReason],
            "private classes are stored, even numbers and doubles are none"
        );
        assert_eq!(agreed.contexts.len(), 1);
    }

    #[test]
    fn only_who_is_listed() {
        let asked = request(&[]);
        let reason = |peers: &[&str]| answered(&asked, peers).err().map(|refused| refused.answer.source);
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&["ct1@127.0.0.1:104"]), None);
        let calling = Some(AssociationRJSource::ServiceUser(ByUser::CallingAETitleNotRecognized));
        assert_eq!(reason(&["CT2@127.0.0.1:104"]), calling);
        assert_eq!(reason(&["CT1@127.0.0.2:104"]), calling, "the address counts too");
        let other = AssociationRQ { called_ae_title: "OTHER".into(), ..asked.clone() };
        let called = Some(AssociationRJSource::ServiceUser(ByUser::CalledAETitleNotRecognized));
        assert_eq!(answered(&other, &["CT1@127.0.0.1:104"]).err().map(|r| r.answer.source), called);
    }

    #[test]
    fn a_peer_with_tls_calls_with_it_and_from_where_its_certificate_says() {
        let made = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap().cert.der().clone();
        let of = |peer: &str, is_secured, certificate| {
            let caller = Caller { is_secured, certificate, ..caller() };
            answer(&request(&[]), &access(&[peer]), &caller, 4096).err().map(|refused| refused.why)
        };
        let (plain, secured) = ("CT1@127.0.0.1:104", "CT1@127.0.0.1:104/tls");
        assert_eq!((of(plain, false, None), of(plain, true, None), of(secured, true, None)), (None, None, None));
        assert_eq!(of(secured, false, None), Some("this peer has to call with TLS"));
        assert_eq!(of(secured, true, Some(made("127.0.0.1"))), None);
        let other = Some("its certificate is not made out for the machine of this peer");
        assert_eq!(of(secured, true, Some(made("ct1.example.org"))), other);
        assert_eq!(of("CT1@localhost:104", true, Some(made("localhost"))), None);
    }

    #[test]
    fn addresses_are_known_before_a_word_is_said() {
        let of = |peers: &[&str], from: &str| access(peers).lists(from.parse().unwrap());
        let peers = ["A@10.0.0.1:104", "B@[::1]:104"];
        assert_eq!(of(&[], "10.0.0.9"), Some(true));
        assert_eq!(of(&peers, "::ffff:10.0.0.1"), Some(true));
        assert_eq!(of(&peers, "10.0.0.9"), Some(false));
        assert_eq!(of(&["A@10.0.0.1:104", "C@ct.example:104"], "10.0.0.9"), None, "names are looked up later");
    }

    #[test]
    fn who_is_served_objects_gets_what_any_can_be_made() {
        let of = |syntaxes: &[&str], scp: bool| {
            let mut asked = request(&[(1, CT, syntaxes)]);
            let roles = RequestorRoles { scu: !scp, scp };
            asked.user_variables.push(UserVariableItem::ScuScpRoleSelectionSubItem(CT.into(), roles));
            answered(&asked, &[]).unwrap().contexts[0].transfer_syntax.clone()
        };
        let (implicit, explicit, big) = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2");
        let jpeg_2000 = "1.2.840.10008.1.2.4.90";
        assert_eq!(of(&[jpeg_2000, implicit, explicit], true), explicit);
        assert_eq!(of(&[jpeg_2000, big, implicit], true), implicit);
        assert_eq!(of(&[jpeg_2000], true), jpeg_2000, "for objects that are stored so");
        assert_eq!(of(&[jpeg_2000, implicit, explicit], false), jpeg_2000, "who only sends");
    }

    #[test]
    fn who_asks_to_be_served_objects_may() {
        let mut asked = request(&[(1, CT, &["1.2.840.10008.1.2"])]);
        let roles = RequestorRoles { scu: false, scp: true };
        asked.user_variables.push(UserVariableItem::ScuScpRoleSelectionSubItem(CT.into(), roles));
        let agreed = answered(&asked, &[]).unwrap();
        assert!(agreed.contexts[0].requestor_is_scp);
        let told = UserVariableItem::ScuScpRoleSelectionSubItem(CT.into(), roles);
        assert!(agreed.answer.user_variables.contains(&told));
        // Where nothing is stored, this is the only use of such a context.
        let reader = Access { may_store: false, ..access(&[]) };
        let contexts = |asked| answer(asked, &reader, &caller(), 4096).unwrap().contexts.len();
        assert_eq!((contexts(&asked), contexts(&request(&[(1, CT, &["1.2.840.10008.1.2"])]))), (1, 0));
    }
}
