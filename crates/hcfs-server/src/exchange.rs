//! One request and its answer, as every route has them: who asks, how often, under which id it is logged, and what it
//! counts for.
//!
//! The log has one line for each request: its id, method, route, status and duration, and for what was refused the
//! address it came from. Paths, queries and headers are not in it: they hold names and tokens.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{EXPECT, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::ServiceExt;
use tracing::Instrument;

use crate::answer::Failure;
use crate::body::Inbound;
use crate::connection::Connections;
use crate::metrics::Metrics;
use crate::peer::Peer;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Which requests of one connection are being carried out.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    open: AtomicUsize,
    changed: Notify,
}

impl Activity {
    /// Ends when no request has been carried out for `time`.
    pub(crate) async fn idle(&self, time: Duration) {
        loop {
            let changed = self.changed.notified();
            if self.open.load(Ordering::Acquire) > 0 {
                changed.await;
            } else if tokio::time::timeout(time, changed).await.is_err() {
                return;
            }
        }
    }
}

/// A request from its head to the end of its answer.
struct Underway {
    activity: Arc<Activity>,
    metrics: Arc<Metrics>,
}

impl Underway {
    fn new(activity: &Arc<Activity>, metrics: &Arc<Metrics>) -> Self {
        activity.open.fetch_add(1, Ordering::AcqRel);
        activity.changed.notify_one();
        metrics.underway.inc();
        Self { activity: Arc::clone(activity), metrics: Arc::clone(metrics) }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.activity.open.fetch_sub(1, Ordering::AcqRel);
        self.activity.changed.notify_one();
        self.metrics.underway.dec();
    }
}

/// The body of an answer.
pub(crate) struct Outbound {
    body: Body,
    underway: Underway,
}

impl http_body::Body for Outbound {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            self.underway.metrics.sent.inc_by(bytes.len() as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Carries out one request of a connection from `address`.
pub(crate) async fn exchange(
    shared: Arc<Connections>,
    request: Request<Incoming>,
    address: IpAddr,
    activity: Arc<Activity>,
) -> Result<Response<Outbound>, Infallible> {
    let started = Instant::now();
    let underway = Underway::new(&activity, &shared.metrics);
    let peer = Peer::of(address, request.headers(), &shared.trusted_proxies);
    let (id, id_header) = request_id();
    let method = request.method().clone();
    let span = tracing::info_span!("request", id = %id);
    let mut response = carry_out(&shared, request, peer, started).instrument(span.clone()).await;
    response.headers_mut().insert(REQUEST_ID, id_header);
    let route = response.extensions_mut().remove::<Route>().unwrap_or_default();
    let took = started.elapsed();
    shared.metrics.answered(&method, &route.0, response.status(), took);
    span.in_scope(|| log(&method, &route.0, response.status(), took, peer));
    Ok(response.map(|body| Outbound { body, underway }))
}

async fn carry_out(shared: &Connections, request: Request<Incoming>, peer: Peer, now: Instant) -> Response {
    let waits = match expectation(request.headers()) {
        Ok(waits) => waits,
        Err(failure) => return failure.into_response(),
    };
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(peer);
    let (body, leftover) = Inbound::new(body, &shared.limits, waits, shared.metrics.received.clone());
    let response = match shared.count(peer, now) {
        Ok(()) => {
            let request = Request::from_parts(parts, Body::new(body));
            let Ok(response) = shared.router.clone().oneshot(request).await;
            response
        }
        Err(wait) => {
            drop(body);
            Failure::too_often(wait).into_response()
        }
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        tokio::spawn(leftover.drain());
    }
    response
}

/// Whether the client waits for a `100 Continue` before it sends the body.
fn expectation(headers: &HeaderMap) -> Result<bool, Failure> {
    match headers.get(EXPECT) {
        None => Ok(false),
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(Failure::other(
            StatusCode::EXPECTATION_FAILED,
            "expectation_failed",
            "the only expectation this server knows is 100-continue",
        )),
    }
}

/// Names a request in the log and to its client. A collision costs nothing but a second look.
fn request_id() -> (String, HeaderValue) {
    let mut bytes = [0; 8];
    let _ = getrandom::fill(&mut bytes);
    let id = hex::encode(bytes);
    let header = HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static(""));
    (id, header)
}

/// The pattern of the route that was taken; among the extensions of its answer.
#[derive(Debug, Clone)]
struct Route(Arc<str>);

impl Default for Route {
    fn default() -> Self {
        Self("none".into())
    }
}

/// Notes in the answer which route gave it.
pub(crate) async fn note_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| Route(path.as_str().into()));
    let mut response = next.run(request).await;
    response.extensions_mut().insert(route.unwrap_or_default());
    response
}

fn log(method: &Method, route: &str, status: StatusCode, took: Duration, peer: Peer) {
    let (status, ms) = (status.as_u16(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    match status {
        500.. => tracing::warn!(%method, route, status, ms, "failed"),
        401 | 403 | 429 => tracing::info!(%method, route, status, ms, peer = %peer.0, "refused"),
        _ => tracing::debug!(%method, route, status, ms, "answered"),
    }
}
