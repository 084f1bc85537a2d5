//! Holds: what waits for the user's word, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};

use hcfs_model::{RelPath, Rows};
use hcfs_plan::{Action, Base, Context, HoldKind, Plan};
use hcfs_state::{Settled, Suspicion};

use crate::execute::synced;
use crate::handle::{CommandError, OpenHold};
use crate::session::{Session, Stop};
use crate::status::{EventKind, FolderState};

/// Many files vanished on disk.
pub(crate) const HERE: &str = "mass_deletion_here";
const THERE: &str = "mass_deletion_there";
const ROLLBACK: &str = "rollback";
const EQUIVOCATION: &str = "equivocation";
/// The server does not know the folder any more.
const UNKNOWN: &str = "unknown_folder";

impl Session {
    /// The holds a user let through. What was accepted is what was shown: where more would be deleted now, it is asked
    /// again.
    pub(crate) fn accepted(&self, rows: &Rows, context: &Context) -> Result<BTreeSet<HoldKind>, Stop> {
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

    /// The deletions that wait for an answer.
    pub(crate) fn asked(&self) -> Result<BTreeSet<HoldKind>, Stop> {
        let holds = self.store.holds().map_err(Stop::state)?;
        let open = holds.into_iter().filter(|(_, hold)| hold.accepted.is_none());
        Ok(open.filter_map(|(_, hold)| hold_kind(&hold.kind, hold.scope)).collect())
    }

    /// Keeps the holds of a plan, and drops those that are over.
    ///
    /// # Errors
    /// The database cannot be written.
    pub(crate) fn keep_holds(&mut self, plan: &Plan) -> Result<(), Stop> {
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

    /// The unanswered holds.
    pub(crate) fn open_holds(&self) -> Vec<OpenHold> {
        let holds = self.store.holds().unwrap_or_default();
        holds
            .into_iter()
            .filter(|(_, hold)| hold.accepted.is_none())
            .map(|(id, hold)| OpenHold {
                id,
                kind: hold.kind,
                scope: hold.scope,
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
    /// No such hold waits for an answer, or the database cannot be written.
    pub(crate) fn settle_hold(&mut self, id: u64, accept: bool) -> Result<(), CommandError> {
        let holds = self.store.holds().map_err(|error| CommandError::state(&error))?;
        // One that was accepted stays only until it is carried out.
        let open = holds.into_iter().find(|(known, hold)| *known == id && hold.accepted.is_none());
        let Some((_, hold)) = open else { return Err(CommandError::NoSuch { what: "hold", id }) };
        if hold.kind == UNKNOWN {
            self.settle_unknown(id, accept).map_err(CommandError::failure_of_folder)?;
        } else if matches!(hold.kind.as_str(), ROLLBACK | EQUIVOCATION) {
            self.settle_suspects(id, &hold.kind, !accept).map_err(CommandError::failure_of_folder)?;
        } else if accept {
            self.store.accept_hold(id, self.clock.now()).map_err(|error| CommandError::state(&error))?;
        } else if let Some(kind) = hold_kind(&hold.kind, hold.scope) {
            self.restore(id, kind).map_err(CommandError::failure_of_folder)?;
        }
        self.shrinking.begin_anew();
        self.wants.plan();
        Ok(())
    }

    /// Keeps the question what is to become of a folder that the server does not know any more, and stops it.
    pub(crate) fn forgotten(&mut self) -> Result<(), Stop> {
        let totals = self.store.totals().map_err(Stop::state)?;
        let examples = self.store.remote_rows().take(hcfs_plan::Hold::EXAMPLES).map(|row| row.map(|(path, _)| path));
        let hold = hcfs_state::Hold {
            kind: UNKNOWN.to_owned(),
            scope: None,
            count: totals.remote.files.max(totals.synced.files),
            total: totals.local.files,
            examples: examples.collect::<Result<_, _>>().map_err(Stop::state)?,
            at: self.clock.now(),
            accepted: None,
        };
        let id = self.store.put_hold(&hold).map_err(Stop::state)?;
        let message = format!("the server does not know the folder \"{}\" any more", self.spec.label);
        if self.told_holds.insert(id) {
            self.tell(EventKind::Held, None, format!("{message}; waiting for an answer"));
        }
        let holds = self.open_holds().len() as u64;
        self.board.update(|status| status.holds = holds);
        Err(Stop::Trouble {
            state: FolderState::Held,
            message,
            hint: format!(
                "nothing was deleted here; `hcfs holds restore {id}` sends everything again, `hcfs holds accept {id}` \
                 deletes here what the server lost, `hcfs folder remove` keeps the files and stops syncing them"
            ),
        })
    }

    /// Whether the user has said that a folder the server forgot is to be made known to it again.
    pub(crate) fn may_make_known_again(&self) -> Result<bool, Stop> {
        let holds = self.store.holds().map_err(Stop::state)?;
        Ok(holds.iter().any(|(_, hold)| hold.kind == UNKNOWN && hold.accepted.is_some()))
    }

    /// Takes it that the server has none of the files: they are deleted here (`accept`), or sent again.
    fn settle_unknown(&mut self, id: u64, accept: bool) -> Result<(), Stop> {
        let listed: Result<Vec<_>, _> = self.store.remote_rows().map(|row| row.map(|(path, _)| path)).collect();
        let listed = listed.map_err(Stop::state)?;
        if !accept {
            self.forget_agreements()?;
        }
        // Their lives on the server have ended: what is sent again is no rollback.
        let gone = hcfs_state::RemoteUpdate { remove: listed, ..hcfs_state::RemoteUpdate::default() };
        self.store.record_remote(&gone, true).map_err(Stop::state)?;
        if accept {
            self.accept_absences(THERE)?;
        }
        self.store.accept_hold(id, self.clock.now()).map_err(Stop::state)?;
        self.look_now();
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

pub(crate) fn hold_words(kind: &HoldKind) -> (&'static str, Option<String>) {
    match kind {
        HoldKind::MassDeletionHere { top } => (HERE, top.clone()),
        HoldKind::MassDeletionThere { top } => (THERE, top.clone()),
    }
}

pub(crate) fn suspicion_word(suspicion: &Suspicion) -> &'static str {
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
