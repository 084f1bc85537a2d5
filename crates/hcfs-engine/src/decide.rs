//! From the three trees to a plan: what the planner is told, and what is kept of its answer.

use std::collections::{BTreeMap, BTreeSet};

use hcfs_model::{RelPath, Row, Rows};
use hcfs_plan::{Action, Conflict, ConflictKind, Context, HoldKind, Plan, Policy, Resolution, Totals};
use hcfs_state::{Decision, RemoteVersion};

use crate::handle::{CommandError, OpenConflict, OpenHold};
use crate::session::{Session, Stop};
use crate::status::EventKind;

/// How often new names are made anew because they are taken; each try takes at least one more name into account.
const NAME_TRIES: usize = 16;

const HERE: &str = "mass_deletion_here";
const THERE: &str = "mass_deletion_there";

impl Session {
    /// Plans over what differs now.
    ///
    /// # Errors
    /// The database cannot be read, or the planner left a path undecided.
    pub(crate) fn decide(&mut self) -> Result<Plan, Stop> {
        let rows = self.store.changed_rows().map_err(Stop::state)?;
        let mut context = self.context(&rows)?;
        for _ in 0..NAME_TRIES {
            let plan = hcfs_plan::plan(&rows, &context).map_err(|error| Stop::defect(&error))?;
            let taken = self.taken(&plan)?;
            if taken.is_empty() {
                let changing = &self.changing;
                self.blocked.retain(|path| rows.contains_key(path) || changing.contains(path));
                return Ok(plan);
            }
            context.reserved.extend(taken);
        }
        Err(Stop::defect(&"every name for a conflict copy is taken"))
    }

    /// Everything but the rows that a plan depends on.
    fn context(&mut self, rows: &Rows) -> Result<Context, Stop> {
        let totals = self.store.totals().map_err(Stop::state)?.synced;
        let baseline = self.store.meta().map_err(Stop::state)?.baseline.is_complete();
        let suspects = self.store.suspects().map_err(Stop::state)?;
        let decided = self.store.conflicts().map_err(Stop::state)?;
        let holds = self.store.holds().map_err(Stop::state)?;
        let accepted = holds.into_iter().filter(|(_, hold)| hold.accepted.is_some());
        let mut blocked = self.blocked.paths();
        blocked.extend(suspects.into_iter().map(|(path, _)| path));
        Ok(Context {
            policy: Policy { mode: self.spec.mode, conflicts: self.spec.conflicts, max_delete: self.spec.max_delete },
            totals: Totals { files: totals.files, top: totals.tops },
            baseline,
            unknown_local: self.unknown.clone(),
            blocked,
            ignored: rows.keys().filter(|path| self.rules.is_ignored(path, false)).cloned().collect(),
            moved: self.wants.take_moved(),
            decided: decided
                .into_iter()
                .filter_map(|(_, conflict)| Some((conflict.path, resolution(conflict.decision?))))
                .collect::<BTreeMap<_, _>>(),
            accepted: accepted.filter_map(|(_, hold)| hold_kind(&hold.kind, hold.scope)).collect(),
            restored: std::mem::take(&mut self.restoring),
            reserved: rows.keys().filter(|path| hcfs_plan::is_reserved(path)).cloned().collect(),
            device: self.spec.device.clone(),
            date: date(self.clock.now()),
        })
    }

    /// The new names of a plan that exist already, outside the rows it was made from.
    fn taken(&self, plan: &Plan) -> Result<BTreeSet<RelPath>, Stop> {
        let mut taken = BTreeSet::new();
        for action in plan.actions() {
            let (Action::SetAside { to, .. } | Action::RenameLocal { to, remote: None, .. }) = action else { continue };
            let is_row = self.store.row(to).map_err(Stop::state)? != Row::default();
            // Anything but a clear "nothing is there" means that the name is not free.
            let on_disk = !matches!(self.folder.fingerprint(to, None), Ok(None));
            if is_row || on_disk {
                taken.insert(to.clone());
            }
        }
        Ok(taken)
    }

    /// Keeps what a plan says is open: conflicts nobody ended, and deletions that wait.
    ///
    /// # Errors
    /// The database cannot be written.
    pub(crate) fn keep_open_questions(&mut self, plan: &Plan) -> Result<(), Stop> {
        self.keep_holds(plan)?;
        let open: BTreeSet<&RelPath> = plan.conflicts.iter().map(|conflict| &conflict.path).collect();
        for (id, known) in self.store.conflicts().map_err(Stop::state)? {
            let is_over = match &known.copy {
                // The copy is gone: somebody resolved it by hand.
                Some(copy) => self.store.row(copy).map_err(Stop::state)? == Row::default(),
                None => !open.contains(&known.path),
            };
            if is_over {
                self.store.remove_conflict(id).map_err(Stop::state)?;
            }
        }
        for conflict in plan.conflicts.iter().filter(|conflict| conflict.resolution == Resolution::Skip) {
            self.keep_conflict(conflict, None)?;
        }
        Ok(())
    }

