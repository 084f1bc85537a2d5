//! Answers that are not files: what a service says is wrong, and its JSON.

use std::time::Duration;

use hcfs_http::{Client, HeaderMap, Outcome, Request, Response, StatusCode, Verdict, header, retry_after, transient};
use hcfs_model::UnixNanos;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::credential::Credential;
use crate::error::SourceError;
use crate::settings::Tempo;

/// How much of an answer about an error is read, in bytes.
pub(crate) const COMPLAINT_MAX: u64 = 64 * 1024;
/// The longest listing, or page of one, in bytes.
pub(crate) const LISTING_MAX: u64 = 8 * 1024 * 1024;
/// How much of what a service says is shown, in characters.
const SHOWN_MAX: usize = 300;
/// The longest trace id or code, in characters.
const MARK_MAX: usize = 80;

/// What a service says is wrong, fit to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) message: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) trace: Option<String>,
}

impl Complaint {
    /// Reads the body of an answer.
    pub(crate) async fn read(answer: Response, credential: Option<&Credential>) -> Self {
        let body = answer.body.collect_bounded(COMPLAINT_MAX).await;
        body.map_or_else(|_| Self::default(), |body| Self::of(&body, credential))
    }

    /// Any of the documented forms: `{error: text}`, `{error: {code, message, trace_id, …}}`, `{detail: text}`.
    pub(crate) fn of(body: &[u8], credential: Option<&Credential>) -> Self {
        let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let shown =
            |value: Option<&Value>, max| value.and_then(Value::as_str).and_then(|text| said(text, max, credential));
        match object.get("error") {
            Some(Value::Object(error)) => {
                let message = shown(error.get("message"), SHOWN_MAX);
                Self {
                    message: message.or_else(|| shown(error.get("system_message"), SHOWN_MAX)),
                    code: shown(error.get("code"), MARK_MAX),
                    trace: shown(error.get("trace_id"), MARK_MAX),
                }
            }
            error => {
                let message = error.or_else(|| object.get("detail")).or_else(|| object.get("message"));
                Self { message: shown(message, SHOWN_MAX), ..Self::default() }
            }
        }
    }
}

/// What a service says, shortened, without control characters and without the credential it was sent.
fn said(text: &str, max: usize, credential: Option<&Credential>) -> Option<String> {
    let text = credential.map_or_else(|| text.to_owned(), |credential| credential.redacted(text));
    let mut shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max).collect();
    if text.chars().nth(max).is_some() {
        shown.push('…');
    }
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

/// [`said`] of a message.
pub(crate) fn message(text: &str, credential: Option<&Credential>) -> Option<String> {
    said(text, SHOWN_MAX, credential)
}

/// The error of a status that means the same at every service.
pub(crate) fn error_of(status: StatusCode, wait: Option<Duration>, complaint: Complaint, item: &str) -> SourceError {
    let Complaint { message, code, trace } = complaint;
    let item = item.to_owned();
    match status {
        StatusCode::UNAUTHORIZED => SourceError::Unauthorized { message, trace },
        StatusCode::FORBIDDEN => SourceError::Denied { item, message, trace },
        StatusCode::NOT_FOUND | StatusCode::GONE => SourceError::NotFound { item, message, trace },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            SourceError::Busy { status: status.as_u16(), retry_after: wait, message }
        }
        _ => SourceError::Status { status: status.as_u16(), code, message, trace },
    }
}

/// The error of an answer whose status means the same at every service.
pub(crate) async fn refusal(
    answer: Response,
    credential: Option<&Credential>,
    item: &str,
    now: UnixNanos,
) -> SourceError {
    let (status, wait) = (answer.status, retry_after(&answer.headers, now));
    error_of(status, wait, Complaint::read(answer, credential).await, item)
}

/// Reads an answer in JSON.
pub(crate) async fn json<T: DeserializeOwned>(
    answer: Response,
    what: &'static str,
    max: u64,
) -> Result<T, SourceError> {
    let is_page = is_type(&answer.headers, "text/html");
    let body = answer.body.collect_bounded(max).await?;
    serde_json::from_slice(&body).map_err(|error| {
        // The parser's own words may repeat a part of what it read.
        let reason = match error.classify() {
            _ if is_page => "it is an HTML page",
            serde_json::error::Category::Data => "a field is missing or of another type",
            _ => "it is not JSON",
        };
        SourceError::BadAnswer { what, reason: reason.to_owned() }
    })
}

/// Sends a request, again while the outcome is one that passes.
pub(crate) async fn ask(
    client: &Client,
    tempo: &Tempo,
    request: &Request,
    now: UnixNanos,
) -> Result<Response, SourceError> {
    let classify = |outcome: &Outcome| -> Verdict { transient(outcome, now) };
    Ok(client.send_with_retry(request, &tempo.retry, classify).await?)
}

/// Whether an answer says to be of a type, its parameters left out.
pub(crate) fn is_type(head: &HeaderMap, wanted: &str) -> bool {
    content_type(head).is_some_and(|kind| kind.eq_ignore_ascii_case(wanted))
}

/// The type an answer says to be of, without parameters.
pub(crate) fn content_type(head: &HeaderMap) -> Option<&str> {
    head.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').next().map(str::trim)
}

/// Whether an answer is what services send in place of a file: a page, or a message in JSON.
pub(crate) fn is_page(head: &HeaderMap) -> bool {
    ["text/html", "application/xhtml+xml", "application/json", "application/problem+json"]
        .iter()
        .any(|kind| is_type(head, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_understood() {
        let of = |text: &str| Complaint::of(text.as_bytes(), None);
        let plain = |text: &str| Complaint { message: Some(text.to_owned()), ..Complaint::default() };
        assert_eq!(of(r#"{ "error": "Unauthorized" }"#), plain("Unauthorized"));
        assert_eq!(of(r#"{"detail":"Archivo f\u00edsico no encontrado"}"#), plain("Archivo f\u{ed}sico no encontrado"));
        let envelope = r#"{"success":false,"error":{"code":"TOKEN_INVALID","message":"expired","system_message":"x",
            "type":"client_error","status":401,"details":{},"trace_id":"2fbbf3b6","timestamp":"2025"}}"#;
        let full = Complaint {
            code: Some("TOKEN_INVALID".to_owned()),
            trace: Some("2fbbf3b6".to_owned()),
            ..plain("expired")
        };
        assert_eq!(of(envelope), full);
        for text in ["", "<html>", "[]", "{}", r#"{"error":5}"#, r#"{"error":"\n"}"#, r#"{"detail":[{"loc":[]}]}"#] {
            assert_eq!(of(text), Complaint::default(), "{text}");
        }
    }

    #[test]
    fn what_is_said_is_short_clean_and_without_the_credential() {
        let credential = Credential::new("t0ken").unwrap();
        let shown = message("bad\r\n\u{1b}[31m token t0ken", Some(&credential)).unwrap();
        assert_eq!(shown, "bad   [31m token …");
        let long = message(&"x".repeat(1000), None).unwrap();
        assert_eq!(long.chars().count(), SHOWN_MAX + 1);
    }
}
