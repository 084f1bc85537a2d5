//! Why a path stands as it does: one look at everything the folder knows of it. Nothing is changed.

use hcfs_model::{Problem, RelPath, Row};
use hcfs_plan::{Action, HoldKind, Plan, Resolution};

use crate::handle::{OpenConflict, OpenHold};
use crate::session::{Session, Stop};
use crate::status::FolderState;

/// How a path stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathState {
    /// Both sides hold the agreed content.
    Synced,
    /// The ignore rules exclude it.
    Ignored,
    /// The next cycle does something with it.
    Waiting,
    /// It is on its way.
    Moving,
    /// Both sides changed, and nobody has resolved that.
    Conflict,
    /// It waits for the user's word on a hold.
    Held,
    /// Something is wrong with it.
    Problem,
    /// It differs, and nothing is done about that.
    LeftAlone,
    /// A directory: those are not synced by themselves.
    Directory,
    /// Nothing is known of it on either side.
    Absent,
}

impl PathState {
    /// The stable text, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Ignored => "ignored",
            Self::Waiting => "waiting",
            Self::Moving => "moving",
            Self::Conflict => "conflict",
            Self::Held => "held",
            Self::Problem => "problem",
            Self::LeftAlone => "left_alone",
            Self::Directory => "directory",
            Self::Absent => "absent",
        }
    }
}

/// How a path stands, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The path.
    pub path: RelPath,
    /// How it stands.
    pub state: PathState,
    /// Why, as a sentence.
    pub reason: String,
    /// What to do now; empty where nothing is.
    pub hint: String,
    /// What the next cycle does with it: [`Action::kind`].
    pub next: Option<&'static str>,
    /// What each of the three trees says.
    pub row: Row,
    /// What is wrong with it, or with a directory above it.
    pub problem: Option<Problem>,
    /// Its conflict that nobody has resolved.
    pub conflict: Option<OpenConflict>,
    /// The hold that keeps it as it is.
    pub hold: Option<OpenHold>,
}

/// State, reason, hint.
type Verdict = (PathState, String, String);

fn verdict(state: PathState, reason: impl Into<String>, hint: impl Into<String>) -> Verdict {
    (state, reason.into(), hint.into())
}

