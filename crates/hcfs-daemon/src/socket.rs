//! The local socket: HTTP/1.1 and JSON for the owner's own programs, and for readers where the configuration names a
//! group of them.
//!
//! Invariants: the socket is closed to other users from the first instant (mode 0600 before it has a name, in a
//! directory nobody else can write) until it belongs to the group of readers, if there is one; who may change something
//! is decided by the peer's user; no web page is answered; the number of connections, the sizes of heads and bodies and
//! the time for a head are bounded; a slow reader slows nobody but itself, and readers keep no owner out.
//!
//! Deliberately absent: a socket that is handed over by the service manager (`ARCHITECTURE.md` says why), and TCP.

mod answer;
mod bind;
mod content;
mod events;
mod folders;
mod guard;
mod limits;
pub(crate) mod readers;
mod recovery;
mod sources;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hcfs_api::{ApiError, ErrorBody, ErrorCode, Page, SCHEMA, UnlockRequest};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::{Service as _, ServiceExt as _};
use zeroize::Zeroizing;

use self::answer::{Answer, BODY_MAX, Failure, Json, done};
pub(crate) use self::bind::Bound;
pub(crate) use self::content::sweep_incoming;
use self::guard::Once;
pub(crate) use self::guard::Peer;
use crate::metrics;
use crate::page::PageDoor;
use crate::supervise::Supervisor;

/// Connections at once: of the owner and root, and again of all others.
const CONNECTIONS: usize = 32;
/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const HEAD_MAX: usize = 32 * 1024;
/// How long open answers may go on when the daemon stops.
const LINGER: Duration = Duration::from_secs(5);

/// What every handler works with.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) supervisor: Arc<Supervisor>,
    /// None at the routes the page itself asks.
    pub(crate) page: Option<Arc<PageDoor>>,
    pub(crate) stopping: CancellationToken,
}

/// Serves the socket until `served.stopping`, then lets open answers end, for a few seconds at most.
pub(crate) async fn serve(bound: Bound, served: Served) {
    let stopping = served.stopping.clone();
    let routes = routes(served);
    let own = rustix::process::geteuid().as_raw();
    let [owners, others] = [(); 2].map(|()| Arc::new(Semaphore::new(CONNECTIONS)));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = bound.listener().accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(credentials) = stream.peer_cred() else { continue };
                let peer = Peer::of(credentials.uid(), own, bound.has_readers());
                let places = if peer == Peer::Owner { &owners } else { &others };
                match Arc::clone(places).try_acquire_owned() {
                    Ok(place) => connect(stream, peer, &routes, place, &graceful),
                    Err(_) => refuse(&stream),
                }
            }
            Err(error) => {
                // Out of descriptors, most likely: others must close first.
                tracing::warn!("the socket cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Removes the name, so that nobody connects any more.
    drop(bound);
    if tokio::time::timeout(LINGER, graceful.shutdown()).await.is_err() {
        tracing::debug!("connections were still open at the end");
    }
}

fn connect(stream: UnixStream, peer: Peer, routes: &Router, place: OwnedSemaphorePermit, graceful: &GracefulShutdown) {
    let routes = routes.clone();
    let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        let mut routes = routes.clone();
        async move { routes.as_service().ready().await?.call(request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        // A client that breaks off is its own affair.
        if let Err(error) = connection.await {
            tracing::debug!("a connection broke: {error}");
        }
        drop(place);
    });
}

/// Says that there are too many, as far as the socket's buffer takes it at once.
fn refuse(stream: &UnixStream) {
    let error = ApiError::new(ErrorCode::Busy, format!("{CONNECTIONS} connections are open"), "close one of them");
    let status = error.code.status();
    let body = serde_json::to_string(&ErrorBody { error }).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 {status} Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    // Whoever is refused may also find the connection closed.
    let _ = stream.try_write(answer.as_bytes());
}

/// All routes, behind the guards.
pub(crate) fn routes(served: Served) -> Router {
    let once = Arc::new(Once::default());
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/events", get(events::stream))
        .route("/v1/account", get(account))
        .route("/v1/unlock", post(unlock))
        .route("/v1/lock", post(lock))
        .route("/v1/reload", post(reload))
        .route("/v1/page", post(page))
        .route("/v1/metrics", get(numbers))
        .route("/v1/server/test", post(test_server))
        .route("/v1/limits", get(limits::show).post(limits::set))
        .route("/v1/folders", get(list).post(folders::add))
        .nest("/v1/folders/{label}", folders::routes())
        .route("/v1/sources", get(sources::list).post(sources::add))
        .nest("/v1/sources/{name}", sources::routes())
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(once, guard::run_once))
        .layer(middleware::from_fn(guard::admit))
        .with_state(served)
}

async fn status(State(served): State<Served>) -> Response {
    Json(served.supervisor.status()).into_response()
}

async fn account(State(served): State<Served>) -> Response {
    Json(served.supervisor.account()).into_response()
}

async fn list(State(served): State<Served>) -> Response {
    Json(Page { schema: SCHEMA, items: served.supervisor.folders(), next: None }).into_response()
}

async fn unlock(State(served): State<Served>, Json(UnlockRequest { password }): Json<UnlockRequest>) -> Answer {
    served.supervisor.unlock(Zeroizing::new(password)).await?;
    done()
}

async fn lock(State(served): State<Served>) -> Answer {
    served.supervisor.lock().await;
    done()
}

async fn reload(State(served): State<Served>) -> Answer {
    served.supervisor.reload().await?;
    done()
}

async fn page(State(served): State<Served>, uri: Uri) -> Answer {
    let Some(page) = &served.page else { return Err(no_route(uri).await) };
    Ok(Json(page.link(served.supervisor.now()).await?).into_response())
}

async fn test_server(State(served): State<Served>) -> Answer {
    Ok(Json(served.supervisor.test_server().await?).into_response())
}

async fn numbers(State(served): State<Served>) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&served.supervisor.status())).into_response()
}

async fn no_route(uri: Uri) -> Failure {
    let message = format!("there is no route \"{}\"", uri.path());
    Failure(ApiError::new(ErrorCode::NoRoute, message, "the client may be newer than the daemon: restart the daemon"))
}

async fn no_method(uri: Uri) -> Failure {
    Failure::bad_request(format!("\"{}\" does not take this method", uri.path()), "see the interface for its methods")
}
