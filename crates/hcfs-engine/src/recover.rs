//! What can be had back: the trash, and the versions of a path.
//!
//! These commands are answered at once, also while files are in flight: they run beside the session and touch only the
//! trash and free names. While a file is being put in place they wait, since the trash holds things on their way then.

use std::sync::Arc;

use hcfs_fs::{ApplyError, Pruned, Trashed};
use hcfs_model::{Fingerprint, RelPath, UnixNanos};
use tokio::sync::oneshot;

use crate::blocking::blocking;
use crate::handle::CommandError;
use crate::session::{Session, Stop};
use crate::status::{Event, EventKind};

/// Where a version of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionPlace {
    /// In the folder here.
    Here,
    /// On the server.
    Server,
    /// Nowhere, perhaps: what both sides last agreed on, where it is neither of the two.
    Synced,
    /// Here, under the name of a conflict copy.
    ConflictCopy,
    /// In the trash.
    Trash,
}

impl VersionPlace {
    /// The stable text, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Server => "server",
            Self::Synced => "synced",
            Self::ConflictCopy => "conflict_copy",
            Self::Trash => "trash",
        }
    }
}

/// One version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Where it is.
    pub place: VersionPlace,
    /// Its name in the folder.
    pub path: RelPath,
    /// When it was last changed here, or went to the trash.
    pub at: Option<UnixNanos>,
    /// Its bytes.
    pub size: u64,
    /// The server's count of the file's versions.
    pub revision: Option<u64>,
    /// In the trash: its entry.
    pub trash_id: Option<String>,
}

/// A file that came back from the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where it is now.
    pub path: RelPath,
    /// Whether its own name was taken.
    pub beside: bool,
}

impl Session {
    /// Lists the trash, the oldest first.
    pub(crate) fn list_trash(&self, reply: oneshot::Sender<Result<Vec<Trashed>, CommandError>>) {
        let folder = Arc::clone(&self.folder);
        answer(reply, blocking(Arc::clone(&self.machine), move || folder.trash_list()));
    }

    /// Brings a file of the trash back. What that makes of the folder is seen like anything a person does.
    pub(crate) fn restore_trashed(&self, id: String, reply: oneshot::Sender<Result<Restored, CommandError>>) {
        let (folder, touched, bell) = (Arc::clone(&self.folder), Arc::clone(&self.touched), Arc::clone(&self.bell));
        let (gate, machine) = (Arc::clone(&self.gate), Arc::clone(&self.machine));
        answer(reply, async move {
            let gate = gate.write_owned().await;
            let restored = blocking(machine, move || {
                let _gate = gate;
                let was = folder.trash_path(&id)?;
                folder.trash_restore(&id).map(|path| Restored { beside: path != was, path })
            })
            .await?;
            touched.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(restored.path.clone());
            bell.notify_one();
            Ok(restored)
        });
    }

    /// Removes everything in the trash for good.
    pub(crate) fn empty_trash(&self, reply: oneshot::Sender<Result<Pruned, CommandError>>) {
        let (folder, gate) = (Arc::clone(&self.folder), Arc::clone(&self.gate));
        let machine = Arc::clone(&self.machine);
        answer(reply, async move {
            let gate = gate.write_owned().await;
            blocking(machine, move || {
                let _gate = gate;
                folder.trash_empty()
            })
            .await
        });
    }

    /// The versions of a path that can be had here, the newest first.
    pub(crate) fn history(&self, path: RelPath, reply: oneshot::Sender<Result<Vec<Version>, CommandError>>) {
        let mut versions = match self.present_versions(&path) {
            Ok(versions) => versions,
            Err(stop) => {
                // Nobody waits any more: then nobody is told.
                let _ = reply.send(Err(CommandError::failure_of_folder(stop)));
                return;
            }
        };
        let folder = Arc::clone(&self.folder);
        answer(
            reply,
            blocking(Arc::clone(&self.machine), move || {
                let trashed = folder.trash_list()?.into_iter().filter(|entry| entry.path == path);
                versions.extend(trashed.rev().map(|entry| Version {
                    place: VersionPlace::Trash,
                    path: entry.path,
                    at: Some(entry.at),
                    size: entry.size,
                    revision: None,
                    trash_id: Some(entry.id),
                }));
                Ok(versions)
            }),
        );
    }

