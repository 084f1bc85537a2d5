//! The machine a folder is kept in step on: where randomness, threads and hints come from.

use std::sync::Arc;

use hcfs_crypto::{RandomError, random_bytes};
use hcfs_fs::{Disk, Folder, Watch, WatchError, Watcher};
use hcfs_remote::Remote;
use hcfs_state::Opened;

use crate::spec::Clock;

/// How many threads read and seal one file at most.
const THREADS: usize = 4;

/// What a folder takes of its machine besides disk, database, network and time.
pub trait Machine: Send + Sync {
    /// Bytes that nobody can guess or meets twice.
    ///
    /// # Errors
    /// There are none.
    fn random(&self) -> Result<[u8; 32], RandomError>;

    /// Watches a folder. `wake` is called, from any thread, whenever [`Watch::take`] has something.
    ///
    /// # Errors
    /// Why there can be no watcher.
    fn watch(&self, folder: &Folder, wake: Box<dyn Fn() + Send>) -> Result<Box<dyn Watch>, WatchError>;

    /// Has work done that blocks a thread, once and without waiting for it. Where the folder ends before it was begun, it
    /// is dropped.
    fn work(&self, work: Box<dyn FnOnce() + Send>);

    /// With how many threads one file is read and sealed.
    fn threads(&self) -> usize;
}

/// The machine this program runs on. Used within a tokio runtime, whose threads do the work that blocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn random(&self) -> Result<[u8; 32], RandomError> {
        random_bytes()
    }

    fn watch(&self, folder: &Folder, wake: Box<dyn Fn() + Send>) -> Result<Box<dyn Watch>, WatchError> {
        Ok(Box::new(Watcher::start(folder, wake)?))
    }

    fn work(&self, work: Box<dyn FnOnce() + Send>) {
        // Whoever waits for it waits for what it leaves, not for its end.
        drop(tokio::task::spawn_blocking(work));
    }

    fn threads(&self) -> usize {
        std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS))
    }
}

/// What a folder stands on.
pub struct Ground {
    /// The folder's database.
    pub database: Opened,
    /// The directory that is kept in step.
    pub disk: Arc<dyn Disk>,
    /// The account on the server.
    pub remote: Arc<dyn Remote>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Everything else.
    pub machine: Arc<dyn Machine>,
}
