//! Who is connected: so many at once, so many of one client, and who goes when room is short.
//!
//! A connection that has said nothing, or not a whole head, costs a client nothing and must cost others nothing: it goes first, then one that
//! waits for its next request, then one whose client does not take what it asked for. Nobody who is being answered goes. A few more than
//! those of the settings are let in for questions after the server's health, so that a monitor is answered whatever others do.

mod busy;
mod files;
mod seat;
mod service;
mod upload;
mod wire;

pub use seat::Seat;
pub use service::Seated;
pub use wire::Wire;

use files::Files;
use seat::Behaviour;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Connections beyond those of the settings, for questions after the server's health only.
const RESERVE: usize = 32;
/// A client that has taken nothing for so long may go when room is short.
const SLOW: Duration = Duration::from_secs(5);
/// Bytes of answers that wait for their clients to take them; beyond that the slowest go.
const MOST_HELD: u64 = 96 << 20;
/// Requests that are being answered; beyond that the slowest go that have many: one connection of HTTP/2 may.
const MOST_ANSWERS: usize = 4096;
const MANY: u32 = 16;

/// How many may be connected, and how long they may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub all: usize,
    /// Connections of one client at once; 0: as many as there are.
    pub of_client: usize,
    /// The first byte of a connection, and a head that has begun, are there by then.
    pub head: Duration,
    /// The next request of a connection begins by then.
    pub idle: Duration,
    /// A client that has not taken a byte for so long is gone.
    pub write: Duration,
}

/// What became of connections; read by the metrics.
#[derive(Debug, Default)]
pub struct Counts {
    /// Accepted.
    pub accepted: AtomicU64,
    /// Closed at once: there was no room.
    pub refused: AtomicU64,
    /// Closed to make room for others.
    pub displaced: AtomicU64,
    /// Closed because a time was over.
    pub late: AtomicU64,
}

/// All connections.
pub struct Connections {
    limits: Limits,
    began: Instant,
    table: Mutex<Table>,
    /// Bytes of answers that were given to connections and are not sent.
    held: AtomicU64,
    /// Requests that are being answered.
    answers: AtomicUsize,
    /// What became of them.
    pub counts: Counts,
}

#[derive(Default)]
struct Table {
    next: u64,
    seats: HashMap<u64, Arc<Seat>>,
    of_client: HashMap<IpAddr, usize>,
    reserved: usize,
}

/// Whose request it is: the address that counts as one client.
#[derive(Debug, Clone, Copy)]
pub struct Client(pub IpAddr);

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// A connection's place, given back when it is dropped.
pub struct Place {
    connections: Arc<Connections>,
    /// What is known of the connection.
    pub seat: Arc<Seat>,
    /// Its other end.
    pub address: IpAddr,
    /// The files that it sends.
    files: Arc<Files>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.table().remove(self.seat.number);
    }
}

impl Connections {
    /// None yet.
    pub fn new(limits: Limits) -> Arc<Connections> {
        Arc::new(Connections {
            limits,
            began: Instant::now(),
            table: Mutex::default(),
            held: AtomicU64::new(0),
            answers: AtomicUsize::new(0),
            counts: Counts::default(),
        })
    }

