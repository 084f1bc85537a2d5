//! A request that can be sent more than once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::rate::Meter;
use crate::url::Url;

/// How long each wait on the peer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the start to a connection that is ready, names resolved and TLS agreed.
    pub connect: Duration,
    /// From the last byte of the request to the head of the answer.
    pub first_byte: Duration,
    /// The longest pause in which the peer takes or gives no byte of a body.
    pub stall: Duration,
    /// The whole exchange, the answer's body included; none by default.
    pub total: Option<Duration>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            total: None,
        }
    }
}

/// The body of a request.
#[derive(Clone, Default)]
pub enum Body {
    /// None. For POST, PUT and PATCH it is announced as `Content-Length: 0`.
    #[default]
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes made while they are sent, anew for every attempt.
    Stream {
        /// The exact length, sent as `Content-Length` and enforced; chunked if unknown.
        len: Option<u64>,
        /// Opens the stream from its start.
        open: Arc<dyn Fn() -> BoxStream<'static, io::Result<Bytes>> + Send + Sync>,
    },
}

impl Body {
    /// A body that `open` makes anew for every attempt; see [`Body::Stream`].
    pub fn stream<F>(len: Option<u64>, open: F) -> Self
    where
        F: Fn() -> BoxStream<'static, io::Result<Bytes>> + Send + Sync + 'static,
    {
        Self::Stream { len, open: Arc::new(open) }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Bytes(bytes) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

/// One request. Clones are cheap and share the body.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) idempotent: bool,
    pub(crate) follow: bool,
    pub(crate) deadlines: Option<Deadlines>,
    pub(crate) sent: Option<Meter>,
    pub(crate) received: Option<Meter>,
}

impl Request {
    /// A request without headers or body. GET and HEAD count as idempotent from the start, nothing else does.
    pub fn new(method: Method, url: Url) -> Self {
        let idempotent = method == Method::GET || method == Method::HEAD;
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Body::Empty,
            idempotent,
            follow: false,
            deadlines: None,
            sent: None,
            received: None,
        }
    }

    /// A GET.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST.
    pub fn post(url: Url) -> Self {
        Self::new(Method::POST, url)
    }

    /// A PUT.
    pub fn put(url: Url) -> Self {
        Self::new(Method::PUT, url)
    }

    /// A DELETE.
    pub fn delete(url: Url) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// Sets a header, replacing one of the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a header that holds a secret: it is not shown by `Debug` and not kept in header compression.
    #[must_use]
    pub fn credential(self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.header(name, value)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Says that sending the request twice does what sending it once does, so that it may be retried after an
    /// attempt whose fate is unknown.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Follows up to five redirects of a GET or HEAD. To another origin only harmless headers go along
    /// (`Accept`, `Range` and the like), whatever the others are called.
    #[must_use]
    pub fn follow_redirects(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Sets deadlines other than the client's.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = Some(deadlines);
        self
    }

    /// Counts the bytes of the body as they are handed to the connection.
    #[must_use]
    pub fn count_sent(mut self, meter: Meter) -> Self {
        self.sent = Some(meter);
        self
    }

    /// Counts the bytes of the answer's body.
    #[must_use]
    pub fn count_received(mut self, meter: Meter) -> Self {
        self.received = Some(meter);
        self
    }

    /// Where it goes.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether it may be sent again after an attempt whose fate is unknown.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }
}
