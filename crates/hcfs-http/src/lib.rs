//! An HTTP client with deadlines, bounded retries and resumable downloads.
//!
//! Purpose: everything above speaks to servers through [`Client`]: https with checked certificates (plain http to this
//! machine alone), one pool of connections, a deadline for every wait, and errors that tell whether the server may
//! have seen the request. [`Download`] fetches a body over as many ranged requests as it takes.
//!
//! Invariants:
//! - A [`Url`] exists only if it may be spoken to; no request goes anywhere else, redirects included.
//! - A request that is not marked idempotent is never sent a second time once the server may have seen it.
//! - No header given by the caller, whatever its name, follows a redirect to another origin unless it is harmless.
//! - Every wait on the peer ends by a deadline; waits on the caller's own data and on a rate limit are not counted.
//! - Dropping any future or stream of this crate ends its work and frees its connection.
//!
//! Deliberately absent: knowledge of any service, cookies, caches, proxies, decompression, WebSockets.

mod body;
mod client;
mod connect;
mod download;
mod error;
mod range;
mod rate;
mod redirect;
mod request;
mod retry;
mod upload;
mod url;
mod version;

pub use body::{BodyStream, Response};
pub use client::{Client, ClientConfig, USER_AGENT};
pub use connect::{CertificateDer, roots_from_pem};
pub use download::{Download, DownloadError, DownloadOptions, Earlier, Event, Leg};
pub use error::{ConnectFailure, HttpError, HttpErrorKind, Sent};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use range::{ContentRange, RangeError};
pub use rate::{Meter, RateLimit};
pub use request::{Body, Deadlines, Request};
pub use retry::{Backoff, Outcome, RetryPolicy, Verdict, answered_at, retry_after, transient};
pub use url::{BaseUrl, Origin, Url, UrlError};
pub use version::Version;
