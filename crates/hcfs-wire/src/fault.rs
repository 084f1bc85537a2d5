//! What an answer that is no success means (protocol §4). Only a valid envelope can say that something does not
//! exist: a proxy's 404 cannot.

use hcfs_model::Revision;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::files::is_json;
use crate::{Envelope, ErrorCode, ParseError, QuotaBody, limits, parse_json};

/// The kinds of failure the protocol's table tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// 401: no token, or one the server does not know.
    Unauthorized,
    /// 403: a token of another account.
    Forbidden,
    /// 402: storage or credit is used up. 507: the server's disk is.
    OverQuota,
    /// 404 with `not_found` in a valid envelope.
    NotFound,
    /// 409: another revision is current.
    Conflict,
    /// 400 with `stale_sequence`: a newer revision has been seen.
    Stale,
    /// 400 with another known code: the request is wrong.
    Refused,
    /// 413: the body is too large for the endpoint.
    TooLarge,
    /// 429: too many requests.
    RateLimited,
    /// 500 in an envelope: the server's stores failed.
    Server,
    /// 408, 502, 503, 504, and any 5xx without an envelope.
    Unavailable,
    /// A valid envelope with a code this version does not know.
    UnknownCode,
    /// Anything that no HCFS server sends.
    Foreign,
}

impl Fault {
    /// Whether the same request may succeed later without anything being changed.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Server | Self::Unavailable)
    }
}

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub fault: Fault,
    /// The HTTP status.
    pub status: u16,
    /// The code, where one was sent.
    pub code: Option<ErrorCode>,
    /// The server's words; may be empty.
    pub message: String,
    /// The revision that stands in the way of a write.
    pub current: Option<Revision>,
    /// What a 402 says of the account.
    pub quota: Option<Box<QuotaBody>>,
}

/// Reads an answer: the payload of a success, or what else it means.
///
/// # Errors
/// Every status but 2xx, and every 2xx whose body is not a `Success` of the expected shape ([`Fault::Foreign`] when it
/// is no envelope at all).
pub fn read_answer<'a, T: Deserialize<'a>>(status: u16, body: &'a [u8], limit: usize) -> Result<T, Failure> {
    if !(200..300).contains(&status) {
        return Err(read_failure(status, body));
    }
    match parse_json::<Envelope<T>>(body, limit) {
        Ok(Envelope::Success(payload)) => Ok(payload),
        // Said with a success's status, a refusal is taken as one, but never as proof that something is gone.
        Ok(Envelope::Conflict(_) | Envelope::Error(_)) => {
            let failure = read_failure(status, body);
            Err(Failure { fault: Fault::Refused, ..failure })
        }
        Err(error) => Err(unreadable(status, &error)),
    }
}

fn unreadable(status: u16, error: &ParseError) -> Failure {
    Failure { fault: Fault::Foreign, status, code: None, message: error.to_string(), current: None, quota: None }
}

impl Failure {
    /// The refusal a server answers a code with, without a current revision.
    #[must_use]
    pub fn of_code(code: ErrorCode, message: &str) -> Self {
        let status = code.status();
        let fault = fault(status, &Body::Envelope, Some(&code));
        Self { fault, status, code: Some(code), message: message.to_owned(), current: None, quota: None }
    }
}

/// How a failure's body reads.
enum Body {
    /// An envelope that is no success.
    Envelope,
    /// JSON without an envelope, or nothing: what an HCFS server's outer layers send.
    Bare,
    /// Anything else, as HTML.
    Foreign,
}

/// Reads an answer whose status is no success. Never fails: what cannot be read is [`Fault::Foreign`], or what its
/// status alone says.
#[must_use]
pub fn read_failure(status: u16, body: &[u8]) -> Failure {
    let mut failure = unreadable(status, &ParseError::Shape { reason: "no envelope".to_owned() });
    failure.message.clear();
    let body = match parse_json::<Envelope<IgnoredAny>>(body, limits::MAX_ERROR_BODY) {
        Ok(Envelope::Conflict(conflict)) => {
            failure.current = conflict.current();
            failure.code = Some(conflict.error);
            failure.message = conflict.message;
            Body::Envelope
        }
        Ok(Envelope::Error(error)) => {
            failure.code = Some(error.error);
            failure.message = error.message;
            Body::Envelope
        }
        Ok(Envelope::Success(IgnoredAny)) => Body::Foreign,
        Err(_) => read_bare(body, &mut failure),
    };
    failure.fault = fault(status, &body, failure.code.as_ref());
    failure.quota = failure.quota.filter(|_| failure.fault == Fault::OverQuota);
    failure
}

fn read_bare(body: &[u8], failure: &mut Failure) -> Body {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Body::Bare;
    }
    if let Ok(quota) = parse_json::<QuotaBody>(body, limits::MAX_ERROR_BODY) {
        failure.code.clone_from(&quota.error);
        failure.message.clone_from(&quota.message);
        failure.quota = Some(Box::new(quota));
        return Body::Bare;
    }
    if body.len() <= limits::MAX_ERROR_BODY && is_json(body) { Body::Bare } else { Body::Foreign }
}

/// The table of protocol §4.
fn fault(status: u16, body: &Body, code: Option<&ErrorCode>) -> Fault {
    match (status, body) {
        (413, _) => Fault::TooLarge,
        (429, _) => Fault::RateLimited,
        (408 | 502..=504, _) => Fault::Unavailable,
        (507, Body::Envelope) => Fault::OverQuota,
        (500..=599, Body::Envelope) => Fault::Server,
        (500..=599, _) => Fault::Unavailable,
        (401, Body::Envelope | Body::Bare) => Fault::Unauthorized,
        (402, Body::Envelope | Body::Bare) => Fault::OverQuota,
        (403, Body::Envelope | Body::Bare) => Fault::Forbidden,
        (_, Body::Bare | Body::Foreign) => Fault::Foreign,
        (_, Body::Envelope) => match (status, code) {
            (404, Some(ErrorCode::NotFound)) => Fault::NotFound,
            (409, Some(ErrorCode::Conflict | ErrorCode::UploadConflict)) => Fault::Conflict,
            (_, Some(ErrorCode::Unknown(_)) | None) => Fault::UnknownCode,
            (_, Some(ErrorCode::StaleSequence)) => Fault::Stale,
            (_, Some(_)) => Fault::Refused,
        },
    }
}
