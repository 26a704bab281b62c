//! The server: connections in bounds, each association on a thread of its own, which reads, stores and answers in one go.

use crate::association::Association;
use crate::command::{Command, field};
use crate::commit;
use crate::error::Error;
use crate::find;
use crate::line::Line;
use crate::negotiate::{self, Access, Caller, Refused};
use crate::peers::Peer;
use crate::performed;
use crate::retrieve;
use crate::send::Call;
use crate::slots::Slots;
use crate::status;
use crate::store;
use crate::times::Times;
use crate::tls::{Acceptor, Requester};
use crate::uids;
use crate::wire::{Incoming, Wire};
use crate::worklist;
use archive::Archive;
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult, AssociationRJServiceProviderPresentationReason as Limit, AssociationRJSource,
    AssociationRQ,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Messages that are under way when the server stops have so long to end.
const LAST_TIME: Duration = Duration::from_secs(10);
/// Room for the stack of an association's thread; memory only as far as it is used.
const STACK: usize = 2 << 20;

/// What a server works with.
#[derive(Clone)]
pub struct Config {
    /// Where objects go, and where they come from.
    pub archive: Archive,
    /// Our title, and who may call.
    pub access: Access,
    /// Bounds.
    pub limits: Limits,
    /// TLS is spoken on the port, and nothing else.
    pub tls: Option<Acceptor>,
    /// What peers with TLS are called with.
    pub calls: Option<Requester>,
}

impl Config {
    /// A call of this server to a peer.
    pub(crate) fn call(&self, peer: &Peer, stop: &Arc<AtomicBool>) -> Call {
        let (title, limits, tls) = (self.access.title.clone(), self.limits, self.calls.clone());
        Call { peer: peer.clone(), title, limits, tls, stop: stop.clone() }
    }
}

/// What one peer, and all of them together, may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Associations at once; half of them from one address.
    pub associations: usize,
    /// Bytes of a P-DATA-TF PDU that are taken.
    pub pdu: u32,
    /// How long is waited.
    pub times: Times,
    /// How long the index may take for all answers to a C-FIND.
    pub search: Duration,
    /// Matches of a C-FIND that are gone through.
    pub matches: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            associations: 64,
            pdu: 128 << 10,
            times: Times::default(),
            search: Duration::from_secs(30),
            matches: 200_000,
        }
    }
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What all associations share.
pub(crate) struct Shared {
    pub config: Config,
    pub stop: Arc<AtomicBool>,
}

impl Server {
    /// Listens; port 0 takes a free one.
    pub async fn bind(address: SocketAddr, config: Config) -> Result<Server, Error> {
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        Ok(Server { listener, shared: Arc::new(Shared { config, stop: Arc::default() }) })
    }

    /// The address it listens on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Does it speak TLS?
    pub fn is_secured(&self) -> bool {
        self.shared.config.tls.is_some()
    }

    /// Answers until `shutdown` is done, then lets the messages end that are under way.
    pub async fn run(self, shutdown: impl Future) {
        let slots = Slots::new(self.shared.config.limits.associations);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let (stream, from) = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a DIMSE connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                _ = &mut shutdown => break,
            };
            // Who is not listed takes no room of those who are: it is only told so.
            let slot = match self.shared.config.access.lists(from.ip()) {
                Some(false) => slots.to_be_told(true),
                _ => slots.take(from.ip()),
            };
            let Some(slot) = slot else { continue };
            let shared = self.shared.clone();
            let work = move || {
                connection(stream, from, &shared, slot.has_room);
                drop(slot);
            };
            let started = thread::Builder::new().name("association".into()).stack_size(STACK).spawn(work);
            if let Err(error) = started {
                tracing::error!(%error, "cannot start a thread for an association");
            }
        }
        drop(self.listener);
        self.shared.stop.store(true, Ordering::SeqCst);
        if !slots.ended(LAST_TIME).await {
            tracing::warn!("stopped while associations were still open");
        }
    }
}

