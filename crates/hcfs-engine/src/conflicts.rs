//! Conflicts: kept until somebody resolves them, listed with both sides, resolved in one of four ways.

use std::sync::Arc;

use std::collections::BTreeMap;

use hcfs_fs::{Durability, Move, Remove};
use hcfs_model::{LocalEntry, RelPath, Row, SaltedHash, UnixNanos};
use hcfs_plan::{Conflict, ConflictKind, Plan, Resolution};
use hcfs_state::{Decision, RemoteVersion};

use crate::blocking::blocking;
use crate::failure::Failure;
use crate::handle::{CommandError, ConflictSide, OpenConflict};
use crate::session::{Session, Stop};
use crate::status::EventKind;

impl Session {
    /// Keeps the conflicts a plan leaves open, and drops those that are over.
    ///
    /// # Errors
    /// The database cannot be written.
    pub(crate) fn keep_conflicts(&mut self, plan: &Plan) -> Result<(), Stop> {
        let open: BTreeMap<&RelPath, Row> = plan
            .conflicts
            .iter()
            .map(|open| (&open.path, Row { local: open.local.clone(), remote: open.remote.clone(), synced: None }))
            .collect();
        for (id, known) in self.store.conflicts().map_err(Stop::state)? {
            let is_over = match &known.copy {
                // The copy is gone: somebody resolved it by hand.
                Some(copy) => self.store.row(copy).map_err(Stop::state)? == Row::default(),
                // Other versions are another question.
                None => !is_about(&known, open.get(&known.path)),
            };
            if is_over {
                self.store.remove_conflict(id).map_err(Stop::state)?;
            }
        }
        for conflict in plan.conflicts.iter().filter(|conflict| conflict.resolution == Resolution::Skip) {
            self.keep_conflict(conflict)?;
        }
        Ok(())
    }

    /// Keeps one conflict until it is resolved, and gives its number.
    pub(crate) fn keep_conflict(&mut self, conflict: &Conflict) -> Result<u64, Stop> {
        let known = hcfs_state::Conflict {
            path: conflict.path.clone(),
            kind: kept_kind(conflict.kind),
            copy: conflict.copy.clone(),
            at: self.clock.now(),
            local: conflict.local.as_ref().map(|local| (local.hash, local.fingerprint.size)),
            remote: conflict.remote.as_ref().map(|remote| RemoteVersion {
                hash: remote.hash,
                size: remote.size,
                revision: remote.revision,
            }),
            remote_at: self.stored_at.get(&conflict.path).copied(),
            device: self.spec.device.clone(),
            decision: None,
        };
        let id = self.store.put_conflict(&known).map_err(Stop::state)?;
        // One that was known keeps its time.
        if self.store.conflict(id).map_err(Stop::state)?.is_some_and(|kept| kept.at == known.at) {
            let text = match &known.copy {
                Some(copy) => format!("both sides changed; this device's version is kept as \"{}\"", copy.name()),
                None => "both sides changed; nothing is done until it is resolved".to_owned(),
            };
            self.tell(EventKind::Conflict, Some(known.path), text);
        }
        Ok(id)
    }

    /// The unresolved conflicts.
    pub(crate) fn open_conflicts(&self) -> Vec<OpenConflict> {
        let conflicts = self.store.conflicts().unwrap_or_default();
        conflicts
            .into_iter()
            .map(|(id, conflict)| OpenConflict {
                id,
                kind: conflict.kind.as_str().to_owned(),
                at: conflict.at,
                local: conflict.local.map(|(hash, size)| ConflictSide {
                    size,
                    at: self.changed_at(conflict.copy.as_ref().unwrap_or(&conflict.path), hash),
                    device: Some(conflict.device.clone()),
                }),
                remote: conflict.remote.map(|remote| ConflictSide {
                    size: remote.size,
                    at: conflict.remote_at,
                    device: None,
                }),
                is_skipped: conflict.decision == Some(Decision::Skip),
                path: conflict.path,
                copy: conflict.copy,
            })
            .collect()
    }

    /// When the file that holds a version was last changed; `None` where it holds another by now.
    fn changed_at(&self, path: &RelPath, hash: SaltedHash) -> Option<UnixNanos> {
        let local = self.store.row(path).ok()?.local?;
        (local.hash == hash).then_some(local.fingerprint.mtime)
    }

