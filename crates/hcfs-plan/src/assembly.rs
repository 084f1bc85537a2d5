//! Turns the fates of rows into stages of actions, and checks that no differing row was left out.

use std::collections::BTreeMap;

use hcfs_model::{LocalEntry, RelPath, RemoteEntry, Rows, SaltedHash};

use crate::clash::Above;
use crate::matrix::{Cause, Fate, Slot, is_covered};
use crate::names::{Names, is_temporary};
use crate::rename::{Pairs, Place, is_leftover};
use crate::{
    Action, Base, Conflict, ConflictKind, Context, Hold, Incomplete, Mode, Plan, Reason, Resolution, Stage, StageKind,
};

const KINDS: [StageKind; 6] = [
    StageKind::Settle,
    StageKind::Clear,
    StageKind::RenameRemote,
    StageKind::RenameLocal,
    StageKind::Transfer,
    StageKind::Delete,
];

/// Everything that was decided.
pub(crate) struct Decided<'a> {
    pub(crate) slots: Vec<Slot<'a>>,
    pub(crate) above: Above,
    pub(crate) related: Vec<bool>,
    pub(crate) remote: Pairs,
    pub(crate) local: Pairs,
    pub(crate) holds: Vec<Hold>,
}

/// Makes the plan.
pub(crate) fn assemble(decided: Decided<'_>, rows: &Rows, context: &Context) -> Result<Plan, Incomplete> {
    let Decided { slots, above, related, remote, local, holds } = decided;
    let mut assembly = Assembly {
        slots: &slots,
        related: &related,
        rows,
        context,
        names: None,
        leftovers: slots.iter().enumerate().rev().filter_map(leftover).collect(),
        stages: Default::default(),
        conflicts: Vec::new(),
        reported: Vec::new(),
        accounted: vec![false; slots.len()],
    };
    let (leftovers, rest): (Vec<usize>, Vec<usize>) =
        (0..slots.len()).partition(|&index| leftover((index, &slots[index])).is_some());
    for index in rest.into_iter().chain(leftovers) {
        assembly.emit(index);
    }
    assembly.rename_remote(&remote, &above);
    assembly.rename_local(&local, &above);
    let Assembly { stages, conflicts, reported, accounted, .. } = assembly;
    check(&slots, &accounted)?;
    let stages = KINDS
        .into_iter()
        .zip(stages)
        .filter(|(_, actions)| !actions.is_empty())
        .map(|(kind, actions)| Stage { kind, actions })
        .collect();
    Ok(Plan { stages, conflicts, holds, reported })
}

/// The planner's promise to itself.
fn check(slots: &[Slot<'_>], accounted: &[bool]) -> Result<(), Incomplete> {
    let missing = slots.iter().zip(accounted).filter(|(_, accounted)| !**accounted);
    let paths: Vec<RelPath> = missing.map(|(slot, _)| slot.path.clone()).collect();
    if paths.is_empty() { Ok(()) } else { Err(Incomplete { paths }) }
}

/// A content that was left at a temporary name on the server, and that no rename was found for.
fn leftover((index, slot): (usize, &Slot<'_>)) -> Option<(SaltedHash, usize)> {
    slot.row.remote.as_ref().filter(|_| is_leftover(slot)).map(|remote| (remote.hash, index))
}

struct Assembly<'a> {
    slots: &'a [Slot<'a>],
    related: &'a [bool],
    rows: &'a Rows,
    context: &'a Context,
    /// Made when the first name is needed.
    names: Option<Names<'a>>,
    /// What was left at temporary names on the server and is still to be decided, by content.
    leftovers: BTreeMap<SaltedHash, usize>,
    stages: [Vec<Action>; 6],
    conflicts: Vec<Conflict>,
    reported: Vec<(RelPath, Reason)>,
    /// Which rows are agreed or in an action, a conflict, a hold or a report.
    accounted: Vec<bool>,
}

