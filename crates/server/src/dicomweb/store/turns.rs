//! Turns to store: so many at once, and no client has most of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One client has this part of the turns at most.
const PART: usize = 4;

/// Turns of all clients.
pub struct Turns {
    all: Arc<Semaphore>,
    of_one: usize,
    of_clients: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// A turn, given back when it is dropped.
pub struct Turn {
    _of_client: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    /// So many at once.
    pub fn new(count: usize) -> Turns {
        let of_one = (count / PART).max(1);
        Turns { all: Arc::new(Semaphore::new(count)), of_one, of_clients: Mutex::default() }
    }

    /// Waits for a turn: first among those of the same client, then among all. `None` does not happen: turns never end.
    pub async fn take(&self, client: Option<IpAddr>) -> Option<Turn> {
        let of_client = match client {
            Some(client) => Some(self.of_client(client).acquire_owned().await.ok()?),
            None => None,
        };
        Some(Turn { _of_client: of_client, _of_all: self.all.clone().acquire_owned().await.ok()? })
    }

    fn of_client(&self, client: IpAddr) -> Arc<Semaphore> {
        let mut of_clients = self.of_clients.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has or awaits a turn holds on to it.
        of_clients.retain(|_, turns| Arc::strong_count(turns) > 1);
        of_clients.entry(client).or_insert_with(|| Arc::new(Semaphore::new(self.of_one))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn one_client_leaves_turns_to_others() {
        let turns = Turns::new(8);
        let take = |last| turns.take(Some(IpAddr::from([192, 0, 2, last]))).now_or_never().flatten();
        let first = [take(1), take(1)];
        assert!(first.iter().all(Option::is_some) && take(1).is_none());
        let others: Vec<_> = [2, 2, 3, 3, 4, 4].into_iter().filter_map(take).collect();
        assert!(others.len() == 6 && take(5).is_none(), "no more than there are");
        drop(first);
        assert!(take(1).is_some());
        assert!(take(5).is_some());
        drop(others);
        assert!(take(6).is_some());
        assert_eq!(turns.of_clients.lock().unwrap().len(), 1, "who is gone is forgotten");
    }
}
