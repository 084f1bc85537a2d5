//! What can go wrong with a source, worded for the person whose file it is.
//!
//! Invariant: no credential and no signed address is in any text. What a service said is shown shortened, without
//! control characters and without the credential it was sent.

use std::io;
use std::time::Duration;

use hcfs_http::{HttpError, UrlError};

/// Why a file was not brought.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No usable answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An address, of the settings or of an answer, is not one this client speaks to.
    #[error("the address of {what} is refused: {source}")]
    Address {
        /// What lies there.
        what: String,
        /// The rule it breaks.
        source: UrlError,
    },
    /// An id that cannot be one.
    #[error("{item:?} cannot be an item: {rule}")]
    BadItem {
        /// The id.
        item: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// More items than a listing may have.
    #[error("the service lists more than {0} items")]
    TooManyItems(usize),
    /// The service asks to come back later.
    #[error("the service is busy ({status}){}", shown(.message.as_deref()))]
    Busy {
        /// The status.
        status: u16,
        /// The wait it asks for.
        retry_after: Option<Duration>,
        /// What it said.
        message: Option<String>,
    },
    /// The credential is missing, wrong or expired.
    #[error("the service does not accept the credential{}{}", shown(.message.as_deref()), traced(.trace.as_deref()))]
    Unauthorized {
        /// What it said.
        message: Option<String>,
        /// The trace id of the answer.
        trace: Option<String>,
    },
    /// The credential is good, but does not open this file.
    #[error("access to \"{item}\" is denied{}{}", shown(.message.as_deref()), traced(.trace.as_deref()))]
    Denied {
        /// The file.
        item: String,
        /// What the service said.
        message: Option<String>,
        /// The trace id of the answer.
        trace: Option<String>,
    },
    /// No such file, or no longer.
    #[error("the service has no file \"{item}\"{}{}", shown(.message.as_deref()), traced(.trace.as_deref()))]
    NotFound {
        /// The file.
        item: String,
        /// What the service said.
        message: Option<String>,
        /// The trace id of the answer.
        trace: Option<String>,
    },
    /// `storage_file`: somebody works on the file.
    #[error("the file \"{item}\" is locked at the service")]
    Locked {
        /// The file.
        item: String,
        /// When to try again; grows with every time it is found locked.
        retry_after: Duration,
    },
    /// `cid`: the service could not give the content (500).
    #[error("the service could not give \"{item}\"{}", shown(.message.as_deref()))]
    ServiceFailed {
        /// The CID.
        item: String,
        /// What it said.
        message: Option<String>,
    },
    /// `signed_url`: a link made a moment ago is refused (`TOKEN_INVALID`).
    #[error("the download link of \"{item}\" is refused although it is new{}{}",
        shown(.message.as_deref()), traced(.trace.as_deref()))]
    LinkInvalid {
        /// The file.
        item: String,
        /// What the service said.
        message: Option<String>,
        /// The trace id of the answer.
        trace: Option<String>,
    },
    /// `download_task`: the service does not know the task.
    #[error("the service no longer knows the task for \"{item}\"")]
    TaskUnknown {
        /// The medium's address.
        item: String,
    },
    /// `download_task`: the service says the task is done, but does not give its file yet.
    #[error("the task for \"{item}\" is {status}, and its file is not given")]
    TaskNotCompleted {
        /// The medium's address.
        item: String,
        /// The service's word for its state.
        status: String,
    },
    /// `download_task`: the task is done, but its file is gone from the service's disk.
    #[error("the file of the task for \"{item}\" is gone from the service's disk")]
    TaskFileGone {
        /// The medium's address.
        item: String,
    },
    /// `download_task`: the service could not get the medium.
    #[error("the service could not get \"{item}\"{}", shown(.message.as_deref()))]
    TaskFailed {
        /// The medium's address.
        item: String,
        /// Its `error_message`.
        message: Option<String>,
    },
    /// `download_task`: somebody cancelled the task at the service.
    #[error("the task for \"{item}\" was cancelled at the service")]
    TaskCancelled {
        /// The medium's address.
        item: String,
    },
    /// `download_task`: the task did not end in time.
    #[error("the task for \"{item}\" did not end within {} s (it is {status})", .after.as_secs())]
    TaskTooSlow {
        /// The medium's address.
        item: String,
        /// The deadline.
        after: Duration,
        /// The service's word for its state.
        status: String,
    },
    /// Another status than any of the documented ones.
    #[error("the service answered {status}{}{}{}",
        coded(.code.as_deref()), shown(.message.as_deref()), traced(.trace.as_deref()))]
    Status {
        /// The status.
        status: u16,
        /// The service's code for it.
        code: Option<String>,
        /// What it said.
        message: Option<String>,
        /// The trace id of the answer.
        trace: Option<String>,
    },
    /// A page or a message came where a file was due, or the reverse.
    #[error("{expected} was due for \"{item}\", and {got} came{}", shown(.message.as_deref()))]
    WrongContent {
        /// The file.
        item: String,
        /// What was due.
        expected: &'static str,
        /// What came.
        got: String,
        /// What it says.
        message: Option<String>,
    },
    /// An answer that is not of the documented form.
    #[error("the service's {what} cannot be read: {reason}")]
    BadAnswer {
        /// Which answer.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The content has another size than announced.
    #[error("\"{item}\" should have {expected} bytes and has {got}")]
    WrongSize {
        /// The file.
        item: String,
        /// As announced.
        expected: u64,
        /// As it came; for a body that is too long, where it was given up.
        got: u64,
    },
    /// The body is not what its length or range said, again and again.
    #[error("the content of \"{item}\" cannot be put together: {reason}")]
    Unsteady {
        /// The file.
        item: String,
        /// What does not fit.
        reason: String,
    },
    /// `storage_file`: the JSON around the content, or its base64, is broken.
    #[error("the content of \"{item}\" cannot be decoded: {reason}")]
    Undecodable {
        /// The file.
        item: String,
        /// Where and why.
        reason: String,
    },
    /// `cid`: the archive is not one file.
    #[error("the archive of \"{item}\" is not one file: {reason}")]
    Archive {
        /// The CID.
        item: String,
        /// What is wrong.
        reason: String,
    },
    /// `cid`: the content is not what its CID says.
    #[error("the content is not that of \"{item}\"")]
    Mismatch {
        /// The CID.
        item: String,
    },
    /// `cid`: the content cannot be verified, and it is required.
    #[error("the content of \"{item}\" cannot be verified: {reason}")]
    Unverified {
        /// The CID.
        item: String,
        /// Why not.
        reason: String,
    },
    /// The staged file cannot be written or read.
    #[error("the staged file of \"{item}\" cannot be written")]
    Part {
        /// The file.
        item: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The caller could not store how far the fetch is.
    #[error("the progress of \"{item}\" cannot be stored")]
    NotKept {
        /// The file.
        item: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The caller ended the fetch.
    #[error("the fetch of \"{item}\" was stopped")]
    Cancelled {
        /// The file.
        item: String,
    },
}

fn shown(message: Option<&str>) -> String {
    message.map_or_else(String::new, |message| format!(": {message}"))
}

fn traced(trace: Option<&str>) -> String {
    trace.map_or_else(String::new, |trace| format!(" (trace {trace})"))
}

fn coded(code: Option<&str>) -> String {
    code.map_or_else(String::new, |code| format!(" {code}"))
}

/// How long a task that stands still, or content that failed at the service, is left alone.
const LATER: Duration = Duration::from_secs(60);

impl SourceError {
    /// The stable text of the kind of error, in snake case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Http(_) => "unreachable",
            Self::Address { .. } => "bad_address",
            Self::BadItem { .. } => "bad_item",
            Self::TooManyItems(_) => "too_many_items",
            Self::Busy { .. } => "busy",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Denied { .. } => "denied",
            Self::NotFound { .. } => "not_found",
            Self::Locked { .. } => "locked",
            Self::ServiceFailed { .. } => "service_failed",
            Self::LinkInvalid { .. } => "link_invalid",
            Self::TaskUnknown { .. } => "task_unknown",
            Self::TaskNotCompleted { .. } => "task_not_completed",
            Self::TaskFileGone { .. } => "task_file_gone",
            Self::TaskFailed { .. } => "task_failed",
            Self::TaskCancelled { .. } => "task_cancelled",
            Self::TaskTooSlow { .. } => "task_too_slow",
            Self::Status { .. } => "unexpected_status",
            Self::WrongContent { .. } => "wrong_content",
            Self::BadAnswer { .. } => "bad_answer",
            Self::WrongSize { .. } => "wrong_size",
            Self::Unsteady { .. } => "unsteady",
            Self::Undecodable { .. } => "undecodable",
            Self::Archive { .. } => "archive",
            Self::Mismatch { .. } => "mismatch",
            Self::Unverified { .. } => "unverified",
            Self::Part { .. } => "part",
            Self::NotKept { .. } => "not_kept",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether trying again later, unchanged, can help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http(error) => error.is_transient(),
            Self::Busy { .. }
            | Self::Locked { .. }
            | Self::ServiceFailed { .. }
            | Self::LinkInvalid { .. }
            | Self::TaskUnknown { .. }
            | Self::TaskNotCompleted { .. }
            | Self::TaskFileGone { .. }
            | Self::TaskTooSlow { .. }
            | Self::WrongSize { .. }
            | Self::Unsteady { .. }
            | Self::Part { .. }
            | Self::NotKept { .. }
            | Self::Cancelled { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// The least time to leave before the next try, where the service or the error itself says one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Locked { retry_after, .. } => Some(*retry_after),
            Self::ServiceFailed { .. } | Self::TaskTooSlow { .. } | Self::TaskNotCompleted { .. } => Some(LATER),
            _ => None,
        }
    }

    /// What a person can do about it, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Http(error) => return error.hint(),
            Self::Address { source, .. } => source.hint(),
            Self::BadItem { .. } => "give the id as the service shows it",
            Self::TooManyItems(_) => "name the items to bring, instead of all",
            Self::Busy { .. } => "it is tried again later",
            Self::Unauthorized { .. } => "renew the credential at the service and store it where the source reads it",
            Self::Denied { .. } => "check the customer or organisation of the source, and the credential's rights",
            Self::NotFound { .. } => "check the id; the file may have been deleted at the service",
            Self::Locked { .. } => "it is tried again by itself; free the file at the service if this lasts",
            Self::ServiceFailed { .. } => "check that the CID is pinned somewhere; it is tried again later",
            Self::LinkInvalid { .. } => "check this machine's clock; give the trace id to the service's support",
            Self::TaskUnknown { .. } | Self::TaskFileGone { .. } => "run the source again: a new task is started",
            Self::TaskNotCompleted { .. } => "it is tried again later",
            Self::TaskFailed { .. } => "check the address and the quality; run the source again for a new task",
            Self::TaskCancelled { .. } => "run the source again for a new task",
            Self::TaskTooSlow { .. } => "the task goes on at the service; raise the deadline if it is always that slow",
            Self::Status { .. } | Self::BadAnswer { .. } => "check that the base address is that of the service",
            Self::WrongContent { .. } => "check the base address and the id; open the message at the service",
            Self::WrongSize { .. } | Self::Unsteady { .. } => "it is tried again later; the file may just have changed",
            Self::Undecodable { .. } => "leave `accept` away, so that the service sends the file as it is",
            Self::Archive { .. } => "give the CID of a file, not that of a directory",
            Self::Mismatch { .. } => "nothing was kept; tell the service, or bring the CID from another one",
            Self::Unverified { .. } => "set verify = \"when-possible\" to accept content that cannot be verified",
            Self::Part { .. } => "check the space and the rights of the folder",
            Self::NotKept { .. } | Self::Cancelled { .. } => return None,
        })
    }
}