    /// Resolves a conflict: at once where its copy lies here, else by the next plan.
    pub(crate) async fn resolve(&mut self, id: u64, resolution: Resolution) -> Result<(), CommandError> {
        let conflict = self.store.conflict(id).map_err(|error| CommandError::state(&error))?;
        let Some(conflict) = conflict else { return Err(CommandError::NoSuch { what: "conflict", id }) };
        match &conflict.copy {
            None => {
                let decision = match resolution {
                    Resolution::KeepLocal => Decision::KeepLocal,
                    Resolution::AcceptRemote => Decision::AcceptRemote,
                    Resolution::KeepBoth => Decision::KeepBoth,
                    Resolution::Skip => Decision::Skip,
                };
                self.store.decide_conflict(id, Some(decision)).map_err(|error| CommandError::state(&error))?;
            }
            Some(_) if resolution == Resolution::Skip => {
                let skipped = Some(Decision::Skip);
                self.store.decide_conflict(id, skipped).map_err(|error| CommandError::state(&error))?;
            }
            Some(copy) => {
                self.settle_copy(&conflict, copy, resolution).await?;
                self.store.remove_conflict(id).map_err(|error| CommandError::state(&error))?;
            }
        }
        self.wants.plan();
        self.tell(EventKind::Resolved, Some(conflict.path), format!("resolved: {}", word(resolution)));
        Ok(())
    }

    /// Ends a conflict whose local version was kept as a copy. The other side follows in the next cycle.
    async fn settle_copy(
        &mut self,
        conflict: &hcfs_state::Conflict,
        copy: &RelPath,
        resolution: Resolution,
    ) -> Result<(), CommandError> {
        if resolution == Resolution::KeepBoth {
            return Ok(());
        }
        let state = |error| CommandError::state(&error);
        // The copy may have come to be a moment ago, and the file beside it may have changed since.
        self.wants.below(copy.clone());
        self.wants.below(conflict.path.clone());
        self.observe_here().await.map_err(CommandError::failure_of_folder)?;
        let kept = self.store.row(copy).map_err(state)?;
        let Row { local: Some(kept), .. } = kept else { return Ok(()) };
        let current = self.store.row(&conflict.path).map_err(state)?.local;
        let (tools, at) = (self.tools(), self.clock.now());
        let (path, copy) = (conflict.path.clone(), copy.clone());
        let (name, copy_name) = (path.clone(), copy.clone());
        let gate = self.attend(Arc::clone(&self.gate).read_owned()).await.map_err(CommandError::failure_of_folder)?;
        let changed = self
            .attend(blocking(Arc::clone(&self.machine), move || {
                let _gate = gate;
                let remove = |target: &RelPath, entry: &LocalEntry| {
                    let request = Remove { target, entry, rules: &tools.rules, at, durability: Durability::Each };
                    tools.folder.remove(&request).map(drop)
                };
                if resolution == Resolution::AcceptRemote {
                    return remove(&copy_name, &kept);
                }
                if let Some(current) = &current {
                    remove(&name, current)?;
                }
                let request = Move {
                    from: &copy_name,
                    to: &name,
                    entry: &kept,
                    hashed_at: UnixNanos(0),
                    rules: &tools.rules,
                    at,
                    durability: Durability::Each,
                };
                tools.folder.rename(&request).map(drop)
            }))
            .await
            .map_err(CommandError::failure_of_folder)?;
        self.wants.below(path.clone());
        self.wants.below(copy);
        changed.map_err(|error| CommandError::failure(&path, Failure::apply(&path, &error)))
    }
}

/// Whether a conflict is about the versions that the trees hold now: an answer counts for what was shown.
pub(crate) fn is_about(conflict: &hcfs_state::Conflict, row: Option<&Row>) -> bool {
    let Some(row) = row else { return false };
    conflict.copy.is_none()
        && row.local.as_ref().map(|local| local.hash) == conflict.local.map(|(hash, _)| hash)
        && row.remote.as_ref().map(|remote| remote.hash) == conflict.remote.map(|remote| remote.hash)
}

fn kept_kind(kind: ConflictKind) -> hcfs_state::ConflictKind {
    match kind {
        ConflictKind::BothModified => hcfs_state::ConflictKind::BothModified,
        ConflictKind::ModifiedHereDeletedThere => hcfs_state::ConflictKind::ModifiedHereDeletedThere,
        ConflictKind::DeletedHereModifiedThere => hcfs_state::ConflictKind::DeletedHereModifiedThere,
        ConflictKind::BothCreated => hcfs_state::ConflictKind::BothCreated,
        ConflictKind::FileAndDirectory => hcfs_state::ConflictKind::FileAndDirectory,
    }
}

pub(crate) fn resolution(decision: Decision) -> Resolution {
    match decision {
        Decision::KeepLocal => Resolution::KeepLocal,
        Decision::AcceptRemote => Resolution::AcceptRemote,
        Decision::KeepBoth => Resolution::KeepBoth,
        Decision::Skip => Resolution::Skip,
    }
}

fn word(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::KeepLocal => "this device's version",
        Resolution::AcceptRemote => "the server's version",
        Resolution::KeepBoth => "both versions stay",
        Resolution::Skip => "left as it is",
    }
}
