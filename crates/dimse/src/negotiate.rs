//! What an association is agreed on, seen from who is called (PS3.8 7.1.1, PS3.7 Annex D).

use crate::association::Context;
use crate::peers::{AeTitle, Peer};
use crate::uids;
use ::access::{Grants, Identity, Who};
use dicom::syntax::Coding;
use dicom::{TransferSyntax, Uid};
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason as ByProtocol,
    AssociationRJServiceUserReason as ByUser, AssociationRJSource, AssociationRQ, PresentationContextProposed,
    PresentationContextResult, PresentationContextResultReason as Reason, RequestorRoles, UserVariableItem,
};
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
    fn refuses(&self, called: &str, calling: &str, from: IpAddr) -> Option<ByUser> {
        if self.peers.is_empty() {
            return None;
        }
        if !self.title.is(called) {
            return Some(ByUser::CalledAETitleNotRecognized);
        }
        let known = self.peers.iter().any(|peer| peer.title.is(calling) && peer.is_at(from));
        (!known).then_some(ByUser::CallingAETitleNotRecognized)
    }
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
pub fn answer(request: &AssociationRQ, access: &Access, from: IpAddr, most: u32) -> Result<Agreed, AssociationRJ> {
    if request.protocol_version & 1 == 0 {
        return Err(refused(AssociationRJSource::ServiceProviderASCE(ByProtocol::ProtocolVersionNotSupported)));
    }
    if trimmed(&request.application_context_name) != uids::APPLICATION_CONTEXT {
        return Err(refused(AssociationRJSource::ServiceUser(ByUser::ApplicationContextNameNotSupported)));
    }
    if let Some(reason) = access.refuses(&request.called_ae_title, &request.calling_ae_title, from) {
        return Err(refused(AssociationRJSource::ServiceUser(reason)));
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

fn refused(source: AssociationRJSource) -> AssociationRJ {
    AssociationRJ { result: AssociationRJResult::Permanent, source }
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

    fn answered(request: &AssociationRQ, peers: &[&str]) -> Result<Agreed, AssociationRJ> {
        answer(request, &access(peers), "127.0.0.1".parse().unwrap(), 4096)
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
        let worklist = "1.2.840.10008.5.1.4.31";
        let asked = request(&[
            (1, worklist, &["1.2.840.10008.1.2"]),
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
        let reason = |peers: &[&str]| answered(&asked, peers).err().map(|refused| refused.source);
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&["ct1@127.0.0.1:104"]), None);
        let calling = Some(AssociationRJSource::ServiceUser(ByUser::CallingAETitleNotRecognized));
        assert_eq!(reason(&["CT2@127.0.0.1:104"]), calling);
        assert_eq!(reason(&["CT1@127.0.0.2:104"]), calling, "the address counts too");
        let other = AssociationRQ { called_ae_title: "OTHER".into(), ..asked.clone() };
        let called = Some(AssociationRJSource::ServiceUser(ByUser::CalledAETitleNotRecognized));
        assert_eq!(answered(&other, &["CT1@127.0.0.1:104"]).err().map(|r| r.source), called);
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
        let contexts = |asked| answer(asked, &reader, "127.0.0.1".parse().unwrap(), 4096).unwrap().contexts.len();
        assert_eq!((contexts(&asked), contexts(&request(&[(1, CT, &["1.2.840.10008.1.2"])]))), (1, 0));
    }
}