    /// A place for a new connection, if need be in exchange for another; `None`: there is no room at all.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let (client, now) = (client(address), self.now());
        let mut table = self.table();
        let full_of_client = self.limits.of_client > 0 && table.count(client) >= self.limits.of_client;
        let full = table.seats.len() - table.reserved >= self.limits.all;
        let has_room = match (full_of_client, full) {
            (false, false) => true,
            (true, _) => self.displace(&mut table, now, |seat| !seat.reserved && seat.client == client),
            (false, true) => self.displace(&mut table, now, |seat| !seat.reserved),
        };
        let reserved = !has_room;
        if reserved && table.reserved >= RESERVE && !self.displace(&mut table, now, |seat| seat.reserved) {
            self.counts.refused.fetch_add(1, Relaxed);
            return None;
        }
        self.counts.accepted.fetch_add(1, Relaxed);
        let seat = table.add(client, now, reserved);
        drop(table);
        Some(Place { connections: self.clone(), seat, address, files: Arc::default() })
    }

    /// Closes a connection that others can do without: the system has no room for more.
    pub fn give_way(&self) -> bool {
        self.displace(&mut self.table(), self.now(), |_| true)
    }

    /// Closes the connection that others can best do without, of those that `which` names.
    fn displace(&self, table: &mut Table, now: u64, which: impl Fn(&Seat) -> bool) -> bool {
        let may_go = |seat: &&Arc<Seat>| match seat.behaviour() {
            Behaviour::Silent { .. } | Behaviour::Idle { .. } => true,
            Behaviour::Slow { since } => now.saturating_sub(since) >= millis(SLOW),
            Behaviour::Busy => false,
        };
        // Who has most connections loses one first; of theirs, the one that was like this the longest.
        let worst = table.seats.values().filter(|seat| which(seat)).filter(may_go).min_by_key(|seat| {
            let behaviour = seat.behaviour();
            (behaviour.rank(), Reverse(table.count(seat.client)), behaviour.since())
        });
        let Some(worst) = worst.cloned() else { return false };
        table.remove(worst.number);
        worst.close();
        self.counts.displaced.fetch_add(1, Relaxed);
        true
    }

    /// May another request be answered? No while clients leave so much untaken that memory is short; who takes nothing goes then.
    pub fn has_memory(&self) -> bool {
        loop {
            let (is_short, are_many) = (self.held() >= MOST_HELD, self.answers.load(Relaxed) > MOST_ANSWERS);
            if !is_short && !are_many {
                return true;
            }
            let (mut table, now) = (self.table(), self.now());
            // Who sends, or waits for an answer, gains nobody anything by going.
            let helps = |seat: &&Arc<Seat>| (is_short && seat.held() > 0) || (are_many && seat.answers() >= MANY);
            let slow = |seat: &&Arc<Seat>| match seat.behaviour() {
                Behaviour::Slow { since } => now.saturating_sub(since) >= millis(SLOW),
                _ => seat.answers() > 0 && seat.untouched(now) >= millis(SLOW),
            };
            let worst = table
                .seats
                .values()
                .filter(helps)
                .filter(slow)
                .max_by_key(|seat| (seat.held(), seat.answers()))
                .cloned();
            let Some(worst) = worst else { return false };
            table.remove(worst.number);
            worst.close();
            // They are counted off when the connection is gone; until then others shall not go for the same.
            self.held.fetch_sub(worst.forget(), Relaxed);
            self.counts.displaced.fetch_add(1, Relaxed);
            if self.held.load(Relaxed) < MOST_HELD {
                return true;
            }
        }
    }

    /// Closes all whose time is over. Called now and then.
    pub fn close_late(&self) {
        let (mut table, now) = (self.table(), self.now());
        let late: Vec<_> = table.seats.values().filter(|seat| self.is_late(seat, now)).cloned().collect();
        for seat in late {
            table.remove(seat.number);
            seat.close();
            self.counts.late.fetch_add(1, Relaxed);
        }
    }

    fn is_late(&self, seat: &Seat, now: u64) -> bool {
        let limit = match seat.behaviour() {
            Behaviour::Silent { .. } => self.limits.head,
            // A head that has begun after an answer.
            Behaviour::Idle { speaking: true, .. } => self.limits.head,
            Behaviour::Idle { .. } => self.limits.idle,
            Behaviour::Slow { .. } => self.limits.write,
            // HTTP/2 has the clients' word for what they take, and no connection that blocks.
            Behaviour::Busy => {
                return seat.is_multiplexed() && seat.held() > 0 && seat.untouched(now) >= millis(self.limits.write);
            }
        };
        now.saturating_sub(seat.behaviour().since()) >= millis(limit)
    }

    /// Time between two looks for who is late.
    pub fn tick(&self) -> Duration {
        let shortest = self.limits.head.min(self.limits.idle).min(self.limits.write);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// Connections now: those of the settings, and those of the reserve.
    pub fn open(&self) -> (usize, usize) {
        let table = self.table();
        (table.seats.len() - table.reserved, table.reserved)
    }

    /// Bytes of answers that wait for their clients.
    pub fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// Milliseconds since the server began.
    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn add(&mut self, client: IpAddr, now: u64, reserved: bool) -> Arc<Seat> {
        let seat = Arc::new(Seat::new(self.next, client, reserved, now));
        self.next += 1;
        self.seats.insert(seat.number, seat.clone());
        *self.of_client.entry(client).or_default() += 1;
        self.reserved += usize::from(reserved);
        seat
    }

    fn remove(&mut self, number: u64) {
        let Some(seat) = self.seats.remove(&number) else { return };
        self.reserved -= usize::from(seat.reserved);
        if let Some(count) = self.of_client.get_mut(&seat.client) {
            *count -= 1;
            if *count == 0 {
                self.of_client.remove(&seat.client);
            }
        }
    }

    fn count(&self, client: IpAddr) -> usize {
        self.of_client.get(&client).copied().unwrap_or(0)
    }
}

