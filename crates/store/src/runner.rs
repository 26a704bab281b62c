//! Requests on threads of their own, for callers that wait.

use std::future::Future;
use std::io;
use std::sync::mpsc;

use tokio::runtime::{Builder, Runtime};

/// A small runtime. Whoever calls waits by a channel, so that it may itself be a thread of another runtime.
pub(crate) struct Runner(Option<Runtime>);

impl Runner {
    /// Starts its threads, which get this name.
    pub(crate) fn start(name: &str) -> io::Result<Runner> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build()?;
        Ok(Runner(Some(runtime)))
    }

    /// Does it there; nobody waits for it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn(work);
        }
    }

    /// Does it there, and waits for it here.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
        let runtime = self.0.as_ref().ok_or_else(|| io::Error::other("the store is closed"))?;
        let (tell, told) = mpsc::sync_channel(1);
        runtime.spawn(async move {
            let _ = tell.send(work.await);
        });
        told.recv().map_err(|_| io::Error::other("the request came to no end"))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // A runtime that waits for its threads must not be dropped inside another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
