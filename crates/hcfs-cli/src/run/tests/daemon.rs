//! A daemon that answers as it is told: HTTP/1.1 on a Unix socket.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use hcfs_api::{ApiError, ErrorBody, ErrorCode, StreamEvent};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::UnixListener;

/// What is answered to a request.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Bytes>,
    end: End,
    /// Done when the request has arrived.
    and: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// The connection breaks.
    Cut,
    /// Nothing more comes, and the connection stays.
    Open,
    /// Not even a head comes.
    Silent,
}

impl Reply {
    fn new(status: u16, pieces: Vec<Bytes>, end: End) -> Self {
        Self { status, headers: Vec::new(), pieces, end, and: None }
    }

    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::new(200, vec![serde_json::to_vec(value).unwrap().into()], End::Whole)
    }

    pub(crate) fn error(code: ErrorCode, message: &str, hint: &str) -> Self {
        let error = ApiError::new(code, message, hint);
        Self { status: code.status(), ..Self::json(&ErrorBody { error }) }
    }

    pub(crate) fn done() -> Self {
        Self::json(&hcfs_api::Done::default())
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::new(200, vec![text.to_owned().into()], End::Whole)
    }

    /// A file of `length` bytes, of which these come.
    pub(crate) fn content(bytes: &[u8], length: usize) -> Self {
        let end = if bytes.len() == length { End::Whole } else { End::Cut };
        let reply = Self::new(200, bytes.chunks(7).map(Bytes::copy_from_slice).collect(), end);
        Self { headers: vec![("content-length", length.to_string())], ..reply }
    }

    pub(crate) fn part(bytes: &[u8]) -> Self {
        Self { status: 206, ..Self::content(bytes, bytes.len()) }
    }

    /// Events, and then the daemon's end.
    pub(crate) fn events(events: &[StreamEvent]) -> Self {
        let text = |event: &StreamEvent| format!("event: {}\ndata: {}\n\n", event.name(), event.to_json().unwrap());
        Self::new(200, events.iter().map(|event| text(event).into()).collect(), End::Whole)
    }

    /// The same, with a connection that stays.
    pub(crate) fn open(self) -> Self {
        Self { end: End::Open, ..self }
    }

    pub(crate) fn cut(self) -> Self {
        Self { end: End::Cut, ..self }
    }

    pub(crate) fn silent() -> Self {
        Self::new(200, Vec::new(), End::Silent)
    }

    pub(crate) fn and(self, effect: impl FnOnce() + Send + 'static) -> Self {
        Self { and: Some(Box::new(effect)), ..self }
    }
}

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Method and route.
    pub(crate) line: String,
    pub(crate) range: Option<String>,
    pub(crate) body: Vec<u8>,
}

type Script = Arc<Mutex<Vec<(String, VecDeque<Reply>)>>>;

/// The running daemon; ends with the test's runtime.
pub(crate) struct Daemon {
    dir: tempfile::TempDir,
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let daemon = Self { dir, script: Script::default(), seen: Arc::default() };
        let (script, seen) = (daemon.script.clone(), daemon.seen.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, seen) = (script.clone(), seen.clone());
                let service = service_fn(move |request| answer(request, script.clone(), seen.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        daemon
    }

    /// Answers a request, given as method and route, once; replies to the same one come in order.
    pub(crate) fn on(self, line: &str, reply: Reply) -> Self {
        {
            let mut script = self.script.lock().unwrap();
            match script.iter_mut().find(|(known, _)| known == line) {
                Some((_, replies)) => replies.push_back(reply),
                None => script.push((line.to_owned(), [reply].into())),
            }
        }
        self
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Methods and routes of the requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

async fn answer(
    request: Request<Incoming>,
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Body>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    let range = request.headers().get("range").map(|value| value.to_str().unwrap().to_owned());
    let body = request.into_body().collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    seen.lock().unwrap().push(Seen { line: line.clone(), range, body });
    let reply = {
        let mut script = script.lock().unwrap();
        script.iter_mut().find(|(known, _)| *known == line).and_then(|(_, replies)| replies.pop_front())
    };
    let reply = reply.unwrap_or_else(|| Reply::error(ErrorCode::NoRoute, &format!("not scripted: {line}"), ""));
    if let Some(effect) = reply.and {
        effect();
    }
    if reply.end == End::Silent {
        std::future::pending::<()>().await;
    }
    let pieces = stream::iter(reply.pieces.into_iter().map(|piece| Ok(Frame::data(piece))));
    let body = match reply.end {
        End::Whole | End::Silent => BodyExt::boxed_unsync(StreamBody::new(pieces)),
        End::Cut => {
            let broken = stream::once(async {
                // The pieces before it go out first.
                tokio::task::yield_now().await;
                Err(io::Error::other("cut"))
            });
            BodyExt::boxed_unsync(StreamBody::new(pieces.chain(broken)))
        }
        End::Open => BodyExt::boxed_unsync(StreamBody::new(pieces.chain(stream::pending()))),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(response)
}
