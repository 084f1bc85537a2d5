//! Recording outcomes: what an action did to the trees, after its effect is durable.

use hcfs_model::{RelPath, RemoteEntry, SyncedEntry};

use crate::edit::{Change, Edit, To};
use crate::{Changes, Event, Known, StateError, Store, hints, log, meta, trees};

/// The outcome of one action.
///
/// Resume hints of every path in an outcome are removed with it. Where an outcome leaves a path with neither a remote
/// nor a synced row, the file's life ended: see [`crate::Seen::ended`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Both sides hold this version.
    Synced {
        /// The file.
        path: RelPath,
        /// What is now on disk; `None` where the recorded entry still stands, as after an upload.
        local: Option<Known>,
        /// What is now on the server.
        remote: RemoteEntry,
        /// What was agreed.
        synced: SyncedEntry,
    },
    /// The file is on neither side.
    Gone {
        /// The file.
        path: RelPath,
    },
    /// The agreement is forgotten; what the two sides hold stands.
    Forgotten {
        /// The file.
        path: RelPath,
    },
    /// A file is on disk; nothing is agreed by that.
    LocalPut {
        /// The file.
        path: RelPath,
        /// What is on disk.
        local: Known,
    },
    /// The file is not on disk any more; nothing is agreed by that.
    LocalGone {
        /// The file.
        path: RelPath,
    },
    /// A version is on the server; nothing is agreed by that.
    RemotePut {
        /// The file.
        path: RelPath,
        /// What is on the server.
        remote: RemoteEntry,
    },
    /// The file was deleted on the server, and the agreement with it; what is on disk stands.
    RemoteGone {
        /// The file.
        path: RelPath,
    },
    /// A file on disk has another name.
    LocalMoved {
        /// The old name.
        from: RelPath,
        /// The new name.
        to: RelPath,
        /// What is on disk under the new name.
        local: Known,
        /// What is agreed under the new name; the agreement under the old one goes. `None`: agreements stay as they are.
        synced: Option<SyncedEntry>,
    },
    /// A file on the server has another name; what was agreed under the old one goes.
    RemoteMoved {
        /// The old name.
        from: RelPath,
        /// The new name.
        to: RelPath,
        /// What is on the server under the new name.
        remote: RemoteEntry,
        /// What is agreed under the new name.
        synced: Option<SyncedEntry>,
    },
}

impl Store {
    /// Records outcomes, in their order, and the events that tell of them, in one durable transaction. Marks of paths
    /// that agree afterwards go. Outcomes in path order are written fastest.
    ///
    /// # Errors
    /// The database cannot be written, or a number does not fit; then none of them is recorded.
    pub fn settle(&mut self, settled: &[Settled], events: &[Event]) -> Result<Changes, StateError> {
        let mut edit = Edit::begin(&mut self.connection)?;
        for one in settled {
            edit.settle(one)?;
        }
        if edit.moves_remote {
            // The tree is not the listing any more that the tag stands for. Should a server that was restored from a
            // backup give that tag again, its listing would pass for the tree.
            meta::set(edit.connection(), meta::LISTING_TAG, None::<&str>)?;
        }
        log::append(edit.connection(), events)?;
        edit.commit()
    }
}

impl Edit<'_> {
    fn settle(&mut self, settled: &Settled) -> Result<(), StateError> {
        let keep = Change::default;
        match settled {
            Settled::Synced { path, local, remote, synced } => {
                let local = local.as_ref().map_or(To::Keep, To::Put);
                self.outcome(path, &Change { local, remote: To::Put(remote), synced: To::Put(synced) })
            }
            Settled::Gone { path } => {
                self.outcome(path, &Change { local: To::Gone, remote: To::Gone, synced: To::Gone })
            }
            Settled::Forgotten { path } => self.outcome(path, &Change { synced: To::Gone, ..keep() }),
            Settled::LocalPut { path, local } => self.outcome(path, &Change { local: To::Put(local), ..keep() }),
            Settled::LocalGone { path } => self.outcome(path, &Change { local: To::Gone, ..keep() }),
            Settled::RemotePut { path, remote } => self.outcome(path, &Change { remote: To::Put(remote), ..keep() }),
            Settled::RemoteGone { path } => {
                self.outcome(path, &Change { remote: To::Gone, synced: To::Gone, ..keep() })
            }
            Settled::LocalMoved { from, to, local, synced } => {
                let (leaves, arrives) = match synced {
                    Some(synced) => (To::Gone, To::Put(synced)),
                    None => (To::Keep, To::Keep),
                };
                self.outcome(from, &Change { local: To::Gone, synced: leaves, ..keep() })?;
                self.outcome(to, &Change { local: To::Put(local), synced: arrives, ..keep() })
            }
            Settled::RemoteMoved { from, to, remote, synced } => {
                self.outcome(from, &Change { remote: To::Gone, synced: To::Gone, ..keep() })?;
                let synced = synced.as_ref().map_or(To::Keep, To::Put);
                self.outcome(to, &Change { remote: To::Put(remote), synced, ..keep() })
            }
        }
    }

    /// Applies the part of an outcome that concerns one path.
    fn outcome(&mut self, path: &RelPath, change: &Change<'_>) -> Result<(), StateError> {
        hints::remove(self.connection(), path)?;
        // No outcome takes a file off the server alone.
        if !matches!(change.synced, To::Gone) {
            return self.apply(path, change);
        }
        let before = trees::row(self.connection(), path)?;
        self.apply(path, change)?;
        let after = trees::row(self.connection(), path)?;
        if after.remote.is_none() && after.synced.is_none() {
            let remote = before.remote.map(|entry| entry.file_id);
            let synced = before.synced.map(|entry| entry.file_id);
            for id in [remote, synced].into_iter().flatten() {
                self.end(&id)?;
            }
        }
        Ok(())
    }
}