/// What counts as one client: an address, of IPv6 the network that is given to one customer.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const NEAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn some(all: usize, of_client: usize) -> Arc<Connections> {
        let long = Duration::from_secs(3600);
        Connections::new(Limits { all, of_client, head: long, idle: long, write: long })
    }

    #[test]
    fn who_says_nothing_goes_first_and_who_is_answered_stays() {
        let connections = some(3, 0);
        let [silent, idle, busy] = [(); 3].map(|()| connections.admit(NEAR).unwrap());
        idle.seat.begin(0);
        idle.seat.end(0);
        busy.seat.begin(0);
        let first = connections.admit(NEAR).unwrap();
        first.seat.begin(0);
        assert!(silent.seat.is_closed() && !idle.seat.is_closed());
        let second = connections.admit(NEAR).unwrap();
        second.seat.begin(0);
        assert!(idle.seat.is_closed() && !busy.seat.is_closed() && !first.seat.is_closed());
        assert_eq!(connections.open(), (3, 0));
        // All are being answered: what comes now may only ask for health.
        assert!(connections.admit(NEAR).unwrap().seat.reserved);
        drop((silent, idle, busy));
        assert_eq!(connections.open(), (2, 0));
    }

    #[test]
    fn only_who_holds_memory_makes_room_for_others() {
        let mut connections = some(9, 0);
        let long = Duration::from_secs(60);
        Arc::get_mut(&mut connections).unwrap().began = Instant::now().checked_sub(long).unwrap();
        let [sends, moves, stands] = [(); 3].map(|()| connections.admit(NEAR).unwrap());
        sends.seat.begin(0);
        moves.seat.begin(0);
        stands.seat.begin(0);
        moves.seat.hold(MOST_HELD, millis(long));
        connections.held.fetch_add(MOST_HELD, Relaxed);
        assert!(!connections.has_memory() && !sends.seat.is_closed() && !moves.seat.is_closed());
        stands.seat.hold(MOST_HELD, 0);
        connections.held.fetch_add(MOST_HELD, Relaxed);
        connections.has_memory();
        assert!(stands.seat.is_closed() && !sends.seat.is_closed() && !moves.seat.is_closed());
        // One that has just begun is no slow one, whatever its connection did before.
        sends.seat.begin(millis(long));
        assert_eq!(sends.seat.untouched(millis(long)), 0);
    }

    #[test]
    fn the_reserve_never_closes_to_new_ones() {
        let connections = some(1, 0);
        let busy = connections.admit(NEAR).unwrap();
        busy.seat.begin(0);
        let places: Vec<_> = (0..1000).filter_map(|_| connections.admit(NEAR)).collect();
        assert_eq!(connections.open(), (1, RESERVE));
        assert_eq!((places.len(), places.iter().filter(|place| !place.seat.is_closed()).count()), (1000, RESERVE));
        assert!(!busy.seat.is_closed());
    }

    #[test]
    fn a_client_with_many_takes_from_itself() {
        let connections = some(100, 4);
        let few = connections.admit(NEAR).unwrap();
        let many: Vec<_> = (0..50).map(|_| connections.admit(FAR).unwrap()).collect();
        assert_eq!(many.iter().filter(|place| !place.seat.is_closed()).count(), 4);
        assert!(!few.seat.is_closed());
        assert_eq!(connections.open(), (5, 0));
    }

    #[test]
    fn who_has_most_loses_first() {
        let connections = some(4, 0);
        let first = connections.admit(NEAR).unwrap();
        let many: Vec<_> = (0..20).map(|_| connections.admit(FAR).unwrap()).collect();
        assert!(!first.seat.is_closed());
        assert_eq!(many.iter().filter(|place| place.seat.is_closed()).count(), 17);
    }

    #[test]
    fn times_that_are_over() {
        let now = Duration::ZERO;
        let connections = Connections::new(Limits { all: 9, of_client: 0, head: now, idle: now, write: now });
        let [silent, busy] = [(); 2].map(|()| connections.admit(NEAR).unwrap());
        busy.seat.begin(0);
        connections.close_late();
        assert!(silent.seat.is_closed() && !busy.seat.is_closed());
        busy.seat.end(0);
        connections.close_late();
        assert!(busy.seat.is_closed());
        assert_eq!(connections.open(), (0, 0));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let of = |text: &str| client(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
