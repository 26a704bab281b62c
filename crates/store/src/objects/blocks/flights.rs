//! A block on its way: one fetches it, whoever else wants it waits for that.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::Bytes;

use super::{Epoch, Id};

/// Blocks that are being fetched.
#[derive(Debug, Default)]
pub(in crate::objects) struct Flights {
    going: Mutex<HashMap<(Id, Epoch), Arc<Flight>>>,
}

#[derive(Debug, Default)]
pub(in crate::objects) struct Flight {
    landed: Mutex<Option<Result<Bytes, (io::ErrorKind, String)>>>,
    told: Condvar,
}

/// Who fetches a block.
pub(in crate::objects) enum Claim<'a> {
    /// Whoever claimed it here.
    Mine(Mine<'a>),
    /// Somebody else, who tells.
    Theirs(Arc<Flight>),
}

/// The duty to fetch a block; dropped, those who wait are told that nothing comes.
pub(in crate::objects) struct Mine<'a> {
    pub(in crate::objects) id: Id,
    /// When it began.
    pub(in crate::objects) since: Epoch,
    flights: &'a Flights,
    flight: Arc<Flight>,
}

impl Flights {
    /// Only who began since the last replacement is waited for.
    pub(super) fn claim(&self, id: Id, since: Epoch) -> Claim<'_> {
        let mut going = self.going.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = going.get(&(id, since)) {
            return Claim::Theirs(flight.clone());
        }
        let flight = Arc::<Flight>::default();
        going.insert((id, since), flight.clone());
        Claim::Mine(Mine { id, since, flights: self, flight })
    }
}

impl Mine<'_> {
    /// Tells all who wait.
    pub(in crate::objects) fn land(self, got: Result<&Bytes, &io::Error>) {
        let got = got.cloned().map_err(|error| (error.kind(), error.to_string()));
        *self.flight.landed.lock().unwrap_or_else(PoisonError::into_inner) = Some(got);
    }
}

impl Drop for Mine<'_> {
    fn drop(&mut self) {
        self.flights.going.lock().unwrap_or_else(PoisonError::into_inner).remove(&(self.id, self.since));
        let mut landed = self.flight.landed.lock().unwrap_or_else(PoisonError::into_inner);
        landed.get_or_insert_with(|| Err((io::ErrorKind::Other, "whoever fetched it gave up".to_owned())));
        self.flight.told.notify_all();
    }
}

impl Flight {
    /// Waits for the block.
    pub(in crate::objects) fn wait(&self) -> io::Result<Bytes> {
        let mut landed = self.landed.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*landed {
                Some(Ok(block)) => return Ok(block.clone()),
                Some(Err((kind, why))) => return Err(io::Error::new(*kind, why.clone())),
                None => landed = self.told.wait(landed).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Key;
    use crate::objects::blocks::Version;
    use crate::objects::blocks::epoch::Epochs;

    #[test]
    fn one_fetches_and_all_have_it() {
        let (flights, epochs) = (Flights::default(), Epochs::default());
        let id = Id { key: Key::new([1; 32]), version: Version::default(), block: 0 };
        let now = epochs.now();
        let Claim::Mine(mine) = flights.claim(id, now) else { panic!("nobody has it yet") };
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..4)
                .map(|_| match flights.claim(id, now) {
                    Claim::Theirs(flight) => scope.spawn(move || flight.wait()),
                    Claim::Mine(_) => panic!("it is being fetched"),
                })
                .collect();
            mine.land(Ok(&Bytes::from_static(b"block")));
            for one in waiting {
                assert_eq!(one.join().unwrap().unwrap(), "block");
            }
        });
        let Claim::Mine(given_up) = flights.claim(id, now) else { panic!("it landed") };
        let Claim::Theirs(flight) = flights.claim(id, now) else { panic!("it is being fetched") };
        epochs.next();
        let Claim::Mine(_) = flights.claim(id, epochs.now()) else { panic!("what began before is not waited for") };
        drop(given_up);
        flight.wait().unwrap_err();
    }
}
