//! What can go wrong between this machine and the account's data.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hcfs_http::{ConnectFailure, HttpError, HttpErrorKind, Sent};
use hcfs_model::Revision;
use hcfs_wire::{ErrorCode, Failure, Fault};

/// The kinds of failure a caller can tell apart (protocol §4).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteErrorKind {
    /// The server does not know the token.
    #[error("the server does not accept the token")]
    Unauthorized,
    /// The token belongs to another account.
    #[error("the token belongs to another account")]
    Forbidden,
    /// The account's storage or credit is used up; amounts in cents where the server tells them.
    #[error("the account's storage or credit is used up{}", Amounts(*.balance, *.required))]
    OverQuota {
        /// What the account has.
        balance: Option<i64>,
        /// What the request would have cost.
        required: Option<i64>,
    },
    /// There is no such file, folder or session: said in a valid envelope.
    #[error("the server does not have it")]
    NotFound,
    /// Another revision is current; which one, where the server tells it.
    #[error("another revision is current")]
    Conflict {
        /// The current revision.
        current: Option<Revision>,
    },
    /// A revision at least as new as the one sent is current.
    #[error("a newer revision is current")]
    Stale,
    /// The server takes no bodies of this size at this endpoint.
    #[error("it is larger than the server takes")]
    TooLarge,
    /// The answer is larger than this client reads.
    #[error("the answer is larger than can be read")]
    AnswerTooLarge,
    /// Too many requests, also after waiting.
    #[error("the server asks for fewer requests")]
    RateLimited,
    /// The server, or a proxy before it, cannot serve now, also after trying again.
    #[error("the server cannot serve now")]
    Unavailable,
    /// No connection could be made.
    #[error("the server cannot be reached: {0}")]
    Unreachable(ConnectFailure),
    /// What answered is no HCFS server: a page, a redirect, another service.
    #[error("what answered is not an HCFS server")]
    NotHcfs,
    /// Another revision or size of the file is current than the one expected.
    #[error("another revision than the one expected is current")]
    Moved {
        /// The current revision.
        current: Option<Revision>,
    },
    /// The server does not serve parts of blobs.
    #[error("the server does not serve parts of files")]
    RangeIgnored,
    /// The server refused the request as wrong.
    #[error("the server refused the request ({0})")]
    Refused(ErrorCode),
    /// The server answered with a code this version does not know.
    #[error("the server answered with an unknown code ({0})")]
    UnknownCode(ErrorCode),
    /// The request was sent and its answer lost: what it was to change may have changed or not.
    #[error("the answer was lost, and the change may have been made or not")]
    Ambiguous,
    /// The answer contradicts itself or the request.
    #[error("the answer contradicts itself or the request")]
    Inconsistent,
    /// The listing changed in every attempt to read it.
    #[error("the listing keeps changing")]
    KeepsChanging,
    /// The request could not be made here.
    #[error("the request could not be made")]
    Local,
}

/// A request that did not do what was asked.
#[derive(Debug, Clone)]
pub struct RemoteError {
    /// What went wrong.
    pub kind: RemoteErrorKind,
    /// What the request was about, as "upload of file 471a…"; no path, no token.
    pub object: Box<str>,
    /// The server's words, or details; may be empty. Without control characters.
    pub message: Box<str>,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// How long the server asks to wait, 1 to 120 seconds.
    pub retry_after: Option<Duration>,
    source: Option<Arc<HttpError>>,
}

impl RemoteError {
    /// An error without an answer.
    #[must_use]
    pub fn new(kind: RemoteErrorKind, object: impl Into<Box<str>>, message: impl Into<Box<str>>) -> Self {
        Self { kind, object: object.into(), message: message.into(), status: None, retry_after: None, source: None }
    }

    /// What an answer that is no success means for a request; `changes` tells whether the request may have changed
    /// something although its answer does not say so.
    #[must_use]
    pub fn of_failure(failure: Failure, object: impl Into<Box<str>>, changes: bool) -> Self {
        let unsaid =
            matches!(failure.fault, Fault::Server | Fault::Unavailable) && failure.code != Some(ErrorCode::Unavailable);
        let code = failure.code.unwrap_or(ErrorCode::Unknown(String::new()));
        let kind = match failure.fault {
            _ if changes && unsaid => RemoteErrorKind::Ambiguous,
            // A success that cannot be read is a success all the same, if the server is one of ours.
            Fault::Foreign if changes && (200..300).contains(&failure.status) => RemoteErrorKind::Ambiguous,
            Fault::Unauthorized => RemoteErrorKind::Unauthorized,
            Fault::Forbidden => RemoteErrorKind::Forbidden,
            Fault::OverQuota => RemoteErrorKind::OverQuota {
                balance: failure.quota.as_ref().and_then(|quota| quota.balance_cents),
                required: failure.quota.as_ref().and_then(|quota| quota.required_cents),
            },
            Fault::NotFound => RemoteErrorKind::NotFound,
            Fault::Conflict => RemoteErrorKind::Conflict { current: failure.current },
            Fault::Stale => RemoteErrorKind::Stale,
            Fault::Refused => RemoteErrorKind::Refused(code),
            Fault::TooLarge => RemoteErrorKind::TooLarge,
            Fault::RateLimited => RemoteErrorKind::RateLimited,
            Fault::Server | Fault::Unavailable => RemoteErrorKind::Unavailable,
            Fault::UnknownCode => RemoteErrorKind::UnknownCode(code),
            Fault::Foreign => RemoteErrorKind::NotHcfs,
        };
        Self { status: Some(failure.status), ..Self::new(kind, object, failure.message) }
    }

