//! The planner: three trees in, ordered actions out.
//!
//! [`plan`] takes the rows on which the local, the remote and the synced tree differ, with their neighbours, and says
//! what is to be done. It is a pure function: the same rows and the same [`Context`] give the same plan, on every device
//! and in every run, and nothing of it is remembered. After a crash, or after an action that found its file changed,
//! the trees are observed and planned again; so every action carries the entries it was decided on.
//!
//! # How a plan comes about
//! 1. `matrix`: every row by itself, by the matrix of protocol §6.
//! 2. `clash`: files and directories that want one name; the file gives way.
//! 3. `rename`: deletions and new files that are one file moved become renames.
//! 4. `hold`: too many deletions wait for the user.
//! 5. `assembly`: stages. First what moves no bytes; then names are cleared (copies set aside, deletions of a file
//!    where a directory comes or the reverse), then renames, transfers, and last deletions.
//!
//! # What holds for every plan
//! - **Total.** Every row ends in exactly one of: agreed, actions, an open conflict, a hold, a report. This is checked
//!   on the finished plan; a defect gives [`Incomplete`], never a plan with a gap.
//! - **No content is lost.** A local content leaves its path only to a conflict copy, to a new name, or to the trash; a
//!   remote version is replaced or deleted only if it is the agreed one, or if the user decided so.
//! - **Repeatable.** Stopping between any two actions leaves trees from which the next plan reaches the same end.
//!   A file left under a temporary name is brought to where it was going, if its content tells where that was; else
//!   it is a file like any other.
//! - **Quiet in the end.** A plan done in full leaves nothing for the next one, but for what gave way on the server
//!   alone (its copy is received by the next plan), and for what is open, held or reported.
//! - Time and memory grow with `n log n` of the rows.
//!
//! Deliberately absent: I/O, clocks, the order of time stamps, the detection of rollbacks (such paths arrive in
//! [`Context::blocked`]), the confirmation that a row missing from a listing is gone, directories of their own.

mod assembly;
mod clash;
mod context;
mod hold;
mod matrix;
mod names;
mod outcome;
mod rename;
mod suffix;
mod trail;

pub use context::{Context, MaxDelete, Mode, Policy, Resolution, Totals};
pub use names::{copy_name, is_reserved, is_temporary};
pub use outcome::{Action, Base, Conflict, ConflictKind, Hold, HoldKind, Incomplete, Plan, Reason, Stage, StageKind};

use hcfs_model::Rows;

use assembly::Decided;
use clash::Above;
use rename::{Follower, Pairs};

/// Decides what is to be done about every path on which the trees differ.
///
/// `rows` holds at least: every path where the trees differ, the rows above such a path, and the rows below it, so that
/// a file where a directory is to be is seen. More rows, up to all, change nothing.
///
/// # Errors
/// [`Incomplete`] if a differing row was left out, which is a defect of this crate.
pub fn plan(rows: &Rows, context: &Context) -> Result<Plan, Incomplete> {
    let mut slots = matrix::decide_all(rows, context);
    let above = Above::of(&slots);
    let mut remote = Pairs::none(Follower::Remote);
    let mut local = Pairs::none(Follower::Local);
    clash::stop_at_stuck(&mut slots, &above, &mut remote, &mut local);
    clash::give_way(&mut slots, &above, context);
    remote = Pairs::find(Follower::Remote, &mut slots, context);
    local = Pairs::find(Follower::Local, &mut slots, context);
    let related = above.related();
    let holds = hold::hold_back(&mut slots, context, &related);
    clash::stop_at_stuck(&mut slots, &above, &mut remote, &mut local);
    assembly::assemble(Decided { slots, above, related, remote, local, holds }, rows, context)
}
