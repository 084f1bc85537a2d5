//! A server on loopback that answers as a test wants, and remembers what it was asked.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use hcfs_http::{BaseUrl, Client, ClientConfig, RetryPolicy};
use hcfs_remote::{HcfsRemote, Token};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use std::time::Duration;

use super::{TOKEN, account};

/// What was asked.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub fn segments(&self) -> Vec<&str> {
        self.path().split('/').skip(1).collect()
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        let pairs = self.target.split_once('?')?.1.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    pub manner: Manner,
}

/// How an answer's body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With its length.
    Whole,
    /// Without its length.
    Chunked,
    /// With its length, and cut after so many bytes.
    CutAfter(usize),
    /// Not even the head is sent.
    HangUp,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), manner: Manner::Whole }
    }

    pub fn json<T: Serialize>(status: u16, body: &T) -> Self {
        Self::new(status, serde_json::to_vec(body).unwrap()).header("content-type", "application/json")
    }

    /// `{"Success": …}`.
    pub fn success<T: Serialize>(body: &T) -> Self {
        Self::json(200, &serde_json::json!({ "Success": body }))
    }

    /// `{"Error": …}`.
    pub fn error(status: u16, code: &str) -> Self {
        Self::json(status, &serde_json::json!({"Error": {"error": code, "message": "as asked"}}))
    }

    pub fn html(status: u16) -> Self {
        Self::new(status, "<!DOCTYPE html><html><body>sorry</body></html>").header("content-type", "text/html")
    }

    pub fn hang_up() -> Self {
        Self { manner: Manner::HangUp, ..Self::new(200, "") }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }
}

type Handler = Box<dyn FnMut(&Seen) -> Reply + Send>;

/// A running server. It ends with the runtime of its test.
pub struct Server {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub async fn start(handler: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Mutex<Handler>> = Arc::new(Mutex::new(Box::new(handler)));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
                let service = service_fn(move |request| serve(request, Arc::clone(&handler), Arc::clone(&log)));
                tokio::spawn(async move {
                    // A connection that a reply cuts ends with an error, as asked.
                    let _cut = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far, `/health` left out.
    pub fn seen(&self) -> Vec<Seen> {
        self.all().into_iter().filter(|seen| seen.path() != "/health").collect()
    }

    /// Everything that was asked so far.
    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// A client of this server that tries again at once, `attempts` times in all.
    pub fn client(&self, attempts: u32) -> HcfsRemote {
        let http = Client::new(ClientConfig::default()).unwrap();
        let base = BaseUrl::parse(&self.url()).unwrap();
        let wait = Duration::from_millis(1);
        let policy = RetryPolicy { attempts, base: wait, cap: wait, jitter: false, seed: Some(1) };
        HcfsRemote::new(http, base, account(), Token::new(TOKEN).unwrap()).with_policy(policy)
    }
}

async fn serve(
    request: Request<Incoming>,
    handler: Arc<Mutex<Handler>>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<BoxBody<Bytes, io::Error>>, io::Error> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().unwrap().to_string();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let seen = Seen { method: parts.method, target, headers: parts.headers, body };
    log.lock().unwrap().push(seen.clone());
    let reply = handler.lock().unwrap()(&seen);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let body = match reply.manner {
        Manner::HangUp => return Err(io::Error::other("as asked")),
        Manner::Whole => Full::new(reply.body).map_err(|never: Infallible| match never {}).boxed(),
        Manner::Chunked => {
            let pieces: Vec<_> =
                reply.body.chunks(7).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
            BodyExt::boxed(StreamBody::new(stream::iter(pieces)))
        }
        Manner::CutAfter(length) => {
            response = response.header("content-length", reply.body.len());
            let sent = stream::iter([Ok(Frame::data(reply.body.slice(..length)))]);
            let cut = stream::once(async {
                // The first piece must be on its way before the connection goes.
                tokio::task::yield_now().await;
                Err(io::Error::other("as asked"))
            });
            BodyExt::boxed(StreamBody::new(sent.chain(cut)))
        }
    };
    Ok(response.body(body).unwrap())
}
