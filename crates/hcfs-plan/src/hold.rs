//! The safety stop: many deletions at once wait for the user.
//!
//! Counted per side, after renames have been told from deletions. Deletions the user decided one by one are not
//! counted. What waits is every deletion of that side when they are more than the larger of the two limits, or when
//! the other side shows nothing at all any more (an empty listing, an emptied directory: more likely a loss than a
//! wish); else those of a top-level directory that would vanish whole, if it has more files than the first limit.
//!
//! By what the folder has shrunk in the last minutes the limit is nearer, and a question once asked stays until it is
//! answered or nothing is left of it.

use std::collections::BTreeMap;

use hcfs_model::{RelPath, Row};

use crate::matrix::{Fate, Slot};
use crate::{Context, Hold, HoldKind};

/// A folder of so few files may be emptied without a question: they are seen at a glance.
const FEW: u64 = 5;

/// A side, by what the deletion on it is and what would bring the file back.
struct Side {
    deletion: Fate,
    restoration: Fate,
    kind: fn(Option<String>) -> HoldKind,
    /// Whether a row has a file on the side the deletion comes from.
    shows: fn(&Row) -> bool,
}

const SIDES: [Side; 2] = [
    Side {
        deletion: Fate::DeleteRemote,
        restoration: Fate::Download,
        kind: |top| HoldKind::MassDeletionHere { top },
        shows: |row| row.local.is_some(),
    },
    Side {
        deletion: Fate::DeleteLocal,
        restoration: Fate::Upload,
        kind: |top| HoldKind::MassDeletionThere { top },
        shows: |row| row.remote.is_some(),
    },
];

/// Holds back what is too much. Rows that `related` says lie above or below others are not restored: another file may
/// have the place.
pub(crate) fn hold_back(slots: &mut [Slot<'_>], context: &Context, related: &[bool]) -> Vec<Hold> {
    let mut holds = Vec::new();
    for side in &SIDES {
        let count = slots.iter().filter(|slot| is_counted(slot, side)).count() as u64;
        if count == 0 {
            continue;
        }
        let all = count.saturating_add(context.shrunk);
        let is_emptied = all > FEW && count >= context.totals.files && !slots.iter().any(|slot| (side.shows)(slot.row));
        // Mostly there is nothing to hold, and then the directories need not be counted.
        let has_questions = !context.asked.is_empty() || !context.restored.is_empty();
        if is_emptied || has_questions || all > context.policy.max_delete.files {
            hold_side(slots, context, related, (side, is_emptied), &mut holds);
        }
    }
    holds
}

fn is_counted(slot: &Slot<'_>, side: &Side) -> bool {
    slot.fate == side.deletion && slot.conflict.is_none()
}

fn hold_side(
    slots: &mut [Slot<'_>],
    context: &Context,
    related: &[bool],
    (side, is_emptied): (&Side, bool),
    holds: &mut Vec<Hold>,
) {
    let all = || (side.kind)(None);
    if context.accepted.contains(&all()) {
        return;
    }
    let mut by_top: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (index, slot) in slots.iter().enumerate() {
        if is_counted(slot, side) {
            by_top.entry(top_of(slot.path)).or_default().push(index);
        }
    }
    by_top.retain(|top, rows| {
        let Some(top) = top else { return true };
        let kind = (side.kind)(Some((*top).to_owned()));
        if context.restored.contains(&kind) {
            restore(slots, rows, related, side);
            return false;
        }
        !context.accepted.contains(&kind)
    });
    let count: usize = by_top.values().map(Vec::len).sum();
    let limits = context.policy.max_delete;
    let passes = limits.of(context.totals.files.saturating_add(context.shrunk)).saturating_sub(context.shrunk);
    // Fewer may be left by now than were held.
    let is_restored = context.restored.contains(&all());
    if is_restored || is_emptied || count as u64 > passes || context.asked.contains(&all()) {
        let mut rows: Vec<usize> = by_top.into_values().flatten().collect();
        rows.sort_unstable();
        if is_restored {
            restore(slots, &mut rows, related, side);
        }
        hold(slots, &rows, all(), context.totals.files, holds);
        return;
    }
    for (top, rows) in by_top {
        let Some(top) = top else { continue };
        let of = context.totals.top.get(top).copied().unwrap_or_default();
        let count = rows.len() as u64;
        let kind = (side.kind)(Some(top.to_owned()));
        if (count > limits.files && count >= of) || context.asked.contains(&kind) {
            hold(slots, &rows, kind, of, holds);
        }
    }
}

/// The top-level directory a path lies in; `None` for a file at the root.
fn top_of(path: &RelPath) -> Option<&str> {
    path.as_str().split_once('/').map(|(top, _)| top)
}

/// Brings back what it can, and leaves the rest in `rows`.
fn restore(slots: &mut [Slot<'_>], rows: &mut Vec<usize>, related: &[bool], side: &Side) {
    rows.retain(|&index| {
        let free = !related.get(index).copied().unwrap_or(false);
        if free {
            slots[index].fate = side.restoration;
        }
        !free
    });
}

fn hold(slots: &mut [Slot<'_>], rows: &[usize], kind: HoldKind, of: u64, holds: &mut Vec<Hold>) {
    if rows.is_empty() {
        return;
    }
    for &index in rows {
        slots[index].fate = Fate::Held;
    }
    let examples = rows.iter().take(Hold::EXAMPLES).map(|&index| slots[index].path.clone()).collect();
    holds.push(Hold { kind, count: rows.len() as u64, of, examples });
}
