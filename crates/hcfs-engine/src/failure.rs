//! What it means for a folder that one action failed, and what follows.

use std::sync::Arc;
use std::time::Duration;

use hcfs_crypto::frame::FrameError;
use hcfs_crypto::pin::{PinError, SealError};
use hcfs_fs::ApplyError;
use hcfs_model::{Problem, ProblemCode, RelPath};
use hcfs_remote::{RemoteError, RemoteErrorKind};
use hcfs_state::StateError;
use tokio::time::Instant;

use crate::handle::CommandError;
use crate::session::{Session, Stop};
use crate::status::FolderState;

/// How long uploads wait after the server said that the account is over its quota.
const QUOTA_PAUSE: Duration = Duration::from_secs(300);

/// Why an action on a path was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The disk is not what the plan was made on: look again.
    MovedHere,
    /// The server is not what the plan was made on: look again.
    MovedThere,
    /// The file changed while it was read: look again when it is quiet.
    Changing,
    /// Something is wrong with this path alone.
    Path(Problem),
    /// The account is over its quota: uploads wait.
    OverQuota(RemoteError),
    /// The server cannot serve this request now, and perhaps no other either.
    Unavailable(RemoteError),
    /// The folder as a whole cannot go on.
    Folder(Stop),
}

impl Failure {
    /// What a failed request means for the file it was about.
    pub(crate) fn remote(path: &RelPath, error: RemoteError) -> Self {
        let problem = |code| Self::Path(of_server(path, code, &error));
        match &error.kind {
            // Where an answer was lost the listing tells what was done.
            RemoteErrorKind::Conflict { .. }
            | RemoteErrorKind::Stale
            | RemoteErrorKind::Moved { .. }
            | RemoteErrorKind::Ambiguous => Self::MovedThere,
            RemoteErrorKind::OverQuota { .. } => Self::OverQuota(error),
            RemoteErrorKind::Unavailable | RemoteErrorKind::RateLimited | RemoteErrorKind::NotHcfs => {
                Self::Unavailable(error)
            }
            RemoteErrorKind::Unauthorized | RemoteErrorKind::Forbidden | RemoteErrorKind::Unreachable(_) => {
                Self::Folder(Stop::remote(&error))
            }
            RemoteErrorKind::NotFound => problem(ProblemCode::RemoteMissing),
            RemoteErrorKind::TooLarge => problem(ProblemCode::TooLarge),
            RemoteErrorKind::AnswerTooLarge
            | RemoteErrorKind::RangeIgnored
            | RemoteErrorKind::Refused(_)
            | RemoteErrorKind::UnknownCode(_)
            | RemoteErrorKind::Inconsistent
            | RemoteErrorKind::KeepsChanging
            | RemoteErrorKind::Local => problem(ProblemCode::ServerError),
        }
    }

    /// What a refusal of the disk means for the file it was about.
    pub(crate) fn apply(path: &RelPath, error: &ApplyError) -> Self {
        match error {
            ApplyError::Changed { .. } => Self::MovedHere,
            _ => Self::Path(error.problem(path)),
        }
    }

    /// A blob that is not what the listing promised.
    pub(crate) fn damaged(path: &RelPath, why: &str) -> Self {
        Self::Path(Problem {
            path: Some(path.clone()),
            code: ProblemCode::Damaged,
            message: format!("what the server sent for \"{path}\" was refused: {why}"),
            hint: "nothing was changed here; if it stays, send the file again from the device that has it".to_owned(),
        })
    }

    pub(crate) fn frame(path: &RelPath, error: &FrameError) -> Self {
        Self::damaged(path, &error.to_string())
    }

    pub(crate) fn pin(path: &RelPath, error: &PinError) -> Self {
        match error {
            PinError::Changed { .. } | PinError::Cancelled => Self::Changing,
            PinError::TooLarge { .. } => Self::Path(Problem {
                path: Some(path.clone()),
                code: ProblemCode::TooLarge,
                message: format!("\"{path}\" is larger than the format can hold"),
                hint: "split the file, or add it to the ignore rules".to_owned(),
            }),
            PinError::Read { .. } => Self::unreadable(path),
        }
    }