    /// What a request that brought no usable answer means; `changes` as in [`RemoteError::of_failure`].
    pub(crate) fn of_http(error: HttpError, object: impl Into<Box<str>>, changes: bool) -> Self {
        let kind = match &error.kind {
            HttpErrorKind::Connect(failure) => RemoteErrorKind::Unreachable(*failure),
            HttpErrorKind::RequestBody | HttpErrorKind::Setup => RemoteErrorKind::Local,
            _ if changes && error.sent == Sent::Maybe => RemoteErrorKind::Ambiguous,
            HttpErrorKind::FirstByteTimeout(_)
            | HttpErrorKind::Stall(_)
            | HttpErrorKind::TotalTimeout(_)
            | HttpErrorKind::Cut => RemoteErrorKind::Unavailable,
            HttpErrorKind::TooLarge(_) => RemoteErrorKind::AnswerTooLarge,
            HttpErrorKind::Protocol
            | HttpErrorKind::BadRedirect(_)
            | HttpErrorKind::Downgrade
            | HttpErrorKind::TooManyRedirects => RemoteErrorKind::NotHcfs,
        };
        let message = error.kind.to_string();
        Self { source: Some(Arc::new(error)), ..Self::new(kind, object, message) }
    }

    /// Whether the same request may succeed later without anything being changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match &self.kind {
            RemoteErrorKind::RateLimited | RemoteErrorKind::Unavailable | RemoteErrorKind::KeepsChanging => true,
            RemoteErrorKind::Unreachable(failure) => {
                !matches!(failure, ConnectFailure::Certificate | ConnectFailure::Tls)
            }
            _ => false,
        }
    }

    /// Whether every request would fail the same way now, so that the folder as a whole waits.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        matches!(
            self.kind,
            RemoteErrorKind::Unauthorized
                | RemoteErrorKind::Forbidden
                | RemoteErrorKind::RateLimited
                | RemoteErrorKind::Unavailable
                | RemoteErrorKind::Unreachable(_)
                | RemoteErrorKind::NotHcfs
        )
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match &self.kind {
            RemoteErrorKind::Unauthorized => "check the token: it may have expired or been revoked",
            RemoteErrorKind::Forbidden => "use a token and an account address that belong together",
            RemoteErrorKind::OverQuota { .. } => "free some space or top up the account; downloads go on meanwhile",
            RemoteErrorKind::TooLarge => "ask the server's operator to raise its limit, or leave the file out",
            RemoteErrorKind::Unreachable(_) => self
                .source
                .as_ref()
                .and_then(|source| source.hint())
                .unwrap_or("check the server's address and that this machine is online"),
            RemoteErrorKind::NotHcfs => {
                "check the server's address; a login page of the network may be answering in its place"
            }
            RemoteErrorKind::UnknownCode(_) => "the server is newer than this program: update it",
            RemoteErrorKind::Refused(_) => "this is an error of the program or the server: please report it",
            RemoteErrorKind::Inconsistent | RemoteErrorKind::RangeIgnored => {
                "the server or a proxy before it alters answers: tell its operator"
            }
            RemoteErrorKind::Local => {
                self.source.as_ref().and_then(|source| source.hint()).unwrap_or("look at the message")
            }
            RemoteErrorKind::RateLimited | RemoteErrorKind::Unavailable | RemoteErrorKind::KeepsChanging => {
                "nothing to do: it is tried again"
            }
            RemoteErrorKind::NotFound
            | RemoteErrorKind::Conflict { .. }
            | RemoteErrorKind::Stale
            | RemoteErrorKind::AnswerTooLarge
            | RemoteErrorKind::Moved { .. }
            | RemoteErrorKind::Ambiguous => "nothing to do: the folder is looked at again",
        }
    }
}

/// What was needed and what is left, where the server tells both.
struct Amounts(Option<i64>, Option<i64>);

impl fmt::Display for Amounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(balance), Some(required)) => write!(f, " ({} needed, {} left)", Cents(required), Cents(balance)),
            _ => Ok(()),
        }
    }
}

/// An amount of cents in the account's currency.
struct Cents(i64);

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let amount = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", amount / 100, amount % 100)
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.to_string();
        write!(f, "{}: {kind}", self.object)?;
        if let Some(status) = self.status {
            write!(f, " (status {status})")?;
        }
        if !self.message.is_empty() && !kind.ends_with(&*self.message) {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for RemoteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