/// One connection, from its first byte to its last.
fn connection(stream: TcpStream, from: SocketAddr, shared: &Shared, has_room: bool) {
    let ended = stream.into_std().and_then(|stream| {
        stream.set_nonblocking(false)?;
        Ok(stream)
    });
    let access = &shared.config.access;
    if access.lists(from.ip()).is_none() && !access.peers.iter().any(|peer| peer.is_at(from.ip())) {
        tracing::warn!(%from, "connection closed: no peer has this address");
        return;
    }
    let ended = ended.map_err(Error::from).and_then(|stream| {
        let limits = shared.config.limits;
        let line = match &shared.config.tls {
            Some(tls) => Line::accepted(stream, tls, &limits.times, &shared.stop)?,
            None => Line::plain(stream, &limits.times)?,
        };
        let mut wire = Wire::new(line, limits.pdu, limits.times, shared.stop.clone());
        match wire.read(limits.times.negotiation, false)? {
            Incoming::Negotiation(Pdu::AssociationRQ(request)) => {
                let certificate = shared.config.tls.as_ref().and_then(|tls| tls.named(wire.certificate()));
                let caller = Caller { from: from.ip(), is_secured: wire.is_secured(), certificate };
                negotiated(wire, &request, &caller, shared, has_room)
            }
            _ => {
                wire.abort(true);
                Err(Error::Protocol("a connection did not begin with A-ASSOCIATE-RQ"))
            }
        }
    });
    match ended {
        Ok(()) => {}
        Err(error @ (Error::Tls(_) | Error::IsTls)) => tracing::warn!(%from, %error, "connection closed"),
        // Scanners go away in the middle; whoever is at fault, the next association begins anew.
        Err(error) => tracing::info!(%from, %error, "association ended"),
    }
}

fn negotiated(
    mut wire: Wire,
    request: &AssociationRQ,
    caller: &Caller,
    shared: &Shared,
    has_room: bool,
) -> Result<(), Error> {
    let from = caller.from;
    let agreed = match has_room {
        true => negotiate::answer(request, &shared.config.access, caller, shared.config.limits.pdu),
        false => Err(Refused {
            answer: AssociationRJ {
                result: AssociationRJResult::Transient,
                source: AssociationRJSource::ServiceProviderPresentation(Limit::LocalLimitExceeded),
            },
            why: "there is no room for another",
        }),
    };
    let (calling, called) = (request.calling_ae_title.escape_debug(), request.called_ae_title.escape_debug());
    let agreed = match agreed {
        Ok(agreed) => agreed,
        Err(Refused { answer, why }) => {
            tracing::warn!(%from, %calling, %called, reason = %answer.source, why, "association refused");
            wire.write_pdu(&Pdu::AssociationRJ(answer))?;
            wire.wait_for_end();
            return Ok(());
        }
    };
    tracing::debug!(%from, %calling, %called, contexts = agreed.contexts.len(), "association accepted");
    wire.write_pdu(&Pdu::AssociationAC(agreed.answer))?;
    let calling = request.calling_ae_title.clone();
    let mut association = Association::new(wire, agreed.contexts, calling, agreed.peer_most);
    match answer_all(&mut association, shared) {
        Err(error @ (Error::Closed | Error::Aborted)) => Err(error),
        Err(error) => {
            association.abort(&error);
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

/// Answers messages until the release.
fn answer_all(association: &mut Association, shared: &Shared) -> Result<(), Error> {
    while let Some((context, command)) = association.next()? {
        match command.field() {
            field::ECHO if context.abstract_syntax == uids::VERIFICATION => {
                association.skip_data(context.id, &command)?;
                association.send(context.id, Command::response(&command, status::SUCCESS), None)?;
            }
            field::STORE if !shared.config.access.may_store => {
                association.skip_data(context.id, &command)?;
                association.send(context.id, Command::response(&command, status::NOT_AUTHORIZED), None)?;
            }
            field::STORE => {
                let caller = shared.config.access.identity(&association.calling);
                store::answer(association, &shared.config.archive, &caller, &context, &command)?;
            }
            field::FIND if uids::is_find(&context.abstract_syntax) => {
                find::answer(association, &shared.config, &context, &command)?;
            }
            field::MOVE if uids::is_move(&context.abstract_syntax) => {
                retrieve::answer(association, shared, &context, &command)?;
            }
            field::GET if uids::is_get(&context.abstract_syntax) => {
                retrieve::answer(association, shared, &context, &command)?;
            }
            field::FIND if context.abstract_syntax == uids::WORKLIST_FIND => {
                worklist::answer(association, &shared.config, &context, &command)?;
            }
            field::CREATE | field::SET if context.abstract_syntax == uids::PERFORMED_STEP => {
                performed::answer(association, &shared.config, &context, &command)?;
            }
            field::ACTION if context.abstract_syntax == uids::STORAGE_COMMITMENT => {
                commit::answer(association, shared, &context, &command)?;
            }
            // It came too late: what it names is done.
            field::CANCEL => {}
            kind if kind & field::RESPONSE != 0 => return Err(Error::Protocol("a response without a request")),
            _ => {
                association.skip_data(context.id, &command)?;
                association.send(context.id, Command::response(&command, status::UNRECOGNIZED), None)?;
            }
        }
    }
    Ok(())
}
