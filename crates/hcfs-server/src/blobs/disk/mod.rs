//! Blobs in a directory of this machine.
//!
//! ```text
//! blobs/00 … ff/<object>   objects, by the first byte of their name: 32 hexadecimal characters, or the 64 of a hash (see
//!                          [`super::name`])
//! blobs/incoming/<random>  uploads in flight; whatever is here at the start is removed
//! blobs/sessions/<id>      what upload sessions have received
//! ```
//!
//! A large blob is synced before it gets its name; a pack is written under its name at once, since no row points there
//! before it is synced. The directory is synced in either case.

mod read;
mod session;
mod write;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::name::Kind;
use super::pack::{PackStore, Packer, Small};
use super::{BlobPlace, BlobStore, ObjectId, ObjectName, OpenBlob, Received, Receiving, Spool, WriteError};
use crate::Clock;
use crate::metadata::SessionId;
use crate::place;

use session::Spools;
use write::{DiskReceiving, blocking};

/// Packs that are written at the same time: while one waits for the disk, the next fills.
const PACK_WRITERS: usize = 2;

/// The blobs of one server, on its disk.
pub(crate) struct Disk {
    files: Arc<Directories>,
    packer: Packer,
    spools: Spools,
}

/// The directories, shared with the work that goes on in them.
struct Directories {
    root: PathBuf,
    reserve_bytes: u64,
    clock: Clock,
}

impl Disk {
    /// Makes the directories and removes what uploads in flight left behind. The caller has the directory to itself.
    /// Blocks; needs a tokio runtime.
    pub(crate) fn open(root: &Path, reserve_bytes: u64, clock: Clock) -> io::Result<Self> {
        let store = Self::share(root, reserve_bytes, clock)?;
        for entry in fs::read_dir(store.files.incoming())? {
            fs::remove_file(entry?.path())?;
        }
        Ok(store)
    }

    /// Opens the directories of a server that may be running. Blocks; needs a tokio runtime.
    pub(crate) fn share(root: &Path, reserve_bytes: u64, clock: Clock) -> io::Result<Self> {
        let files = Arc::new(Directories { root: root.to_owned(), reserve_bytes, clock });
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for shard in 0..=u8::MAX {
            builder.create(files.shard(shard))?;
        }
        builder.create(files.incoming())?;
        builder.create(files.sessions())?;
        place::sync_directory(root)?;
        Ok(Self { packer: Packer::start(&files, PACK_WRITERS), files, spools: Spools::default() })
    }
}

impl Directories {
    fn shard(&self, shard: u8) -> PathBuf {
        self.root.join(format!("{shard:02x}"))
    }

    fn path(&self, object: &ObjectName) -> PathBuf {
        self.shard(object.shard()).join(object.to_hex())
    }

    fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }

    fn new_name(&self, kind: Kind) -> Result<ObjectName, WriteError> {
        Ok(ObjectName::Id(ObjectId::new(kind, self.clock.seconds())?))
    }
}

#[async_trait]
impl PackStore for Directories {
    async fn store_pack(&self, blobs: Vec<Bytes>) -> Result<ObjectName, WriteError> {
        let object = self.new_name(Kind::Pack)?;
        let (path, shard) = (self.path(&object), self.shard(object.shard()));
        blocking(move || {
            let mut file = File::options().write(true).create_new(true).open(&path)?;
            let written = blobs.iter().try_for_each(|blob| file.write_all(blob));
            let synced = written.and_then(|()| file.sync_all()).and_then(|()| place::sync_directory(&shard));
            if let Err(error) = synced {
                // Nobody was told of it; what cannot be removed now is found as an object without a row.
                let _ = fs::remove_file(&path);
                return Err(error.into());
            }
            Ok(object)
        })
        .await
    }
}

#[async_trait]
impl BlobStore for Disk {
    async fn receive(&self, _length: u64) -> Result<Box<dyn Receiving>, WriteError> {
        Ok(Box::new(DiskReceiving::new(&self.files, &self.packer)))
    }

    fn small(&self, blob: Bytes) -> Received {
        Small::received(&self.packer, blob)
    }

    async fn open(&self, place: BlobPlace) -> Result<Option<OpenBlob>, WriteError> {
        let path = self.files.path(&place.object);
        blocking(move || read::open(&path, place)).await
    }

    async fn remove(&self, objects: Vec<ObjectName>) -> Result<(), WriteError> {
        let files = Arc::clone(&self.files);
        // Not synced: an object that comes back after a power cut is found again.
        blocking(move || Ok(objects.iter().try_for_each(|object| remove_file(&files.path(object)))?)).await
    }

    async fn list(&self, shard: u8) -> Result<Vec<(ObjectName, u64)>, WriteError> {
        let directory = self.files.shard(shard);
        blocking(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                // Names that are no objects are not ours to judge.
                let Some(object) = entry.file_name().to_str().and_then(ObjectName::from_hex) else { continue };
                match entry.metadata() {
                    Ok(metadata) => found.push((object, metadata.len())),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(found)
        })
        .await
    }

    async fn has_room(&self, length: u64) -> Result<bool, WriteError> {
        let disk = rustix::fs::statvfs(&self.files.root).map_err(io::Error::from)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        Ok(free.saturating_sub(self.files.reserve_bytes) >= length)
    }

    async fn ping(&self) -> Result<(), WriteError> {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|_| WriteError::Random)?;
        let path = self.files.incoming().join(hex::encode(name));
        blocking(move || {
            File::options().write(true).create_new(true).open(&path)?;
            Ok(fs::remove_file(&path)?)
        })
        .await
    }

    fn spool(&self, id: SessionId) -> Arc<dyn Spool> {
        self.spools.spool(id, &self.files)
    }

    async fn remove_spool(&self, id: SessionId) -> Result<(), WriteError> {
        let path = self.files.sessions().join(id.to_hex());
        blocking(move || Ok(remove_file(&path)?)).await
    }

    async fn spooled(&self) -> Result<BTreeSet<SessionId>, WriteError> {
        let directory = self.files.sessions();
        blocking(move || {
            let mut found = BTreeSet::new();
            for entry in fs::read_dir(directory)? {
                // Names that are no sessions are not ours to judge.
                found.extend(entry?.file_name().to_str().and_then(SessionId::from_hex));
            }
            Ok(found)
        })
        .await
    }

    async fn doubtful(&self, sessions: BTreeSet<SessionId>) -> Result<BTreeSet<SessionId>, WriteError> {
        let spooled = self.spooled().await?;
        Ok(sessions.difference(&spooled).copied().collect())
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
