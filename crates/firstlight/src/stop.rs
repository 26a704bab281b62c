//! Ctrl-C: the first asks for a clean stop, the second ends at once and leaves no temporary file behind.

use crate::failure::Exit;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Set when the user asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens to SIGINT, SIGTERM and SIGHUP.
    pub fn on_interrupt() -> Stop {
        let stop = Stop::default();
        let flag = stop.clone();
        // A handler is there already only when a test installed one: then that one decides.
        let _ = ctrlc::set_handler(move || {
            if flag.0.swap(true, Ordering::SeqCst) {
                leave_now();
            }
            crate::log::say("stopping: what is under way is finished first; once more to end at once");
        });
        stop
    }

    /// Was a stop asked for?
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The flag itself, for threads that outlive the command's own.
    pub fn shared(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// The flag itself, for libraries that poll it.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
}

/// A folder of temporary files that goes with the process, however it ends by Ctrl-C.
pub fn remove_at_exit(folder: PathBuf) {
    scratch().lock().unwrap_or_else(|e| e.into_inner()).push(folder);
}

fn scratch() -> &'static Mutex<Vec<PathBuf>> {
    static SCRATCH: OnceLock<Mutex<Vec<PathBuf>>> = OnceLock::new();
    SCRATCH.get_or_init(Mutex::default)
}

fn leave_now() -> ! {
    for folder in scratch().lock().unwrap_or_else(|e| e.into_inner()).iter() {
        let _ = std::fs::remove_dir_all(folder);
    }
    std::process::exit(Exit::Stopped as i32)
}
