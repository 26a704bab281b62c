//! A second request where the first is slow: what a store rarely keeps waiting for is asked of it once more, and the first answer counts.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Waiting times that are remembered.
const REMEMBERED: usize = 128;
const LEAST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(1);

/// How long first bytes took of late.
#[derive(Debug, Default)]
pub(super) struct Hedge {
    waits: Mutex<(Vec<Duration>, usize)>,
}

impl Hedge {
    /// Does a request; does it once more when it takes longer than nearly all before.
    pub(super) async fn ask<T, E, F>(&self, request: impl Fn() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let began = Instant::now();
        let mut first = pin!(request());
        let answer = match tokio::time::timeout(self.delay(), &mut first).await {
            Ok(answer) => answer,
            Err(_) => {
                let mut second = pin!(request());
                tokio::select! {
                    answer = &mut first => match answer { Ok(value) => Ok(value), Err(_) => second.await },
                    answer = &mut second => match answer { Ok(value) => Ok(value), Err(_) => first.await },
                }
            }
        };
        self.remember(began.elapsed());
        answer
    }

    /// Twice what nine of ten took.
    fn delay(&self) -> Duration {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner).0.clone();
        if waits.len() < 10 {
            return MOST / 2;
        }
        let nth = waits.len() * 9 / 10;
        let (_, wait, _) = waits.select_nth_unstable(nth);
        (*wait * 2).clamp(LEAST, MOST)
    }

    fn remember(&self, wait: Duration) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, next) = &mut *waits;
        if kept.len() < REMEMBERED {
            kept.push(wait);
        } else {
            kept[*next % REMEMBERED] = wait;
        }
        *next = (*next + 1) % REMEMBERED;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_request_that_hangs_is_done_once_more() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (hedge, asked) = (Hedge::default(), AtomicUsize::new(0));
            let answer = hedge.ask(|| {
                let nth = asked.fetch_add(1, Ordering::Relaxed);
                async move {
                    if nth == 0 {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, ()>(nth)
                }
            });
            assert_eq!(answer.await, Ok(1));
            assert_eq!(asked.load(Ordering::Relaxed), 2);
        });
    }

    #[test]
    fn an_error_after_the_second_began_is_not_the_last_word() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (hedge, asked) = (Hedge::default(), AtomicUsize::new(0));
            let answer = hedge.ask(|| {
                let nth = asked.fetch_add(1, Ordering::Relaxed);
                async move {
                    tokio::time::sleep(Duration::from_millis(if nth == 0 { 600 } else { 200 })).await;
                    if nth == 0 { Err("reset") } else { Ok("whole") }
                }
            });
            assert_eq!(answer.await, Ok("whole"));
        });
    }

    #[test]
    fn the_wait_follows_what_is_usual() {
        let hedge = Hedge::default();
        (0..200).for_each(|n| hedge.remember(Duration::from_millis(if n % 20 == 0 { 900 } else { 40 })));
        assert_eq!(hedge.delay(), Duration::from_millis(80));
        (0..200).for_each(|_| hedge.remember(Duration::from_millis(1)));
        assert_eq!(hedge.delay(), LEAST);
    }
}
