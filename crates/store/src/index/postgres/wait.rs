//! Waiting, on a thread, for what a runtime elsewhere brings.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::index::patience::Patience;

/// Time between two looks at whether somebody still waits.
const LOOK: Duration = Duration::from_millis(50);

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for it on this thread, which may be one of a runtime's own; it must not need a runtime to be polled. Once nobody waits any more,
/// `give_up` is called, once, and must bring it to an end.
pub(super) fn wait_for<T>(
    patience: Option<&Patience>,
    mut give_up: impl FnMut(),
    future: impl Future<Output = T>,
) -> T {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let (mut context, mut future, mut patience) = (Context::from_waker(&waker), pin!(future), patience);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        match patience {
            None => thread::park(),
            Some(waiting) if waiting.is_over() => {
                give_up();
                patience = None;
            }
            Some(_) => thread::park_timeout(LOOK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn what_another_thread_brings_arrives() {
        let (tell, told) = tokio::sync::oneshot::channel();
        thread::spawn(move || tell.send(7));
        assert_eq!(wait_for(None, || {}, told), Ok(7));
    }

    #[test]
    fn who_gives_up_does_so_once() {
        let (patience, mut given_up) = (Patience::of(Duration::ZERO), 0);
        let mut polls = 0;
        let third = poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
        });
        assert_eq!(wait_for(Some(&patience), || given_up += 1, third), 3);
        assert_eq!(given_up, 1);
    }
}