    /// The versions the trees and the conflicts know of.
    fn present_versions(&self, path: &RelPath) -> Result<Vec<Version>, Stop> {
        let row = self.store.row(path).map_err(Stop::state)?;
        let version = |place, path: &RelPath, at, size, revision| Version {
            place,
            path: path.clone(),
            at,
            size,
            revision,
            trash_id: None,
        };
        let here = row.local.as_ref().map(|local| {
            version(VersionPlace::Here, path, Some(local.fingerprint.mtime), local.fingerprint.size, None)
        });
        let there = row
            .remote
            .as_ref()
            .map(|there| version(VersionPlace::Server, path, None, there.size, Some(there.revision.seq)));
        let is_one_of_both = |hash| {
            row.local.as_ref().is_some_and(|local| local.hash == hash)
                || row.remote.as_ref().is_some_and(|remote| remote.hash == hash)
        };
        let agreed = row.synced.as_ref().filter(|agreed| !is_one_of_both(agreed.hash));
        let agreed =
            agreed.map(|agreed| version(VersionPlace::Synced, path, None, agreed.size, Some(agreed.revision.seq)));
        let mut versions: Vec<Version> = here.into_iter().chain(there).chain(agreed).collect();
        for (_, conflict) in self.store.conflicts().map_err(Stop::state)? {
            let Some(copy) = conflict.copy.filter(|_| conflict.path == *path) else { continue };
            if let Some(kept) = self.store.row(&copy).map_err(Stop::state)?.local {
                let Fingerprint { mtime, size, .. } = kept.fingerprint;
                versions.push(version(VersionPlace::ConflictCopy, &copy, Some(mtime), size, None));
            }
        }
        Ok(versions)
    }

    /// Marks what came back from the trash since this was last asked.
    pub(crate) fn heed_touched(&mut self) {
        let touched = std::mem::take(&mut *self.touched.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for path in touched {
            let text = "brought back from the trash".to_owned();
            self.tell_all(vec![Event {
                id: 0,
                at: self.clock.now(),
                kind: EventKind::Restored,
                path: Some(path.clone()),
                text,
            }]);
            self.wants.below(path);
        }
    }

    /// Removes what has been in the trash for long enough, once a day, and as soon as it has grown beyond its size.
    pub(crate) async fn prune_trash(&mut self) -> Result<(), Stop> {
        if !self.take_prune() {
            return Ok(());
        }
        let gate = self.attend(Arc::clone(&self.gate).write_owned()).await?;
        let (folder, now) = (Arc::clone(&self.folder), self.clock.now());
        let (days, most) = (self.spec.trash_days, self.spec.trash_bytes);
        let pruned = blocking(Arc::clone(&self.machine), move || {
            let _gate = gate;
            folder.trash_prune(days, most, now)
        });
        match self.attend(pruned).await? {
            Ok(pruned) => self.timers.trash = pruned.left,
            Err(error) => tracing::warn!(%error, "the trash could not be pruned"),
        }
        Ok(())
    }
}

/// Answers a command with what `work` comes to, beside the session.
fn answer<T: Send + 'static>(
    reply: oneshot::Sender<Result<T, CommandError>>,
    work: impl Future<Output = Result<T, ApplyError>> + Send + 'static,
) {
    tokio::spawn(async move {
        // Nobody waits any more: then nobody is told.
        let _ = reply.send(work.await.map_err(|error| trash_failed(&error)));
    });
}

fn trash_failed(error: &ApplyError) -> CommandError {
    match error {
        ApplyError::NotInTrash { id } => CommandError::NotInTrash(id.clone()),
        error => CommandError::Failed { code: "io", message: error.to_string(), hint: error.hint().to_owned() },
    }
}
