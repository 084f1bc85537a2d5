//! Who may speak at the socket, and that a repeated request runs once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hcfs_api::{ApiError, ErrorCode, routes};
use tokio::sync::OnceCell;

use super::answer::Failure;

/// The process at the other end, as the system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The daemon's own user, or root: may read and change.
    Owner,
    /// Another user, whom the socket's group let in: may read.
    Reader,
    /// Another user.
    Stranger,
}

impl Peer {
    /// By the user of the process. That a socket has readers means that its file lets in no other user than them: who of
    /// them connects has been looked at by the kernel.
    pub(super) fn of(uid: u32, own: u32, has_readers: bool) -> Self {
        match uid {
            uid if uid == own || uid == 0 => Self::Owner,
            _ if has_readers => Self::Reader,
            _ => Self::Stranger,
        }
    }
}

/// What to do about another user's socket.
const BE_THE_OWNER: &str = "run the command as the user the daemon runs as";

/// Lets in the owner's own programs, and readers as far as they change nothing. A browser names the page a request comes
/// from: no page may speak here.
pub(super) async fn admit(request: Request, next: Next) -> Response {
    match request.extensions().get() {
        Some(Peer::Owner) => {}
        Some(Peer::Reader) if [Method::GET, Method::HEAD].contains(request.method()) => {}
        Some(Peer::Reader) => return forbidden("this would change something, and you may only look", BE_THE_OWNER),
        Some(Peer::Stranger) | None => return forbidden("this socket is another user's", BE_THE_OWNER),
    }
    if is_from_a_page(request.headers()) {
        return forbidden("a web page may not speak to the daemon", "send the request without Origin and Referer");
    }
    next.run(request).await
}

/// Keeps readers from what the files hold: names and states are what they may see.
pub(super) async fn owner_alone(request: Request, next: Next) -> Response {
    if request.extensions().get() != Some(&Peer::Owner) {
        return forbidden("what a file holds is its owner's alone to read", BE_THE_OWNER);
    }
    next.run(request).await
}

fn is_from_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN)
        || headers.contains_key(header::REFERER)
        || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

fn forbidden(message: &str, hint: &str) -> Response {
    Failure(ApiError::new(ErrorCode::Forbidden, message, hint)).into_response()
}

/// Answers are remembered for as many requests with a key.
const REMEMBERED: usize = 128;
/// The longest key, in bytes.
const KEY_MAX: usize = 128;
/// The largest answer that is remembered, in bytes; every answer to a change is far smaller.
const ANSWER_MAX: usize = 256 * 1024;

#[derive(Clone)]
struct Remembered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

type Cell = Arc<OnceCell<Remembered>>;

/// The answers of the last requests that carried an idempotency key.
#[derive(Default)]
pub(super) struct Once {
    answers: Mutex<VecDeque<(String, Cell)>>,
}

impl Once {
    fn cell(&self, key: String) -> Cell {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = answers.iter().find(|(known, _)| *known == key) {
            return cell.clone();
        }
        if answers.len() == REMEMBERED {
            answers.pop_front();
        }
        let cell = Cell::default();
        answers.push_back((key, cell.clone()));
        cell
    }
}

/// Runs a change that carries an idempotency key once; whoever repeats it gets the first one's answer, also while the
/// first still runs.
pub(super) async fn run_once(State(once): State<Arc<Once>>, request: Request, next: Next) -> Response {
    let Some(key) = request.headers().get(routes::IDEMPOTENCY_KEY) else { return next.run(request).await };
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return next.run(request).await;
    }
    let Some(key) = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_MAX) else {
        let message = format!("the idempotency key is empty, longer than {KEY_MAX} bytes, or not text");
        return Failure::bad_request(message, "send another key, or none").into_response();
    };
    let cell = once.cell(format!("{key} {} {}", request.method(), request.uri()));
    // On a task of its own: a client that goes away does not stop it half way, or let the next one run it again.
    let answered = tokio::spawn(async move {
        cell.get_or_init(|| async move {
            let (parts, body) = next.run(request).await.into_parts();
            let body = to_bytes(body, ANSWER_MAX).await.unwrap_or_default();
            Remembered { status: parts.status, headers: parts.headers, body }
        })
        .await
        .clone()
    });
    match answered.await {
        Ok(Remembered { status, headers, body }) => (status, headers, Body::from(body)).into_response(),
        Err(_) => {
            let error = ApiError::new(ErrorCode::Internal, "the request failed", "the daemon's log says more");
            Failure(error).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_go_by_the_user_of_the_process() {
        for (uid, own, alone, with_readers) in [
            (1000, 1000, Peer::Owner, Peer::Owner),
            (0, 1000, Peer::Owner, Peer::Owner),
            (0, 0, Peer::Owner, Peer::Owner),
            (1001, 1000, Peer::Stranger, Peer::Reader),
            (1000, 0, Peer::Stranger, Peer::Reader),
        ] {
            assert_eq!((Peer::of(uid, own, false), Peer::of(uid, own, true)), (alone, with_readers), "{uid} {own}");
        }
    }

    #[test]
    fn answers_are_remembered_for_the_last_keys_only() {
        let once = Once::default();
        let first = once.cell("0".into());
        assert!(Arc::ptr_eq(&first, &once.cell("0".into())));
        for n in 1..=REMEMBERED {
            once.cell(n.to_string());
        }
        assert!(!Arc::ptr_eq(&first, &once.cell("0".into())));
        assert_eq!(once.answers.lock().unwrap().len(), REMEMBERED);
    }
}