    /// Keeps one conflict until it is resolved.
    pub(crate) fn keep_conflict(&mut self, conflict: &Conflict, copy: Option<RelPath>) -> Result<(), Stop> {
        let known = hcfs_state::Conflict {
            path: conflict.path.clone(),
            kind: kept_kind(conflict.kind),
            copy,
            at: self.clock.now(),
            local: conflict.local.as_ref().map(|local| (local.hash, local.fingerprint.size)),
            remote: conflict.remote.as_ref().map(|remote| RemoteVersion {
                hash: remote.hash,
                size: remote.size,
                revision: remote.revision,
            }),
            device: self.spec.device.clone(),
            decision: None,
        };
        let before = self.store.conflicts().map_err(Stop::state)?.len();
        self.store.put_conflict(&known).map_err(Stop::state)?;
        if self.store.conflicts().map_err(Stop::state)?.len() > before {
            let text = match &known.copy {
                Some(copy) => format!("both sides changed; this device's version is kept as \"{}\"", copy.name()),
                None => "both sides changed; nothing is done until it is resolved".to_owned(),
            };
            self.tell(EventKind::Conflict, Some(known.path), text);
        }
        Ok(())
    }

    fn keep_holds(&mut self, plan: &Plan) -> Result<(), Stop> {
        let mut current = BTreeSet::new();
        for hold in &plan.holds {
            let (kind, scope) = hold_words(&hold.kind);
            let known = hcfs_state::Hold {
                kind: kind.to_owned(),
                scope,
                count: hold.count,
                total: hold.of,
                examples: hold.examples.clone(),
                at: self.clock.now(),
                accepted: None,
            };
            let id = self.store.put_hold(&known).map_err(Stop::state)?;
            if current.insert(id) && !self.told_holds.contains(&id) {
                let text = format!("{} of {} files would be deleted; waiting for an answer", hold.count, hold.of);
                self.tell(EventKind::Held, None, text);
            }
        }
        let held: BTreeSet<HoldKind> = plan.holds.iter().map(|hold| hold.kind.clone()).collect();
        for (id, hold) in self.store.holds().map_err(Stop::state)? {
            let is_held = hold_kind(&hold.kind, hold.scope).is_some_and(|kind| held.contains(&kind));
            // An accepted hold stays until its deletions are done: a plan without any says so.
            if !is_held && (hold.accepted.is_none() || plan.is_empty()) {
                self.store.remove_hold(id).map_err(Stop::state)?;
            }
        }
        self.told_holds = current;
        Ok(())
    }

    /// The unresolved conflicts.
    pub(crate) fn open_conflicts(&self) -> Vec<OpenConflict> {
        let conflicts = self.store.conflicts().unwrap_or_default();
        conflicts
            .into_iter()
            .map(|(id, conflict)| OpenConflict {
                id,
                path: conflict.path,
                kind: conflict.kind.as_str().to_owned(),
                copy: conflict.copy,
                at: conflict.at,
                local_size: conflict.local.map(|(_, size)| size),
                remote_size: conflict.remote.map(|remote| remote.size),
            })
            .collect()
    }

    /// The unanswered holds.
    pub(crate) fn open_holds(&self) -> Vec<OpenHold> {
        let holds = self.store.holds().unwrap_or_default();
        holds
            .into_iter()
            .filter(|(_, hold)| hold.accepted.is_none())
            .map(|(id, hold)| OpenHold {
                id,
                kind: match hold.scope {
                    Some(top) => format!("{} of \"{top}\"", hold.kind),
                    None => hold.kind,
                },
                count: hold.count,
                of: hold.total,
                examples: hold.examples,
                at: hold.at,
            })
            .collect()
    }

    /// Lets held deletions happen, or has the next plan bring the files back.
    ///
    /// # Errors
    /// No such hold, or the database cannot be written.
    pub(crate) fn settle_hold(&mut self, id: u64, accept: bool) -> Result<(), CommandError> {
        let holds = self.store.holds().map_err(|error| CommandError::state(&error))?;
        let Some((_, hold)) = holds.into_iter().find(|(known, _)| *known == id) else {
            return Err(CommandError::NoSuch { what: "hold", id });
        };
        if accept {
            self.store.accept_hold(id, self.clock.now()).map_err(|error| CommandError::state(&error))?;
        } else {
            self.restoring.extend(hold_kind(&hold.kind, hold.scope));
        }
        self.wants.plan();
        Ok(())
    }
}

fn hold_words(kind: &HoldKind) -> (&'static str, Option<String>) {
    match kind {
        HoldKind::MassDeletionHere { top } => (HERE, top.clone()),
        HoldKind::MassDeletionThere { top } => (THERE, top.clone()),
    }
}

fn hold_kind(word: &str, top: Option<String>) -> Option<HoldKind> {
    match word {
        HERE => Some(HoldKind::MassDeletionHere { top }),
        THERE => Some(HoldKind::MassDeletionThere { top }),
        _ => None,
    }
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

fn resolution(decision: Decision) -> Resolution {
    match decision {
        Decision::KeepLocal => Resolution::KeepLocal,
        Decision::AcceptRemote => Resolution::AcceptRemote,
        Decision::KeepBoth => Resolution::KeepBoth,
        Decision::Skip => Resolution::Skip,
    }
}

/// The date of a moment, as conflict copies carry it: `2025-01-31`, in the time of this machine.
pub(crate) fn date(now: hcfs_model::UnixNanos) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(now.0))
        .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).date().to_string())
        .unwrap_or_else(|_| "undated".to_owned())
}
