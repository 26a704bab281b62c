//! What is known of one connection: whether it has spoken, what it waits for, and what it holds.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use tokio::sync::Notify;

/// Nothing happened yet.
const NEVER: u64 = u64::MAX;

/// One connection, as others see it. Times are milliseconds since the server began.
#[derive(Debug)]
pub struct Seat {
    /// Its number.
    pub number: u64,
    /// Whose it is.
    pub client: IpAddr,
    /// It may only ask for health.
    pub reserved: bool,
    /// A whole head came.
    asked: AtomicBool,
    /// It speaks HTTP/2: bytes may come at any time, and begin nothing.
    multiplexed: AtomicBool,
    /// Requests that are being answered.
    active: AtomicU32,
    /// When it was opened, or its last answer ended.
    idle: AtomicU64,
    /// When the first byte after that came.
    heard: AtomicU64,
    /// Since when its client takes nothing that waits to be sent.
    blocked: AtomicU64,
    /// When an answer last moved.
    touched: AtomicU64,
    /// Bytes of answers that wait to be sent.
    held: AtomicU64,
    closed: AtomicBool,
    close: Notify,
}

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// It has not sent a whole head yet.
    Silent { since: u64 },
    /// It waits for its next request; `speaking`: that has begun.
    Idle { since: u64, speaking: bool },
    /// Its client does not take what is sent.
    Slow { since: u64 },
    /// It is being answered.
    Busy,
}

impl Behaviour {
    /// In which order connections go.
    pub fn rank(self) -> u8 {
        match self {
            Behaviour::Silent { .. } => 0,
            Behaviour::Idle { .. } => 1,
            Behaviour::Slow { .. } => 2,
            Behaviour::Busy => 3,
        }
    }

    /// Since when it is like this.
    pub fn since(self) -> u64 {
        match self {
            Behaviour::Silent { since } | Behaviour::Idle { since, .. } | Behaviour::Slow { since } => since,
            Behaviour::Busy => NEVER,
        }
    }
}

impl Seat {
    pub(super) fn new(number: u64, client: IpAddr, reserved: bool, now: u64) -> Seat {
        Seat {
            number,
            client,
            reserved,
            asked: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            active: AtomicU32::new(0),
            idle: AtomicU64::new(now),
            heard: AtomicU64::new(NEVER),
            blocked: AtomicU64::new(NEVER),
            touched: AtomicU64::new(now),
            held: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            close: Notify::new(),
        }
    }

    /// What it does now.
    pub fn behaviour(&self) -> Behaviour {
        let (blocked, idle, heard) = (self.blocked.load(Relaxed), self.idle.load(Relaxed), self.heard.load(Relaxed));
        match (self.asked.load(Relaxed), self.active.load(Relaxed)) {
            _ if blocked != NEVER => Behaviour::Slow { since: blocked },
            (false, _) => Behaviour::Silent { since: idle },
            (true, 0) if heard != NEVER => Behaviour::Idle { since: heard, speaking: true },
            (true, 0) => Behaviour::Idle { since: idle, speaking: false },
            (true, _) => Behaviour::Busy,
        }
    }

    /// A request is being answered from here on.
    pub fn begin(&self, now: u64) {
        self.touch(now);
        self.asked.store(true, Relaxed);
        self.active.fetch_add(1, Relaxed);
        self.heard.store(NEVER, Relaxed);
    }

    /// An answer has ended.
    pub fn end(&self, now: u64) {
        self.idle.store(now, Relaxed);
        self.active.fetch_sub(1, Relaxed);
    }

    /// The next head has begun.
    pub fn hear(&self, now: u64) {
        self.heard.store(now, Relaxed);
    }

    /// Would bytes that come now begin a head?
    pub fn is_quiet(&self) -> bool {
        self.active.load(Relaxed) == 0 && self.heard.load(Relaxed) == NEVER && !self.multiplexed.load(Relaxed)
    }

    /// It turned out to speak HTTP/2.
    pub fn multiplex(&self) {
        self.multiplexed.store(true, Relaxed);
    }

    /// Does it speak HTTP/2?
    pub fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Relaxed)
    }

    /// Requests that are being answered.
    pub fn answers(&self) -> u32 {
        self.active.load(Relaxed)
    }

    /// The client takes no more for now.
    pub fn block(&self, now: u64) {
        if self.blocked.load(Relaxed) == NEVER {
            self.blocked.store(now, Relaxed);
        }
    }

    /// It took something.
    pub fn unblock(&self) {
        if self.blocked.load(Relaxed) != NEVER {
            self.blocked.store(NEVER, Relaxed);
        }
    }

    /// An answer moved.
    pub fn touch(&self, now: u64) {
        self.touched.store(now, Relaxed);
    }

    /// Bytes of an answer were handed over to be sent.
    pub fn hold(&self, bytes: u64, now: u64) {
        self.touch(now);
        self.held.fetch_add(bytes, Relaxed);
    }

    /// They are sent, or given up: how many of them were still counted.
    pub fn release(&self, bytes: u64, now: u64) -> u64 {
        self.touch(now);
        let before = self.held.fetch_update(Relaxed, Relaxed, |held| Some(held.saturating_sub(bytes)));
        before.map_or(0, |before| before.min(bytes))
    }

    /// Counts nothing of it any more: how much that was.
    pub fn forget(&self) -> u64 {
        self.held.swap(0, Relaxed)
    }

    /// Bytes that wait to be sent.
    pub fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// Milliseconds since an answer last moved.
    pub fn untouched(&self, now: u64) -> u64 {
        now.saturating_sub(self.touched.load(Relaxed))
    }

    /// Tells the connection to end at once.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
        self.close.notify_one();
    }

    /// Ends when the connection shall.
    pub async fn closing(&self) {
        self.close.notified().await;
    }

    /// Was it told to end?
    #[cfg(test)]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }
}
