//! What this executor says, as frames on the pipe to its agent.

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::frame::{ExecutorEvent, encode};

/// Buffered bytes after which a frame is written without being asked.
const BUFFER_BYTES: usize = 64 << 10;

/// The writing end, shared by the training thread and the one that writes checkpoints.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Mutex<Pipe>>,
}

struct Pipe {
    to: File,
    buffer: Vec<u8>,
}

impl Outbox {
    pub fn new(to: File) -> Outbox {
        Outbox {
            shared: Arc::new(Mutex::new(Pipe {
                to,
                buffer: Vec::new(),
            })),
        }
    }

    /// Keeps an event for the next flush.
    pub fn keep(&self, event: &ExecutorEvent) {
        let mut pipe = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = encode(event, &mut pipe.buffer) {
            eprintln!("executor: an event was dropped: {error}");
        }
        if pipe.buffer.len() >= BUFFER_BYTES {
            pipe.flush();
        }
    }

    /// Writes an event and all that was kept before it.
    pub fn send(&self, event: &ExecutorEvent) {
        self.keep(event);
        self.flush();
    }

    pub fn flush(&self) {
        self.shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush();
    }
}

impl Pipe {
    /// A pipe that cannot be written has no agent at its other end; the reading thread sees that too and ends the process.
    fn flush(&mut self) {
        let written = self.to.write_all(&self.buffer);
        if written.is_err() {
            eprintln!("executor: the agent does not read any more");
        }
        self.buffer.clear();
    }
}
