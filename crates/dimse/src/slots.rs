//! Room for connections: so many at once, fewer of one address, and a few more that are only told why they are not let in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections beyond the limit that are told so at once; what comes beyond these is closed.
const TOLD: usize = 8;

/// How many connections each address has.
type ByAddress = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Room for connections.
pub struct Slots {
    most: usize,
    room: Arc<Semaphore>,
    told: Arc<Semaphore>,
    by_address: ByAddress,
}

/// The room that a connection takes up, as long as this lives.
pub struct Slot {
    /// It may become an association; else it is told that there is no room.
    pub has_room: bool,
    from: Option<(IpAddr, ByAddress)>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// Room for `most` connections, half of them from one address.
    pub fn new(most: usize) -> Slots {
        let most = most.max(1);
        let (room, told) = (Arc::new(Semaphore::new(most)), Arc::new(Semaphore::new(TOLD)));
        Slots { most, room, told, by_address: Arc::default() }
    }

    /// Room for a connection from this address; `None` when it can't even be told that there is none.
    pub fn take(&self, from: IpAddr) -> Option<Slot> {
        let from = from.to_canonical();
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = by_address.get(&from).copied().unwrap_or(0);
        let permit = (of_address < self.most.div_ceil(2)).then(|| self.room.clone().try_acquire_owned().ok()).flatten();
        let Some(permit) = permit else { return self.to_be_told(false) };
        by_address.insert(from, of_address + 1);
        Some(Slot { has_room: true, from: Some((from, self.by_address.clone())), _permit: permit })
    }

    /// Room for one that will be refused, which takes none of the others'.
    pub fn to_be_told(&self, has_room: bool) -> Option<Slot> {
        let permit = self.told.clone().try_acquire_owned().ok()?;
        Some(Slot { has_room, from: None, _permit: permit })
    }

    /// Waits until all connections with room have ended; false when that takes longer.
    pub async fn ended(&self, longest: Duration) -> bool {
        tokio::time::timeout(longest, self.room.acquire_many(self.most as u32)).await.is_ok()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some((from, by_address)) = &self.from else { return };
        let mut by_address = by_address.lock().unwrap_or_else(PoisonError::into_inner);
        match by_address.get_mut(from) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(by_address.remove(from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_half_at_most() {
        let slots = Slots::new(4);
        let [one, two, three]: [IpAddr; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|text| text.parse().unwrap());
        let take = |from: IpAddr| slots.take(from).unwrap();
        let mut held = vec![take(one), take("::ffff:10.0.0.1".parse().unwrap())];
        assert!(held.iter().all(|slot| slot.has_room));
        assert!(!take(one).has_room);
        held.extend([take(two), take(two)]);
        assert!(held.iter().all(|slot| slot.has_room) && !take(three).has_room);
        held.swap_remove(0);
        assert!(take(three).has_room && take(one).has_room);
        drop(held);
        assert!(slots.by_address.lock().unwrap().is_empty());
    }

    #[test]
    fn few_are_told_and_they_take_no_room() {
        let slots = Slots::new(1);
        let told: Vec<Slot> = (0..TOLD).map(|_| slots.to_be_told(true).unwrap()).collect();
        assert!(slots.to_be_told(true).is_none());
        let from = "10.0.0.1".parse().unwrap();
        let held = slots.take(from).unwrap();
        assert!(held.has_room && slots.take(from).is_none());
        drop(told);
        assert!(!slots.take(from).unwrap().has_room);
    }
}
