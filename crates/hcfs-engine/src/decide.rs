//! From the three trees to a plan: what the planner is told, and what is kept of its answer.

use std::collections::{BTreeMap, BTreeSet};

use hcfs_model::{RelPath, Row, Rows};
use hcfs_plan::{Action, Base, Conflict, ConflictKind, Context, HoldKind, Plan, Policy, Resolution, Totals};
use hcfs_state::{Decision, RemoteVersion, Settled, Suspicion};

use crate::execute::synced;
use crate::handle::{CommandError, OpenConflict, OpenHold};
use crate::observe::suspect;
use crate::session::{Session, Stop};
use crate::status::EventKind;

/// How often new names are made anew because they are taken; each try takes at least one more name into account.
const NAME_TRIES: usize = 16;

const HERE: &str = "mass_deletion_here";
const THERE: &str = "mass_deletion_there";
const ROLLBACK: &str = "rollback";
const EQUIVOCATION: &str = "equivocation";

impl Session {
    /// Plans over what differs now.
    ///
    /// # Errors
    /// The database cannot be read, or the planner left a path undecided.
    pub(crate) fn decide(&mut self) -> Result<Plan, Stop> {
        let suspects = self.store.suspects().map_err(Stop::state)?;
        self.blocked.suspected(suspects.into_iter().map(|(path, why)| suspect(path, &why)).collect());
        let rows = self.store.changed_rows().map_err(Stop::state)?;
        let mut context = self.context(&rows)?;
        context.moved = self.wants.take_moved();
        for _ in 0..NAME_TRIES {
            let plan = hcfs_plan::plan(&rows, &context).map_err(|error| Stop::defect(&error))?;
            let taken = self.taken(&plan)?;
            if taken.is_empty() {
                self.forget_failures(&rows, &plan);
                return Ok(plan);
            }
            context.reserved.extend(taken);
        }
        Err(Stop::defect(&"every name for a conflict copy is taken"))
    }

    /// Failures count as long as something is wanted of their paths.
    fn forget_failures(&mut self, rows: &Rows, plan: &Plan) {
        if !self.blocked.is_any_failing() {
            return;
        }
        let mut tried: BTreeSet<&RelPath> = BTreeSet::new();
        for action in plan.actions() {
            match action {
                Action::RenameRemote { from, to, .. } | Action::RenameLocal { from, to, .. } => {
                    tried.extend([from, to]);
                }
                Action::Adopt { path, .. }
                | Action::Forget { path }
                | Action::SetAside { path, .. }
                | Action::Upload { path, .. }
                | Action::Download { path, .. }
                | Action::DeleteRemote { path, .. }
                | Action::DeleteLocal { path, .. } => tried.extend([path]),
            }
        }
        let changing = &self.changing;
        self.blocked.retain(
            |path| rows.contains_key(path) || changing.contains(path),
            |path| tried.contains(path) || changing.contains(path),
        );
    }

    /// Everything but the rows and the watcher's word that a plan depends on.
    fn context(&self, rows: &Rows) -> Result<Context, Stop> {
        let totals = self.store.totals().map_err(Stop::state)?.synced;
        let baseline = self.store.meta().map_err(Stop::state)?.baseline.is_complete();
        let decided = self.store.conflicts().map_err(Stop::state)?;
        let mut context = Context {
            policy: Policy { mode: self.spec.mode, conflicts: self.spec.conflicts, max_delete: self.spec.max_delete },
            totals: Totals { files: totals.files, top: totals.tops },
            baseline,
            unknown_local: self.unknown.clone(),
            blocked: self.left_alone(rows),
            ignored: rows.keys().filter(|path| self.rules.is_ignored(path, false)).cloned().collect(),
            moved: Vec::new(),
            decided: decided
                .into_iter()
                .filter(|(_, conflict)| is_about(conflict, rows.get(&conflict.path)))
                .filter_map(|(_, conflict)| Some((conflict.path, resolution(conflict.decision?))))
                .collect::<BTreeMap<_, _>>(),
            accepted: BTreeSet::new(),
            restored: BTreeSet::new(),
            reserved: rows.keys().filter(|path| hcfs_plan::is_reserved(path)).cloned().collect(),
            device: self.spec.device.clone(),
            date: date(self.clock.now()),
        };
        context.accepted = self.accepted(rows, &context)?;
        Ok(context)
    }

    /// The paths to be left alone. With paths that wait for their next try also what stands under a temporary name on the
    /// server: where it was going may be one of them, and to receive it would make it a file like any other.
    fn left_alone(&self, rows: &Rows) -> BTreeSet<RelPath> {
        let mut alone = self.blocked.paths();
        if self.blocked.next_try().is_some() {
            let is_on_its_way = |(path, row): &(&RelPath, &Row)| {
                hcfs_plan::is_temporary(path) && row.local.is_none() && row.synced.is_none()
            };
            alone.extend(rows.iter().filter(is_on_its_way).map(|(path, _)| path.clone()));
        }
        alone
    }