impl<'a> Assembly<'a> {
    fn names(&mut self) -> &mut Names<'a> {
        let context = self.context;
        self.names.get_or_insert_with(|| Names::new(self.rows, &context.reserved, &context.device, &context.date))
    }

    fn push(&mut self, kind: StageKind, action: Action) {
        self.stages[kind as usize].push(action);
    }

    fn emit(&mut self, index: usize) {
        if self.accounted[index] {
            return;
        }
        let slot = &self.slots[index];
        let (local, remote) = (slot.row.local.as_ref(), slot.row.remote.as_ref());
        let mut copy = None;
        self.accounted[index] = match (slot.fate, local, remote) {
            (Fate::Quiet, ..) => slot.row.is_agreed() || is_covered(&self.context.ignored, slot.path),
            (Fate::Held, ..) => true,
            (Fate::Open, ..) => slot.conflict.is_some(),
            (Fate::Report(cause), ..) => {
                self.reported.push((slot.path.clone(), self.reason(cause)));
                true
            }
            (Fate::KeepBoth, Some(local), Some(remote)) => {
                let kept = self.names().copy_of(slot.path);
                self.set_aside(slot.path, &kept, local, Some(Base::New));
                self.download(slot.path, remote, None);
                copy = Some(kept);
                true
            }
            (Fate::GiveWay, ..) => {
                copy = self.give_way(slot);
                copy.is_some()
            }
            _ => self.rescue(slot) || self.emit_alone(index, slot),
        };
        if slot.conflict.is_some() || copy.is_some() {
            self.conflict(slot, copy);
        }
    }

    /// Gives what a rename that was cut off left at a temporary name a name a person knows, where no rename was found for
    /// it: it may have been deleted or changed meanwhile where it was to go. Whether that is what the row is.
    fn rescue(&mut self, slot: &Slot<'_>) -> bool {
        if !is_leftover(slot) || self.context.policy.mode != Mode::Sync {
            return false;
        }
        match (&slot.row.local, &slot.row.remote) {
            (None, Some(remote)) => {
                let (from, to) = (slot.path.clone(), self.names().rescued(slot.path));
                self.push(StageKind::RenameRemote, Action::RenameRemote { from, to, base: Base::At(remote.clone()) });
                true
            }
            (Some(local), None) => {
                let to = self.names().rescued(slot.path);
                self.set_aside(slot.path, &to, local, Some(Base::New));
                true
            }
            _ => false,
        }
    }

    /// A row of one action; false if there is none, as for renames, which account for their rows themselves.
    fn emit_alone(&mut self, index: usize, slot: &Slot<'_>) -> bool {
        let path = || slot.path.clone();
        let (kind, action) = match (slot.fate, &slot.row.local, &slot.row.remote) {
            (Fate::Adopt, Some(local), Some(remote)) => {
                (StageKind::Settle, Action::Adopt { path: path(), local: local.clone(), remote: remote.clone() })
            }
            (Fate::Forget, ..) => (StageKind::Settle, Action::Forget { path: path() }),
            (Fate::Upload, Some(local), remote) => {
                let base = remote.as_ref().map_or(Base::New, |remote| Base::At(remote.clone()));
                (StageKind::Transfer, Action::Upload { path: path(), local: local.clone(), base })
            }
            (Fate::Download, local, Some(remote)) => {
                self.download(slot.path, remote, local.clone());
                return true;
            }
            (Fate::DeleteRemote, _, Some(remote)) => {
                (self.deletion(index), Action::DeleteRemote { path: path(), remote: remote.clone() })
            }
            (Fate::DeleteLocal, Some(local), _) => {
                (self.deletion(index), Action::DeleteLocal { path: path(), local: local.clone() })
            }
            _ => return false,
        };
        self.push(kind, action);
        true
    }

    fn reason(&self, cause: Cause) -> Reason {
        match cause {
            Cause::Blocked => Reason::Blocked,
            Cause::Unreadable => Reason::Unreadable,
            Cause::AwaitsBaseline => Reason::AwaitsBaseline,
            Cause::InTheWay(by) => Reason::InTheWay { by: self.slots[by].path.clone() },
            Cause::DiffersThere => Reason::DiffersThere,
            Cause::DiffersHere => Reason::DiffersHere,
        }
    }

    /// A deletion comes last, unless something else may need the name.
    fn deletion(&self, index: usize) -> StageKind {
        if self.related.get(index) == Some(&true) { StageKind::Clear } else { StageKind::Delete }
    }

    fn download(&mut self, path: &RelPath, remote: &RemoteEntry, replaces: Option<LocalEntry>) {
        let action = Action::Download { path: path.clone(), remote: remote.clone(), replaces };
        self.push(StageKind::Transfer, action);
    }

    /// Keeps the local file as `to`, and sends it there if it has a base to be sent on. What a rename that was cut off left
    /// of it on the server goes there by its name, for it has no other to go to.
    fn set_aside(&mut self, path: &RelPath, to: &RelPath, local: &LocalEntry, base: Option<Base>) {
        self.push(StageKind::Clear, Action::SetAside { path: path.clone(), to: to.clone(), local: local.clone() });
        let left = (base == Some(Base::New)).then(|| self.leftovers.remove(&local.hash)).flatten();
        if let Some((index, remote)) = left.and_then(|index| Some((index, self.slots[index].row.remote.clone()?))) {
            let (from, base) = (self.slots[index].path.clone(), Base::At(remote));
            self.push(StageKind::RenameRemote, Action::RenameRemote { from, to: to.clone(), base });
            self.accounted[index] = true;
        } else if let Some(base) = base {
            let local = LocalEntry { disk_path: None, ..local.clone() };
            self.push(StageKind::Transfer, Action::Upload { path: to.clone(), local, base });
        }
    }

    /// Moves a file out of a directory's way, on each side where it is; says where to.
    fn give_way(&mut self, slot: &Slot<'_>) -> Option<RelPath> {
        let row = slot.row;
        let copy = self.names().copy_of(slot.path);
        let mut remote_copy = copy.clone();
        match (&row.local, &row.remote) {
            (None, None) => return None,
            (None, Some(_)) => {}
            (Some(local), None) => {
                self.set_aside(slot.path, &copy, local, Some(Base::New));
                if row.synced.is_some() {
                    self.push(StageKind::Settle, Action::Forget { path: slot.path.clone() });
                }
            }
            (Some(local), Some(remote)) if local.hash == remote.hash => self.set_aside(slot.path, &copy, local, None),
            (Some(local), Some(_)) if slot.is_local_unchanged() => {
                self.push(StageKind::Clear, Action::DeleteLocal { path: slot.path.clone(), local: local.clone() });
            }
            (Some(local), Some(remote)) => {
                let is_edit = row.synced.as_ref().is_some_and(|synced| synced.hash == remote.hash);
                if is_edit {
                    self.set_aside(slot.path, &copy, local, Some(Base::AfterRename(slot.path.clone())));
                } else {
                    self.set_aside(slot.path, &copy, local, Some(Base::New));
                    remote_copy = self.names().copy_of(slot.path);
                }
            }
        }
        if let Some(remote) = &row.remote {
            let base = Base::At(remote.clone());
            self.push(StageKind::RenameRemote, Action::RenameRemote { from: slot.path.clone(), to: remote_copy, base });
        }
        Some(copy)
    }

    fn conflict(&mut self, slot: &Slot<'_>, copy: Option<RelPath>) {
        let (kind, resolution) = match (slot.fate, slot.conflict) {
            (Fate::GiveWay, _) => (ConflictKind::FileAndDirectory, Resolution::KeepBoth),
            (Fate::Report(_) | Fate::Held, _) | (_, None) => return,
            (_, Some(conflict)) => conflict,
        };
        let (local, remote) = (slot.row.local.clone(), slot.row.remote.clone());
        self.conflicts.push(Conflict { path: slot.path.clone(), kind, local, remote, resolution, copy });
    }

    fn rename_remote(&mut self, pairs: &Pairs, above: &Above) {
        let slots = self.slots;
        for step in pairs.ordered(above, |_| false, &mut |source| self.names().temporary(slots[source].path)) {
            let source = &slots[step.source];
            let Some(remote) = &source.row.remote else { continue };
            self.accounted[step.source] = true;
            let (from, base) = match step.from {
                None => (source.path.clone(), Base::At(remote.clone())),
                Some(temporary) => (temporary, Base::AfterRename(source.path.clone())),
            };
            let to = match step.to {
                Place::Temporary(name) => name,
                Place::Target(target) => {
                    self.accounted[target] = true;
                    self.send_edited(&slots[target], source.path, remote);
                    slots[target].path.clone()
                }
            };
            self.push(StageKind::RenameRemote, Action::RenameRemote { from, to, base });
        }
    }

    /// A file that was moved and edited is sent after its rename.
    fn send_edited(&mut self, target: &Slot<'_>, from: &RelPath, remote: &RemoteEntry) {
        if let Some(local) = target.row.local.as_ref().filter(|local| local.hash != remote.hash) {
            let base = Base::AfterRename(from.clone());
            self.push(StageKind::Transfer, Action::Upload { path: target.path.clone(), local: local.clone(), base });
        }
    }

    fn rename_local(&mut self, pairs: &Pairs, above: &Above) {
        let slots = self.slots;
        let waits = |source: usize| is_temporary(slots[source].path) && pairs.source_of(source).is_none();
        for step in pairs.ordered(above, waits, &mut |source| self.names().temporary(slots[source].path)) {
            let source = &slots[step.source];
            let Some(mut local) = source.row.local.clone() else { continue };
            self.accounted[step.source] = true;
            let from = match step.from {
                None => source.path.clone(),
                Some(temporary) => {
                    local.disk_path = None;
                    temporary
                }
            };
            let (to, remote) = match step.to {
                Place::Temporary(name) => (name, None),
                Place::Target(target) => {
                    self.accounted[target] = true;
                    (slots[target].path.clone(), slots[target].row.remote.clone())
                }
            };
            self.push(StageKind::RenameLocal, Action::RenameLocal { from, to, local, remote });
        }
    }
}

#[cfg(test)]
mod tests {
    use hcfs_model::Row;

    use super::*;

    #[test]
    fn a_row_nobody_accounts_for_is_an_error_that_names_it() {
        let paths = ["a", "b"].map(|text| RelPath::new(text).unwrap());
        let row = Row::default();
        let slots = paths.each_ref().map(|path| Slot { path, row: &row, fate: Fate::MovedRemote, conflict: None });
        let error = check(&slots, &[true, false]).unwrap_err();
        assert_eq!(error.paths, [paths[1].clone()]);
        assert_eq!(error.to_string(), "the plan decides nothing about 1 differing paths, the first is Some(\"b\")");
        assert_eq!(check(&slots, &[true, true]), Ok(()));
    }
}