    pub(crate) fn seal(path: &RelPath, error: &SealError) -> Self {
        match error {
            SealError::ChangedSincePinned { .. } | SealError::NoSuchFrame { .. } => Self::Changing,
            SealError::Read { .. } => Self::unreadable(path),
        }
    }

    pub(crate) fn unreadable(path: &RelPath) -> Self {
        Self::Path(Problem {
            path: Some(path.clone()),
            code: ProblemCode::Unreadable,
            message: format!("\"{path}\" cannot be read to its end"),
            hint: "see the system's log for the device; it is tried again".to_owned(),
        })
    }
}

/// The problem of a file that the server cannot serve now, though it serves others.
pub(crate) fn unserved(path: &RelPath, error: &RemoteError) -> Problem {
    of_server(path, ProblemCode::ServerError, error)
}

/// The problem of a file that a request was about which failed.
fn of_server(path: &RelPath, code: ProblemCode, error: &RemoteError) -> Problem {
    Problem {
        path: Some(path.clone()),
        code,
        message: format!("\"{path}\" is not in step: {}", error.kind),
        hint: error.hint().to_owned(),
    }
}

/// The problem of a file that does not stay quiet.
pub(crate) fn keeps_changing(path: &RelPath) -> Problem {
    Problem {
        path: Some(path.clone()),
        code: ProblemCode::KeepsChanging,
        message: format!("\"{path}\" changes faster than it can be sent"),
        hint: "nothing: it is sent when it is quiet; a file that never is can be added to the ignore rules".to_owned(),
    }
}

/// The problem of a file that goes on growing: what it held a moment ago is sent.
pub(crate) fn keeps_growing(path: &RelPath) -> Problem {
    Problem {
        path: Some(path.clone()),
        code: ProblemCode::KeepsChanging,
        message: format!("\"{path}\" goes on growing; it is sent from time to time, as far as it has come"),
        hint: "nothing: the whole is sent when it is quiet; a file that never is can be added to the ignore rules"
            .to_owned(),
    }
}

impl Session {
    /// Draws the consequences of a failure.
    pub(crate) async fn heed_failure(&mut self, path: &RelPath, failure: Failure) -> Result<(), Stop> {
        match failure {
            Failure::MovedHere => {
                self.wants.below(path.clone());
                self.blocked.moved(path, keeps_changing(path), self.seed);
            }
            Failure::MovedThere => {
                self.feed.expect_news();
                self.wants.remote();
                self.blocked.moved(path, keeps_changing(path), self.seed);
            }
            Failure::Changing => {
                self.wants.below(path.clone());
                self.blocked.changing(path, keeps_changing(path), self.seed);
            }
            Failure::Path(problem) => {
                tracing::debug!(%path, code = %problem.code, "an action failed");
                match problem.code {
                    ProblemCode::RemoteMissing => {
                        // Mostly it was deleted since it was listed.
                        self.feed.expect_news();
                        self.wants.remote();
                    }
                    // What it asked for may have been done all the same.
                    ProblemCode::ServerError => self.wants.remote(),
                    _ => {}
                }
                self.blocked.fail(path, problem, self.seed);
            }
            Failure::OverQuota(error) => {
                self.over_quota_until = Some(Instant::now() + QUOTA_PAUSE);
                self.board.update(|status| {
                    status.trouble = Some((error.kind.to_string(), error.hint().to_owned()));
                });
            }
            Failure::Unavailable(error) => {
                // One file the server cannot serve must not stop the others, a server that is down must.
                let remote = Arc::clone(&self.remote);
                if self.attend(async move { remote.folders().await }).await?.is_err() {
                    return Err(Stop::remote(&error));
                }
                // What it asked for may have been done all the same.
                self.wants.remote();
                self.blocked.fail(path, unserved(path, &error), self.seed);
            }
            Failure::Folder(stop) => return Err(stop),
        }
        Ok(())
    }
}

