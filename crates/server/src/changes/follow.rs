//! Who listens to the feed: one thread looks whether there is something new, for all of them, and only while there is somebody.

use crate::error::{Answered, Problem};
use archive::Archive;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// Listeners at once. Each holds a page of changes at most.
const LISTENERS: usize = 256;
/// What other programs commit may not be heard: it is looked for so often.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks: many commits are told of at once.
const PAUSE: Duration = Duration::from_millis(50);

/// The number of the last change; `None`: there will be no others.
type Last = Option<i64>;

/// All who listen.
pub struct Followers {
    last: watch::Sender<Last>,
    /// Is the thread there?
    looks: Arc<Mutex<bool>>,
}

impl Default for Followers {
    fn default() -> Followers {
        Followers { last: watch::Sender::new(Some(0)), looks: Arc::default() }
    }
}

/// Somebody who listens.
pub struct Seat(watch::Receiver<Last>);

impl Seat {
    /// The number of the last change that is known of; `None`: there will be no others.
    pub fn last(&mut self) -> Last {
        *self.0.borrow_and_update()
    }

    /// Waits until there is another.
    pub async fn changed(&mut self) {
        // Whoever tells is gone: then so is the last.
        let _ = self.0.changed().await;
    }
}

impl Followers {
    /// Somebody begins to listen.
    pub fn seat(&self, archive: &Archive) -> Answered<Seat> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.last.receiver_count() >= LISTENERS {
            return Err(Problem::full("there are too many listeners: ask for /changes now and then"));
        }
        let seat = Seat(self.last.subscribe());
        if !*looks {
            let (archive, last, flag) = (archive.clone(), self.last.clone(), self.looks.clone());
            let begun = thread::Builder::new().name("changes".into()).spawn(move || look(&archive, &last, &flag));
            begun.map_err(Problem::internal)?;
            *looks = true;
        }
        Ok(seat)
    }

    /// Ends all streams; there will be no others.
    pub fn close(&self) {
        self.last.send_replace(None);
    }
}

/// Tells of the last change until nobody listens, or no others are to come.
fn look(archive: &Archive, last: &watch::Sender<Last>, looks: &Mutex<bool>) {
    loop {
        let seen = archive.commits();
        match archive.last_change() {
            Ok(number) => {
                last.send_if_modified(|last| {
                    last.is_some_and(|known| known != number) && last.replace(number).is_some()
                });
            }
            Err(error) => tracing::warn!(%error, "whether something changed is not known"),
        }
        let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
        if last.receiver_count() == 0 || last.borrow().is_none() {
            *looks = false;
            return;
        }
        drop(looks);
        archive.wait_for_commit(seen, LOOK);
        thread::sleep(PAUSE);
    }
}
