//! What a source is.

use std::fmt;
use std::io;

use async_trait::async_trait;
use hcfs_model::UnixNanos;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::error::SourceError;
use crate::kind::Kind;
use crate::part::Part;
use crate::resume::Resume;
use crate::validators::Validators;

/// One file of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// What the service calls it: a CID, an id, an address. Checked, at most 4096 bytes, shown to people.
    pub id: String,
    /// The name the service's listing gives it, as it came: not safe yet.
    pub name: Option<String>,
    /// The size the service's listing gives it, in bytes.
    pub size: Option<u64>,
    /// The time of its last change as the listing gives it: an item whose mark is the same has not changed.
    pub changed: Option<String>,
}

impl Item {
    /// An item of which no more is known than its id.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), name: None, size: None, changed: None }
    }
}

/// The BLAKE3 of a file's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(pub [u8; 32]);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether the content was checked against something the service cannot lie about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// It is what its id says.
    Yes,
    /// It was not, for this reason.
    No(String),
}

/// A file that was brought. The part's file holds exactly its content, not yet synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// The name to give it: one safe component of a path, at most 255 bytes. See [`distinct`](crate::distinct).
    pub name: String,
    /// The size in bytes.
    pub size: u64,
    /// What to ask with whether it has changed.
    pub validators: Validators,
    /// The hash of the content.
    pub hash: ContentHash,
    /// Whether it was verified.
    pub verified: Verified,
}

/// How a fetch ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The file is still the one that was brought before; the part was not touched.
    NotModified,
    /// It is there.
    Done(Brought),
}

/// What a fetch is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The service prepares the file.
    Preparing {
        /// The service's own word for it.
        status: String,
        /// How far it says it is, 0 to 100.
        percent: Option<u8>,
    },
    /// Bytes come.
    Bringing,
    /// All bytes are there and are checked once more.
    Verifying,
}

/// How far a fetch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What it does.
    pub stage: Stage,
    /// Bytes of content in the part.
    pub bytes: u64,
    /// Bytes of content in all, where known.
    pub total: Option<u64>,
}

/// Who looks on while a fetch runs.
#[async_trait]
pub trait Watcher: Send + Sync {
    /// Told several times a second at most. Must not block.
    fn progress(&self, progress: Progress);

    /// Stores where the fetch stands, about every two seconds, and at once when the service has been made to do
    /// something that should not be done twice. Returns when it is stored.
    ///
    /// # Errors
    /// What keeps it from being stored; the fetch ends with [`SourceError::NotKept`].
    async fn keep(&self, resume: &Resume) -> io::Result<()>;
}

/// Nobody looks on, nothing is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

#[async_trait]
impl Watcher for Unwatched {
    fn progress(&self, _progress: Progress) {}

    async fn keep(&self, _resume: &Resume) -> io::Result<()> {
        Ok(())
    }
}

/// One fetch.
pub struct Job<'a> {
    /// What was brought before, to ask whether it has changed. None fetches it whatever is here already.
    pub known: Option<&'a Validators>,
    /// Where the content goes.
    pub part: &'a mut Part,
    /// Who looks on.
    pub watcher: &'a dyn Watcher,
    /// Ends the fetch with [`SourceError::Cancelled`], the part's record up to date. A task of the service goes on: it
    /// is found again by the next run; [`Source::abandon`] ends it too. Dropping the future ends the fetch as well, but
    /// for a moment longer the part's file may still be written.
    pub cancel: CancellationToken,
    /// The time at the start.
    pub now: UnixNanos,
}

/// A service that files are brought from.
#[async_trait]
pub trait Source: Send + Sync {
    /// Its kind.
    fn kind(&self) -> Kind;

    /// The items to bring, in a stable order and without doubles: those of the settings, or what the service lists.
    ///
    /// # Errors
    /// The service's; [`SourceError::TooManyItems`] above 100,000.
    async fn list(&self) -> Result<Vec<Item>, SourceError>;

    /// Brings one item into the job's part.
    ///
    /// # Errors
    /// See [`SourceError`]. The part and its record are kept: the next fetch goes on where this one stopped, if the
    /// service lets it.
    async fn fetch(&self, item: &Item, job: Job<'_>) -> Result<Fetched, SourceError>;

    /// To be called when the content is safe in its place: cleans up at the service what the fetch left there, where
    /// the settings ask for it. Doing it twice does no harm.
    ///
    /// # Errors
    /// The service's. The file is safe all the same.
    async fn finish(&self, item: &Item, resume: &Resume) -> Result<(), SourceError>;

    /// To be called when the item is no longer wanted: ends at the service what an unfinished fetch began there.
    /// Doing it twice does no harm.
    ///
    /// # Errors
    /// The service's.
    async fn abandon(&self, item: &Item, resume: &Resume) -> Result<(), SourceError>;

    /// Checks address, credential and reachability; brings nothing.
    /// Gives what it found, as sentences in the order of finding.
    ///
    /// # Errors
    /// The first thing that is wrong.
    async fn test(&self) -> Result<Vec<String>, SourceError>;
}
