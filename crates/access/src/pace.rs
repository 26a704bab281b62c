//! How often may be tried: guesses are slowed down by who is guessed at and from where, and whoever is known as the settings have it.

use crate::identity::Who;
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// Keys whose pace is remembered, before those that have rested are forgotten.
const REMEMBERED: usize = 20_000;

/// Too many tries: come again after this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften(pub Duration);

/// The pace of tries, in memory.
pub struct Pace {
    /// Passwords of a user from one address.
    pair: Limit<(String, IpAddr)>,
    /// Passwords of a user from anywhere: an attacker with many addresses.
    user: Limit<String>,
    /// Passwords from one address: an attacker with many users.
    address: Limit<IpAddr>,
    /// Keys, sessions and links from one address that are none.
    unknown: Limit<IpAddr>,
    /// Requests by one link.
    link: Limit<i64>,
    /// Requests by anybody whom we know, where the settings say how many.
    known: Option<Limit<Who>>,
}

impl Pace {
    /// The pace where whoever is known may ask so often a second.
    pub fn new(requests: Option<NonZeroU32>) -> Pace {
        let known = |requests: NonZeroU32| Limit::new(requests.get(), Duration::from_secs(1) / requests.get());
        Pace {
            known: requests.map(known),
            pair: Limit::new(5, Duration::from_secs(12)),
            user: Limit::new(30, Duration::from_secs(2)),
            address: Limit::new(20, Duration::from_secs(3)),
            unknown: Limit::new(60, Duration::from_secs(1)),
            link: Limit::new(4000, Duration::from_millis(4)),
        }
    }

    /// May a password be tried now?
    pub fn password(&self, user: &str, from: IpAddr) -> Result<(), TooOften> {
        let (user, from) = (user.to_lowercase(), network(from));
        self.address.take(from)?;
        self.pair.take((user.clone(), from))?;
        self.user.take(user)
    }

    /// A secret that is none was tried; may another be?
    pub fn unknown(&self, from: IpAddr) -> Result<(), TooOften> {
        self.unknown.take(network(from))
    }

    /// May this link be asked by now?
    pub fn link(&self, id: i64) -> Result<(), TooOften> {
        self.link.take(id)
    }

    /// May somebody whom we know ask now? Whoever may be anyone is known by nothing.
    pub fn known(&self, who: &Who) -> Result<(), TooOften> {
        match &self.known {
            Some(known) if *who != Who::Anyone => known.take(who.clone()),
            _ => Ok(()),
        }
    }
}

/// Whoever has one address of a /64 has all of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        v4 => v4,
    }
}

/// A store of paces, one a key.
struct Limit<K: Hash + Eq + Clone> {
    keyed: RateLimiter<K, HashMapStateStore<K>, DefaultClock>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    /// So many at once, then one every so often.
    fn new(burst: u32, every: Duration) -> Limit<K> {
        let quota = Quota::with_period(every).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let quota = quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
        Limit { keyed: RateLimiter::hashmap(quota), clock: DefaultClock::default() }
    }

    fn take(&self, key: K) -> Result<(), TooOften> {
        if self.keyed.len() > REMEMBERED {
            self.keyed.retain_recent();
        }
        self.keyed.check_key(&key).map_err(|not_yet| TooOften(not_yet.wait_time_from(self.clock.now())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn guesses_at_one_user_from_one_address_are_few() {
        let pace = Pace::new(None);
        let tries = |user, from| (0..50).take_while(|_| pace.password(user, from).is_ok()).count();
        assert_eq!(tries("ana", at(1)), 5);
        let wait = pace.password("ANA", at(1)).unwrap_err().0;
        assert!(wait > Duration::from_secs(1) && wait <= Duration::from_secs(12), "{wait:?}");
        assert!(pace.password("bo", at(1)).is_ok() && pace.password("ana", at(2)).is_ok());
    }

    #[test]
    fn many_addresses_or_many_users_do_not_help() {
        let pace = Pace::new(None);
        let by_address = (0..200).filter(|n| pace.password(&format!("user{n}"), at(1)).is_ok()).count();
        assert!((20..25).contains(&by_address), "{by_address}");
        let by_user = (2..202).filter(|n| pace.password("ana", at(*n)).is_ok()).count();
        assert!((30..35).contains(&by_user), "{by_user}");
    }

    #[test]
    fn each_who_is_known_has_a_pace_where_one_is_set() {
        let asked = |pace: &Pace, who: Who| (0..50).filter(|_| pace.known(&who).is_ok()).count();
        let (user, key) = (|name: &str| Who::User(name.into()), |id| Who::Key { id, name: "k".into() });
        let set = Pace::new(NonZeroU32::new(10));
        for who in [user("ana"), user("bo"), key(1), key(2)] {
            assert!((10..15).contains(&asked(&set, who.clone())), "{who}");
        }
        let wait = (0..50).find_map(|_| set.known(&user("ana")).err()).unwrap().0;
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!((asked(&set, Who::Anyone), asked(&Pace::new(None), user("ana"))), (50, 50));
    }

    #[test]
    fn a_network_is_one_address() {
        let pace = Pace::new(None);
        let guesses = (0..500u128).filter(|n| {
            let address: u128 = 0x2001_0db8 << 96 | n;
            pace.unknown(IpAddr::V6(address.into())).is_ok()
        });
        let guesses = guesses.count();
        assert!((60..65).contains(&guesses), "{guesses}");
    }
}
