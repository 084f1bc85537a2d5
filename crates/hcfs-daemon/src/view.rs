//! The engine's words in the words of the socket.

use hcfs_api as api;
use hcfs_engine::plan::{Action, ConflictKind, HoldKind, MaxDelete, Mode, Plan, Resolution};
use hcfs_engine::{
    CommandError, ConflictSide, Direction, Event, FolderState, FolderStatus, OpenConflict, OpenHold, StartError,
};
use hcfs_fs::RootError;
use hcfs_model::{FolderLabel, Problem, RelPath, RemoteEntry, UnixNanos};
use hcfs_state::StateError;

use crate::config;

/// Milliseconds of a moment.
pub(crate) fn millis(at: UnixNanos) -> api::UnixMillis {
    at.0.div_euclid(1_000_000)
}

pub(crate) fn state(state: FolderState) -> api::FolderState {
    match state {
        FolderState::Starting => api::FolderState::Starting,
        FolderState::Scanning => api::FolderState::Scanning,
        FolderState::Syncing => api::FolderState::Syncing,
        FolderState::Idle => api::FolderState::Idle,
        FolderState::Attention => api::FolderState::Attention,
        FolderState::Paused => api::FolderState::Paused,
        FolderState::Held => api::FolderState::Held,
        FolderState::Halted => api::FolderState::Halted,
        FolderState::Offline => api::FolderState::Offline,
        FolderState::Unauthorised => api::FolderState::Unauthorised,
        FolderState::OverQuota => api::FolderState::OverQuota,
        FolderState::Error => api::FolderState::Error,
    }
}

/// The kind of what troubles a folder in a state.
fn trouble_code(state: FolderState) -> api::ErrorCode {
    match state {
        FolderState::Halted => api::ErrorCode::BadFolder,
        FolderState::Offline => api::ErrorCode::Offline,
        FolderState::Unauthorised => api::ErrorCode::Unauthorised,
        FolderState::OverQuota => api::ErrorCode::OverQuota,
        _ => api::ErrorCode::Internal,
    }
}

/// What the whole folder is troubled by.
pub(crate) fn trouble(status: &FolderStatus) -> Option<api::Trouble> {
    let (message, hint) = status.trouble.clone()?;
    Some(api::Trouble { code: trouble_code(status.state), message, hint })
}

pub(crate) fn counts(status: &FolderStatus) -> api::Counts {
    api::Counts {
        synced_files: status.synced_files,
        synced_bytes: status.synced_bytes,
        local_files: status.local_files,
        remote_files: status.remote_files,
        pending: status.pending,
        pending_up: status.pending_up,
        pending_down: status.pending_down,
        sent: status.sent,
        received: status.received,
        problems: status.problems.len() as u64,
        conflicts: status.conflicts,
        holds: status.holds,
    }
}

pub(crate) fn transfers(status: &FolderStatus) -> Vec<api::Transfer> {
    let transfers = status.transfers.iter().map(|transfer| api::Transfer {
        path: transfer.path.as_str().to_owned(),
        direction: match transfer.direction {
            Direction::Up => api::Direction::Up,
            Direction::Down => api::Direction::Down,
        },
        done: transfer.done,
        size: transfer.size,
    });
    transfers.collect()
}