impl Stop {
    /// The server cannot be used.
    pub(crate) fn remote(error: &RemoteError) -> Self {
        let state = match error.kind {
            RemoteErrorKind::Unauthorized | RemoteErrorKind::Forbidden => FolderState::Unauthorised,
            RemoteErrorKind::Unreachable(_)
            | RemoteErrorKind::Unavailable
            | RemoteErrorKind::RateLimited
            | RemoteErrorKind::KeepsChanging
            | RemoteErrorKind::NotHcfs => FolderState::Offline,
            RemoteErrorKind::OverQuota { .. } => FolderState::OverQuota,
            _ => FolderState::Error,
        };
        Self::Trouble { state, message: error.to_string(), hint: error.hint().to_owned() }
    }

    /// The folder's database cannot be used.
    pub(crate) fn state(error: StateError) -> Self {
        let hint = error.hint().unwrap_or("see the system's log for the device").to_owned();
        if error.is_damage() {
            return Self::Damaged(error);
        }
        Self::Trouble { state: FolderState::Error, message: error.to_string(), hint }
    }

    /// The folder's directory is not the one it was.
    pub(crate) fn root(error: &hcfs_fs::RootError) -> Self {
        Self::Trouble { state: FolderState::Halted, message: error.to_string(), hint: error.hint() }
    }

    /// The ignore patterns cannot be used.
    pub(crate) fn rules(error: &hcfs_fs::RuleError) -> Self {
        Self::Trouble {
            state: FolderState::Error,
            message: error.to_string(),
            hint: "correct the ignore patterns of this folder in the configuration".to_owned(),
        }
    }

    /// An error of the program itself.
    pub(crate) fn defect(error: &dyn std::fmt::Display) -> Self {
        Self::Trouble {
            state: FolderState::Error,
            message: error.to_string(),
            hint: "this is an error of the program: please report it; nothing was changed".to_owned(),
        }
    }
}

impl CommandError {
    /// A command that the database kept from being carried out.
    pub(crate) fn state(error: &StateError) -> Self {
        Self::Failed {
            code: "io",
            message: error.to_string(),
            hint: error.hint().unwrap_or("see the system's log for the device").to_owned(),
        }
    }

    /// A command that the folder as a whole could not carry out.
    pub(crate) fn failure_of_folder(stop: Stop) -> Self {
        match stop {
            Stop::Trouble { state, message, hint } => {
                let code = match state {
                    FolderState::Unauthorised => "unauthorised",
                    FolderState::Offline | FolderState::OverQuota => "offline",
                    _ => "io",
                };
                Self::Failed { code, message, hint }
            }
            Stop::Damaged(error) => Self::state(&error),
            Stop::Called => Self::Stopped,
        }
    }

    /// A command that failed as an action on a path does.
    pub(crate) fn failure(path: &RelPath, failure: Failure) -> Self {
        let (code, message, hint) = match failure {
            Failure::MovedHere | Failure::MovedThere => {
                ("conflict", format!("\"{path}\" changed meanwhile"), "try again".to_owned())
            }
            Failure::Changing => ("conflict", format!("\"{path}\" changes while it is read"), "try again".to_owned()),
            Failure::Path(problem) => (code_of(problem.code), problem.message, problem.hint),
            Failure::OverQuota(error) | Failure::Unavailable(error) => {
                ("offline", error.to_string(), error.hint().to_owned())
            }
            Failure::Folder(stop) => return Self::failure_of_folder(stop),
        };
        Self::Failed { code, message, hint }
    }
}

fn code_of(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::TooLarge => "too_large",
        ProblemCode::Damaged | ProblemCode::RemoteMissing | ProblemCode::Quarantined => "damaged",
        ProblemCode::ServerError => "refused",
        _ => "io",
    }
}