impl Session {
    /// Explains how a path stands.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) fn explain(&self, path: RelPath) -> Result<Explained, Stop> {
        let row = self.store.row(&path).map_err(Stop::state)?;
        let plan = if row.is_agreed() { None } else { Some(self.plan_now()?) };
        let action = plan.as_ref().and_then(|plan| action_on(plan, &path));
        let concerns = |conflict: &OpenConflict| conflict.path == path || conflict.copy.as_ref() == Some(&path);
        let conflict = self.open_conflicts().into_iter().find(concerns);
        let problem = self.blocked.problem_of(&path);
        let hold = self.hold_of(&path, &row, plan.as_ref());
        let (state, reason, hint) = if self.rules.is_ignored(&path, false) {
            verdict(PathState::Ignored, "an ignore rule excludes it", "see the folder's ignore list and .hcfsignore")
        } else if self.board.is_moving(&path) {
            verdict(PathState::Moving, "it is on its way now", "")
        } else if let Some(hold) = &hold {
            let reason = format!("it waits with {} files for your word on hold {}", hold.count, hold.id);
            verdict(PathState::Held, reason, "see `hcfs holds`, then accept or restore it")
        } else if let Some(conflict) = &conflict {
            conflict_verdict(conflict, &path)
        } else if let Some(problem) = &problem {
            verdict(PathState::Problem, problem.message.clone(), problem.hint.clone())
        } else if let Some(action) = action {
            verdict(PathState::Waiting, format!("the next cycle is to {}", words(action)), self.why_not_now(&path))
        } else if let Some(plan) = &plan {
            let left = plan.reported.iter().find(|(left, _)| *left == path);
            match left {
                Some((_, reason)) => verdict(PathState::LeftAlone, reason.to_string(), ""),
                None => verdict(PathState::Waiting, "it is looked at in the next cycle", self.why_not_now(&path)),
            }
        } else {
            self.settled_verdict(&path, &row)?
        };
        let next = action.map(Action::kind);
        Ok(Explained { path, state, reason, hint, next, row, problem, conflict, hold })
    }

    /// What would be done now, as far as both sides were looked at.
    fn plan_now(&self) -> Result<Plan, Stop> {
        let rows = self.store.changed_rows().map_err(Stop::state)?;
        hcfs_plan::plan(&rows, &self.context(&rows)?).map_err(|error| Stop::defect(&error))
    }

    /// The hold a path waits for: a hold of the plan that is of its side, or one of versions that cannot be trusted.
    fn hold_of(&self, path: &RelPath, row: &Row, plan: Option<&Plan>) -> Option<OpenHold> {
        let plan = plan?;
        let open = self.open_holds();
        let suspects = self.store.suspects().unwrap_or_default();
        if let Some((_, suspicion)) = suspects.iter().find(|(suspect, _)| suspect == path) {
            let kind = crate::holds::suspicion_word(suspicion);
            return open.into_iter().find(|hold| hold.kind == kind);
        }
        let is_decided = action_on(plan, path).is_some()
            || plan.reported.iter().any(|(left, _)| left == path)
            || plan.conflicts.iter().any(|conflict| conflict.path == *path);
        if is_decided || row.synced.is_none() {
            return None;
        }
        let top = path.as_str().split_once('/').map(|(top, _)| top);
        let is_its = |kind: &HoldKind| match kind {
            HoldKind::MassDeletionHere { top: of } => row.local.is_none() && (of.is_none() || of.as_deref() == top),
            HoldKind::MassDeletionThere { top: of } => row.remote.is_none() && (of.is_none() || of.as_deref() == top),
        };
        let kind = plan.holds.iter().map(|hold| &hold.kind).find(|kind| is_its(kind))?;
        let (word, scope) = crate::holds::hold_words(kind);
        open.into_iter().find(|hold| hold.kind == word && hold.scope == scope)
    }

    /// A path on which the three trees agree: in step, a directory, or not there.
    fn settled_verdict(&self, path: &RelPath, row: &Row) -> Result<Verdict, Stop> {
        if row.synced.is_some() {
            return Ok(verdict(PathState::Synced, "this device and the server hold the same content", ""));
        }
        let is_here = !matches!(self.folder.fingerprint(path, None), Ok(None));
        let mut below = self.store.known_files_in(path).map_err(Stop::state)?;
        if below.next().is_some() {
            let reason = "it is a directory; its files are synced, each by itself";
            return Ok(verdict(PathState::Directory, reason, "explain one of its files"));
        }
        if is_here {
            let reason = "it is here and was not looked at yet, or is a directory without files to sync";
            return Ok(verdict(PathState::Waiting, reason, self.why_not_now(path)));
        }
        Ok(verdict(
            PathState::Absent,
            "neither this device nor the server has it",
            "see `hcfs history` and `hcfs trash list` for what can be had back",
        ))
    }

    /// What keeps the next cycle from being now, and what to do about it.
    fn why_not_now(&self, path: &RelPath) -> String {
        let status = self.board.status();
        match (status.state, &status.trouble) {
            (FolderState::Paused, _) => "the folder is paused: resume it".to_owned(),
            (_, Some((message, hint))) => format!("{message}: {hint}"),
            _ if self.blocked.is_waiting(path) => "it failed before, and is tried again after a pause".to_owned(),
            _ => String::new(),
        }
    }
}

fn conflict_verdict(conflict: &OpenConflict, path: &RelPath) -> Verdict {
    let hint = format!("hcfs conflicts resolve \"{}\" keep-local|accept-remote|keep-both|skip", conflict.path);
    let reason = match &conflict.copy {
        Some(copy) if copy == path => {
            format!("it is this device's version of \"{}\", which both sides changed", conflict.path)
        }
        Some(copy) => format!("both sides changed it; this device's version is \"{copy}\""),
        None => "both sides changed it, and nothing is done until it is resolved".to_owned(),
    };
    verdict(PathState::Conflict, reason, hint)
}

/// The first action of a plan that a path takes part in.
fn action_on<'p>(plan: &'p Plan, path: &RelPath) -> Option<&'p Action> {
    let is_open = plan.conflicts.iter().any(|one| one.path == *path && one.resolution == Resolution::Skip);
    plan.actions().find(|action| !is_open && (action.path() == path || action.to() == Some(path)))
}

fn words(action: &Action) -> String {
    match action {
        Action::Adopt { .. } => "note that both sides have the same content".to_owned(),
        Action::Forget { .. } => "note that it is gone on both sides".to_owned(),
        Action::SetAside { to, .. } => format!("keep this device's version as \"{to}\""),
        Action::RenameRemote { from, to, .. } => format!("rename \"{from}\" to \"{to}\" on the server"),
        Action::RenameLocal { from, to, .. } => format!("rename \"{from}\" to \"{to}\" here"),
        Action::Upload { .. } => "send it".to_owned(),
        Action::Download { .. } => "receive it".to_owned(),
        Action::DeleteRemote { .. } => "delete it on the server, as it was here".to_owned(),
        Action::DeleteLocal { .. } => "move it to the trash here, as it was deleted on the server".to_owned(),
    }
}
