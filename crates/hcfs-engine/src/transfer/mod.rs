//! Moving one file's content, one way or the other.
//!
//! Transfers borrow nothing of the session: they run side by side while it answers commands. What they want kept over a
//! restart they send it as a [`Note`]. Dropping a transfer ends it; a part that was staged, or a session that was opened,
//! stays for the next try.

mod batch;
mod content;
mod down;
mod up;
mod wide;

use std::sync::Arc;

use hcfs_fs::{Folder, Rules};
use hcfs_model::{FolderHash, RelPath};
use hcfs_remote::Remote;
use hcfs_state::{DownloadHint, UploadHint};
use tokio::sync::{RwLock, Semaphore, mpsc};

use crate::blocking::blocking;
use crate::machine::Machine;
use crate::spec::{Clock, Owner};

pub(crate) use batch::{Batch, download_many, upload_many};
pub(crate) use content::Content;
pub(crate) use down::{DownloadJob, Received, download, read_range};
pub(crate) use up::{CallOff, UploadJob, sealed_path, upload};

/// How much memory the buffers of all transfers of a folder take at once, in KiB.
const BUFFERS: u32 = 24 * 1024;

/// What a transfer needs, whichever file it moves.
pub(crate) struct Tools {
    pub(crate) folder: Arc<Folder>,
    pub(crate) remote: Arc<dyn Remote>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) owner: Owner,
    pub(crate) rules: Arc<Rules>,
    pub(crate) folder_hash: FolderHash,
    pub(crate) share_paths: bool,
    pub(crate) notes: mpsc::Sender<Note>,
    pub(crate) buffers: Buffers,
    /// Held while the disk is changed.
    pub(crate) gate: Arc<RwLock<()>>,
}

/// What a transfer wants kept over a restart.
pub(crate) enum Note {
    /// An upload session was opened.
    Upload(RelPath, UploadHint),
    /// Frames of a download are in its staged part.
    Download(RelPath, DownloadHint),
    /// What was kept is of no use any more.
    Forget(RelPath),
}

impl Tools {
    /// Has work done that changes the disk. It goes on to its end when its transfer is broken off, and until then no other
    /// cycle begins: late, it could undo what a later transfer of the same file has done.
    async fn change<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let gate = Arc::clone(&self.gate).read_owned().await;
        let work = move || {
            let _gate = gate;
            work()
        };
        blocking(Arc::clone(&self.machine), work).await
    }

    /// Sends a note; without one the next try starts further back, which is all that is lost when nobody listens.
    async fn note(&self, note: Note) {
        let _ = self.notes.send(note).await;
    }
}

/// The memory that transfers share.
#[derive(Clone)]
pub(crate) struct Buffers(Arc<Semaphore>);

impl Buffers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BUFFERS as usize)))
    }

    /// Waits for room for `bytes`; what is larger than all there is waits for all.
    async fn room(&self, bytes: u64) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes / 1024 + 1).unwrap_or(BUFFERS).min(BUFFERS);
        // The semaphore is never closed.
        Arc::clone(&self.0).acquire_many_owned(wanted).await.ok()
    }
}
