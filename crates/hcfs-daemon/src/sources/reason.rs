//! Why something was not brought, in the words of a person and of a program.

use std::error::Error;
use std::time::Duration;

use hcfs_api::{ApiError, ErrorCode, SourceTrouble};
use hcfs_engine::CommandError;
use hcfs_fs::ApplyError;
use hcfs_model::{PathError, RelPath};
use hcfs_sources::SourceError;
use hcfs_state::StateError;
use hcfs_state::sources::RunFailure;

use crate::error::DaemonError;

/// Whom it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concern {
    /// This item.
    Item,
    /// Every item of the source.
    Source,
    /// The folder went away or the fetch was told to end: nothing is wrong.
    Nobody,
}

/// Why something was not brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) failure: RunFailure,
    pub(crate) concern: Concern,
    /// Whether trying again later, unchanged, can help.
    pub(crate) passing: bool,
    /// The least time until then.
    pub(crate) after: Option<Duration>,
    /// For the socket and the exit code.
    pub(crate) kind: ErrorCode,
}

impl Reason {
    fn new(code: &str, message: String, hint: &str, concern: Concern, kind: ErrorCode) -> Self {
        let failure = RunFailure { code: code.to_owned(), message, hint: hint.to_owned() };
        Self { failure, concern, passing: false, after: None, kind }
    }

    pub(crate) fn code(&self) -> &str {
        &self.failure.code
    }

    /// Whether it is the service that says so, and not this machine.
    pub(crate) fn is_of_service(&self) -> bool {
        matches!(self.kind, ErrorCode::Offline | ErrorCode::Unauthorised | ErrorCode::Busy)
    }

    /// The folder or the daemon ends.
    pub(crate) fn stopped() -> Self {
        Self::new("stopped", "the folder has stopped".into(), "see `hcfs status`", Concern::Nobody, ErrorCode::Stopped)
    }

    /// The ledger.
    pub(crate) fn of_state(error: &StateError) -> Self {
        let kind = match error {
            StateError::Held { .. } => ErrorCode::Held,
            StateError::Full => ErrorCode::DiskFull,
            _ => ErrorCode::Io,
        };
        let hint = error.hint().unwrap_or("check the state directory");
        let message = format!("what sources brought cannot be remembered: {error}");
        Self { passing: true, ..Self::new("ledger", message, hint, Concern::Source, kind) }
    }

    /// A step on the folder's disk.
    pub(crate) fn of_disk(path: Option<&RelPath>, error: &ApplyError) -> Self {
        let (code, message, hint) = match path {
            Some(path) => {
                let problem = error.problem(path);
                (problem.code.as_str(), problem.message, problem.hint)
            }
            None => ("io", sentence(error), "check the folder's disk".to_owned()),
        };
        let kind = if matches!(error, ApplyError::NoSpace { .. }) { ErrorCode::DiskFull } else { ErrorCode::Io };
        Self { passing: true, ..Self::new(code, message, &hint, Concern::Item, kind) }
    }

    /// A name that cannot stand in the folder.
    pub(crate) fn of_name(item: &str, error: &PathError) -> Self {
        let message = format!("the name of \"{}\" cannot stand in the folder: {error}", item.escape_debug());
        Self::new("bad_name", message, "give the source a directory with a shorter path", Concern::Item, ErrorCode::Io)
    }

    /// The settings, or the credential.
    pub(crate) fn of_settings(error: &DaemonError) -> Self {
        let told = error.to_api();
        Self::new(told.code.as_str(), told.message, &told.hint, Concern::Source, told.code)
    }

    pub(crate) fn trouble(&self) -> SourceTrouble {
        let RunFailure { code, message, hint } = self.failure.clone();
        SourceTrouble { code, message, hint }
    }

    pub(crate) fn to_api(&self) -> ApiError {
        let mut error = ApiError::new(self.kind, self.failure.message.clone(), self.failure.hint.clone());
        error.retryable = self.passing;
        error
    }
}

impl From<SourceError> for Reason {
    fn from(error: SourceError) -> Self {
        let concern = match &error {
            SourceError::Cancelled { .. } => Concern::Nobody,
            SourceError::Http(_)
            | SourceError::Unauthorized { .. }
            | SourceError::Busy { .. }
            | SourceError::TooManyItems(_)
            | SourceError::NotKept { .. } => Concern::Source,
            _ => Concern::Item,
        };
        let kind = match &error {
            SourceError::Http(_) => ErrorCode::Offline,
            SourceError::Unauthorized { .. } | SourceError::Denied { .. } => ErrorCode::Unauthorised,
            SourceError::NotFound { .. } => ErrorCode::NotFound,
            SourceError::Busy { .. } | SourceError::Locked { .. } => ErrorCode::Busy,
            SourceError::BadItem { .. } | SourceError::Address { .. } => ErrorCode::BadRequest,
            SourceError::TaskTooSlow { .. } => ErrorCode::Timeout,
            SourceError::Part { .. } | SourceError::NotKept { .. } => ErrorCode::Io,
            SourceError::Cancelled { .. } => ErrorCode::Stopped,
            SourceError::WrongContent { .. }
            | SourceError::BadAnswer { .. }
            | SourceError::WrongSize { .. }
            | SourceError::Unsteady { .. }
            | SourceError::Undecodable { .. }
            | SourceError::Archive { .. }
            | SourceError::Mismatch { .. }
            | SourceError::Unverified { .. } => ErrorCode::Damaged,
            _ => ErrorCode::ServiceFailed,
        };
        Self {
            passing: error.is_transient(),
            after: error.retry_after(),
            ..Self::new(error.code(), sentence(&error), error.hint().unwrap_or_default(), concern, kind)
        }
    }
}

impl From<CommandError> for Reason {
    fn from(_: CommandError) -> Self {
        Self::stopped()
    }
}

impl From<Reason> for ApiError {
    fn from(reason: Reason) -> Self {
        reason.to_api()
    }
}

/// An error with its causes.
fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors repeat their cause in their own words.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