pub(crate) fn problem(problem: &Problem) -> api::Problem {
    api::Problem {
        path: problem.path.as_ref().map(text),
        code: problem.code.as_str().to_owned(),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}

pub(crate) fn conflict(conflict: &OpenConflict) -> api::Conflict {
    api::Conflict {
        id: conflict.id,
        path: text(&conflict.path),
        kind: conflict.kind.clone(),
        copy: conflict.copy.as_ref().map(text),
        at: millis(conflict.at),
        local_size: conflict.local.as_ref().map(|side| side.size),
        remote_size: conflict.remote.as_ref().map(|side| side.size),
        local: conflict.local.as_ref().map(side),
        remote: conflict.remote.as_ref().map(side),
        skipped: conflict.is_skipped,
    }
}

fn side(side: &ConflictSide) -> api::ConflictSide {
    api::ConflictSide { size: side.size, at: side.at.map(millis), device: side.device.clone() }
}

pub(crate) fn hold(hold: &OpenHold) -> api::Hold {
    api::Hold {
        id: hold.id,
        kind: hold.kind.clone(),
        scope: hold.scope.clone(),
        count: hold.count,
        of: hold.of,
        examples: hold.examples.iter().map(text).collect(),
        at: millis(hold.at),
    }
}

pub(crate) fn event(folder: &FolderLabel, event: &Event) -> api::LogEvent {
    api::LogEvent {
        folder: folder.as_str().to_owned(),
        id: event.id,
        at: millis(event.at),
        kind: event.kind.as_str().to_owned(),
        path: event.path.as_ref().map(text),
        text: event.text.clone(),
    }
}

pub(crate) fn remote_file(path: &RelPath, entry: &RemoteEntry) -> api::RemoteFile {
    api::RemoteFile {
        path: text(path),
        size: entry.size,
        hash: entry.hash.to_hex(),
        file_id: entry.file_id.to_hex(),
        revision: entry.revision.seq,
        revision_id: entry.revision.id.to_hex(),
    }
}

pub(crate) fn command_error(error: CommandError) -> api::ApiError {
    use api::{ApiError, ErrorCode};
    let message = error.to_string();
    match error {
        CommandError::Stopped => ApiError::new(ErrorCode::Stopped, message, "see `hcfs status`, and try again"),
        CommandError::NoSuch { what, .. } => {
            ApiError::new(ErrorCode::NotFound, message, format!("see `hcfs {what}s` for those that are open"))
        }
        CommandError::NotInTrash(_) => ApiError::new(ErrorCode::NotFound, message, "see `hcfs trash list`"),
        CommandError::NotFound(_) => ApiError::new(ErrorCode::NotFound, message, "see `hcfs ls`"),
        CommandError::Exists(_) => ApiError::new(ErrorCode::Exists, message, "choose another name, or replace it"),
        CommandError::Failed { code, message, hint } => {
            let code = match code {
                "offline" => ErrorCode::Offline,
                "unauthorised" => ErrorCode::Unauthorised,
                "over_quota" => ErrorCode::OverQuota,
                "conflict" => ErrorCode::Conflict,
                "too_large" => ErrorCode::TooLarge,
                "damaged" => ErrorCode::Damaged,
                "locked" => ErrorCode::Locked,
                "io" => ErrorCode::Io,
                _ => ErrorCode::Internal,
            };
            ApiError::new(code, message, hint)
        }
    }
}

/// The plan of a dry run, each list cut at `limit`.
pub(crate) fn plan(plan: &Plan, limit: usize) -> api::Plan {
    let mut out = api::Plan {
        schema: api::SCHEMA,
        actions: Vec::new(),
        total: 0,
        upload_bytes: 0,
        download_bytes: 0,
        conflicts: Vec::new(),
        holds: Vec::new(),
        reported: Vec::new(),
    };
    for planned in plan.actions() {
        out.total += 1;
        match planned {
            Action::Upload { local, .. } => out.upload_bytes += local.fingerprint.size,
            Action::Download { remote, .. } => out.download_bytes += remote.size,
            _ => {}
        }
        if out.actions.len() < limit {
            out.actions.push(action(planned));
        }
    }
    out.conflicts = plan.conflicts.iter().take(limit).map(planned_conflict).collect();
    out.holds = plan
        .holds
        .iter()
        .take(limit)
        .map(|hold| api::PlannedHold {
            kind: hold_kind(&hold.kind).to_owned(),
            count: hold.count,
            of: hold.of,
            examples: hold.examples.iter().map(text).collect(),
        })
        .collect();
    out.reported = plan
        .reported
        .iter()
        .take(limit)
        .map(|(path, reason)| api::Reported { path: text(path), reason: reason.to_string() })
        .collect();
    out
}

fn action(action: &Action) -> api::PlannedAction {
    let bytes = match action {
        Action::Upload { local, .. } => Some(local.fingerprint.size),
        Action::Download { remote, .. } => Some(remote.size),
        _ => None,
    };
    api::PlannedAction { kind: action.kind().to_owned(), path: text(action.path()), to: action.to().map(text), bytes }
}

fn planned_conflict(conflict: &hcfs_engine::plan::Conflict) -> api::PlannedConflict {
    let kind = match conflict.kind {
        ConflictKind::BothModified => "both_modified",
        ConflictKind::BothCreated => "both_created",
        ConflictKind::ModifiedHereDeletedThere => "modified_here_deleted_there",
        ConflictKind::DeletedHereModifiedThere => "deleted_here_modified_there",
        ConflictKind::FileAndDirectory => "file_and_directory",
    };
    api::PlannedConflict {
        path: text(&conflict.path),
        kind: kind.to_owned(),
        resolution: match conflict.resolution {
            Resolution::KeepLocal => api::Resolution::KeepLocal,
            Resolution::AcceptRemote => api::Resolution::AcceptRemote,
            Resolution::KeepBoth => api::Resolution::KeepBoth,
            Resolution::Skip => api::Resolution::Skip,
        },
        copy: conflict.copy.as_ref().map(text),
    }
}

fn hold_kind(kind: &HoldKind) -> &'static str {
    match kind {
        HoldKind::MassDeletionHere { .. } => "mass_deletion_here",
        HoldKind::MassDeletionThere { .. } => "mass_deletion_there",
    }
}

pub(crate) fn mode(mode: api::FolderMode) -> Mode {
    match mode {
        api::FolderMode::Sync => Mode::Sync,
        api::FolderMode::SendOnly => Mode::SendOnly,
        api::FolderMode::ReceiveOnly => Mode::ReceiveOnly,
    }
}

pub(crate) fn resolution(resolution: api::Resolution) -> Resolution {
    match resolution {
        api::Resolution::KeepLocal => Resolution::KeepLocal,
        api::Resolution::AcceptRemote => Resolution::AcceptRemote,
        api::Resolution::KeepBoth => Resolution::KeepBoth,
        api::Resolution::Skip => Resolution::Skip,
    }
}

pub(crate) fn max_delete(most: config::MaxDelete) -> MaxDelete {
    MaxDelete { files: most.files, percent: most.percent.into() }
}

fn text(path: &RelPath) -> String {
    path.as_str().to_owned()
}

/// Why a folder did not start: its state, and what to do.
pub(crate) fn not_started(error: &StartError) -> (api::FolderState, api::Trouble) {
    use api::ErrorCode;
    let code = match error {
        StartError::Root(error) => match error {
            RootError::HeldBy { .. } => ErrorCode::Held,
            RootError::NotReadable { .. } | RootError::NotWritable { .. } => ErrorCode::Permission,
            _ => ErrorCode::BadFolder,
        },
        StartError::Database(error) => match error {
            StateError::Held { .. } => ErrorCode::Held,
            StateError::ReadOnly => ErrorCode::Permission,
            StateError::Full => ErrorCode::DiskFull,
            StateError::OtherIdentity { .. } => ErrorCode::Config,
            _ => ErrorCode::Io,
        },
        StartError::Rules(_) => ErrorCode::Config,
        StartError::Random | StartError::Thread(_) => ErrorCode::Io,
    };
    let state = match error {
        StartError::Root(_) => api::FolderState::Halted,
        _ => api::FolderState::Error,
    };
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    (state, api::Trouble { code, message, hint: error.hint() })
}