    /// The holds a user let through. What was accepted is what was shown: where more would be deleted now, it is asked
    /// again.
    fn accepted(&self, rows: &Rows, context: &Context) -> Result<BTreeSet<HoldKind>, Stop> {
        let holds = self.store.holds().map_err(Stop::state)?;
        let mut accepted: BTreeMap<HoldKind, u64> = BTreeMap::new();
        for (_, hold) in holds.into_iter().filter(|(_, hold)| hold.accepted.is_some()) {
            accepted.extend(hold_kind(&hold.kind, hold.scope).map(|kind| (kind, hold.count)));
        }
        if !accepted.is_empty() {
            let plan = hcfs_plan::plan(rows, context).map_err(|error| Stop::defect(&error))?;
            for hold in plan.holds {
                if accepted.get(&hold.kind).is_some_and(|count| hold.count > *count) {
                    accepted.remove(&hold.kind);
                }
            }
        }
        Ok(accepted.into_keys().collect())
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
        current.extend(self.keep_suspects()?);
        for (id, hold) in self.store.holds().map_err(Stop::state)? {
            // An accepted hold stays until its deletions are done: a plan without any says so.
            if !current.contains(&id) && (hold.accepted.is_none() || plan.is_empty()) {
                self.store.remove_hold(id).map_err(Stop::state)?;
            }
        }
        self.told_holds = current;
        Ok(())
    }

    /// Versions that contradict what was seen before wait for the user as well: one hold for each kind.
    fn keep_suspects(&mut self) -> Result<Vec<u64>, Stop> {
        let mut by_kind: BTreeMap<&str, Vec<RelPath>> = BTreeMap::new();
        for (path, suspicion) in self.store.suspects().map_err(Stop::state)? {
            by_kind.entry(suspicion_word(&suspicion)).or_default().push(path);
        }
        let total = self.store.totals().map_err(Stop::state)?.remote.files;
        let mut ids = Vec::new();
        for (kind, paths) in by_kind {
            let count = paths.len() as u64;
            let examples = paths.into_iter().take(hcfs_plan::Hold::EXAMPLES).collect();
            let at = self.clock.now();
            let known =
                hcfs_state::Hold { kind: kind.to_owned(), scope: None, count, total, examples, at, accepted: None };
            let id = self.store.put_hold(&known).map_err(Stop::state)?;
            if !self.told_holds.contains(&id) {
                let text =
                    format!("{count} files are listed in versions that cannot be trusted; waiting for an answer");
                self.tell(EventKind::Held, None, text);
            }
            ids.push(id);
        }
        Ok(ids)
    }

    /// Takes the listed versions for good; where the user wants what is `here`, they are replaced by that.
    fn settle_suspects(&mut self, id: u64, kind: &str, here: bool) -> Result<(), Stop> {
        for (path, suspicion) in self.store.suspects().map_err(Stop::state)? {
            if suspicion_word(&suspicion) != kind {
                continue;
            }
            if here && let Some(remote) = self.store.row(&path).map_err(Stop::state)?.remote {
                // Then what differs from it here is a change of it.
                let agreed = synced(&remote, None);
                let settled = Settled::Synced { path: path.clone(), local: None, remote, synced: agreed };
                self.record(&[settled], Vec::new())?;
            }
            self.store.accept_listed(&path).map_err(Stop::state)?;
        }
        self.store.remove_hold(id).map_err(Stop::state)?;
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
        if matches!(hold.kind.as_str(), ROLLBACK | EQUIVOCATION) {
            self.settle_suspects(id, &hold.kind, !accept).map_err(CommandError::failure_of_folder)?;
        } else if accept {
            self.store.accept_hold(id, self.clock.now()).map_err(|error| CommandError::state(&error))?;
        } else if let Some(kind) = hold_kind(&hold.kind, hold.scope) {
            self.restore(id, kind).map_err(CommandError::failure_of_folder)?;
        }
        self.wants.plan();
        Ok(())
    }

    /// Forgets what was agreed about the files of a hold: then they are new on the side that still has them, whatever
    /// happens before they are back on the other.
    fn restore(&mut self, id: u64, kind: HoldKind) -> Result<(), Stop> {
        let rows = self.store.changed_rows().map_err(Stop::state)?;
        let context = Context { restored: BTreeSet::from([kind]), ..self.context(&rows)? };
        let plan = hcfs_plan::plan(&rows, &context).map_err(|error| Stop::defect(&error))?;
        let brought_back = plan.actions().filter_map(|action| {
            let (path, hash) = match action {
                Action::Download { path, remote, replaces: None } => (path, remote.hash),
                Action::Upload { path, local, base: Base::New } => (path, local.hash),
                _ => return None,
            };
            let agreed = rows.get(path).and_then(|row| row.synced.as_ref());
            agreed.filter(|agreed| agreed.hash == hash).map(|_| Settled::Forgotten { path: path.clone() })
        });
        let forgotten: Vec<Settled> = brought_back.collect();
        self.record(&forgotten, Vec::new())?;
        self.store.remove_hold(id).map_err(Stop::state)?;
        Ok(())
    }
}

/// Whether a conflict is about the versions that the trees hold now: an answer counts for what was shown.
fn is_about(conflict: &hcfs_state::Conflict, row: Option<&Row>) -> bool {
    let Some(row) = row else { return false };
    conflict.copy.is_none()
        && row.local.as_ref().map(|local| local.hash) == conflict.local.map(|(hash, _)| hash)
        && row.remote.as_ref().map(|remote| remote.hash) == conflict.remote.map(|remote| remote.hash)
}

fn hold_words(kind: &HoldKind) -> (&'static str, Option<String>) {
    match kind {
        HoldKind::MassDeletionHere { top } => (HERE, top.clone()),
        HoldKind::MassDeletionThere { top } => (THERE, top.clone()),
    }
}

fn suspicion_word(suspicion: &Suspicion) -> &'static str {
    match suspicion {
        Suspicion::Rollback { .. } => ROLLBACK,
        Suspicion::Equivocation { .. } => EQUIVOCATION,
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
