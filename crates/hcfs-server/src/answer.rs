//! Answers: a payload or a failure, in the protocol's envelope.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hcfs_model::{FileId, Revision};
use hcfs_wire::{ConflictBody, EntryAnswer, Envelope, ErrorBody, ErrorCode, ParseError, QuotaBody, SignatureError};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;

use crate::blobs::{PartError, WriteError};
use crate::collect::CollectError;
use crate::metadata::MetadataError;

/// Seconds a client is asked to wait before it tries again.
const RETRY_SECONDS: u32 = 30;

/// A request that is refused, or that the server could not carry out.
#[derive(Debug)]
pub(crate) struct Failure(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    body: Refused,
    header: Option<(HeaderName, HeaderValue)>,
}

/// What a refusal says.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Refused {
    Envelope(Envelope<()>),
    Quota(QuotaBody),
}

impl Failure {
    /// A failure with the status its code has.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let header = match code {
            ErrorCode::Unauthorized => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            ErrorCode::RateLimited | ErrorCode::Unavailable => Some((RETRY_AFTER, HeaderValue::from(RETRY_SECONDS))),
            _ => None,
        };
        let body = Refused::Envelope(Envelope::Error(ErrorBody { error: code, message: message.into() }));
        Self(Box::new(Refusal { status, body, header }))
    }

    /// More than the account may have. Comes without an envelope (protocol §4).
    pub(crate) fn over_quota(message: String) -> Self {
        let body = Refused::Quota(QuotaBody { error: Some(ErrorCode::OverQuota), message, ..QuotaBody::default() });
        Self(Box::new(Refusal { status: StatusCode::PAYMENT_REQUIRED, body, header: None }))
    }

    /// A manifest or body that is malformed or contradicts itself.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidManifest, message)
    }

    /// Another revision is current.
    pub(crate) fn conflict(current: Option<Revision>) -> Self {
        let message = match current {
            Some(_) => "another revision of the file is current",
            None => "the file is not there any more",
        };
        let body = Refused::Envelope(Envelope::Conflict(ConflictBody::new(message, current)));
        Self(Box::new(Refusal { status: StatusCode::CONFLICT, body, header: None }))
    }

    /// More requests than are allowed; the next may come after `wait`.
    pub(crate) fn too_often(wait: Duration) -> Self {
        // What clients take notice of (protocol §4).
        let seconds = wait.as_secs().saturating_add(1).min(120);
        let failure = Self::new(ErrorCode::RateLimited, format!("too many requests; wait {seconds} seconds"));
        failure.with_header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// A failure the protocol has no code for.
    pub(crate) fn other(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let error = ErrorBody { error: ErrorCode::from_text(code), message: message.into() };
        Self(Box::new(Refusal { status, body: Refused::Envelope(Envelope::Error(error)), header: None }))
    }

    /// The same as the answer to one entry of a batch.
    pub(crate) fn entry<T>(self, file_id: FileId) -> EntryAnswer<T> {
        let Refusal { status, body, .. } = *self.0;
        let answer = match body {
            Refused::Envelope(Envelope::Conflict(body)) => Envelope::Conflict(body),
            Refused::Envelope(Envelope::Error(body)) => Envelope::Error(body),
            Refused::Quota(body) => Envelope::Error(ErrorBody { error: ErrorCode::OverQuota, message: body.message }),
            // Never made: a failure is none of these.
            Refused::Envelope(Envelope::Success(())) => Envelope::Conflict(ConflictBody::new("", None)),
        };
        EntryAnswer { file_id, status: status.as_u16(), answer }
    }

    /// Whether the same request can never succeed: the server is well, and said no for good.
    pub(crate) fn is_final(&self) -> bool {
        let later = [StatusCode::PAYMENT_REQUIRED, StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        self.0.status.is_client_error() && !later.contains(&self.0.status)
    }

    /// The same with one more header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Refusal { status, body, header } = *self.0;
        let mut response = json(status, &body);
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<MetadataError> for Failure {
    fn from(error: MetadataError) -> Self {
        match error {
            MetadataError::Closed => Self::new(ErrorCode::Unavailable, "the server is stopping"),
            MetadataError::SessionGone => Self::new(ErrorCode::NotFound, "the upload session was removed"),
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "the metadata store failed");
                Self::new(ErrorCode::DatabaseError, "the server's database failed; nothing was changed")
            }
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let code = match error {
            WriteError::Full => ErrorCode::InsufficientStorage,
            WriteError::TooLarge => return Self::new(ErrorCode::PayloadTooLarge, error.to_string()),
            _ => ErrorCode::StorageInconsistency,
        };
        tracing::error!(error = &error as &dyn std::error::Error, "the blob store failed");
        Self::new(code, error.to_string())
    }
}

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Metadata(error) => error.into(),
            CollectError::Blobs(error) => error.into(),
        }
    }
}

impl From<PartError> for Failure {
    fn from(error: PartError) -> Self {
        match error {
            PartError::Sealed => Self::new(ErrorCode::UploadConflict, error.to_string()),
            PartError::TooLong => Self::invalid(error.to_string()),
            PartError::Write(error) => error.into(),
        }
    }
}

impl From<SignatureError> for Failure {
    fn from(error: SignatureError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        let code = match &error {
            ParseError::TooLong { .. } => ErrorCode::PayloadTooLarge,
            ParseError::Shape { reason } if reason.starts_with("missing field") => ErrorCode::MissingField,
            ParseError::Shape { .. } => ErrorCode::InvalidManifest,
        };
        Self::new(code, error.to_string())
    }
}

/// What a handler gives.
pub(crate) type Answer = Result<Response, Failure>;

/// A success in its envelope.
pub(crate) fn success<T: Serialize>(payload: T) -> Response {
    json(StatusCode::OK, &Envelope::Success(payload))
}

/// A body without an envelope.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    // Every body is one of the wire's types, which have text keys and no failing field.
    let text = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
