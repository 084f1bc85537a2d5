//! The listener on loopback, and every route of the page.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use jiff::tz::TimeZone;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, LINK_LIFE};
use crate::guard;
use crate::socket::Socket;
use crate::throughput::Throughput;
use crate::view::alone;
use crate::{act, live, view};

/// Connections at once: a browser opens six for each of a few windows.
const CONNECTIONS: usize = 32;
/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const HEAD_MAX: usize = 16 * 1024;
/// The largest body of a request, in bytes: a form with a path and a password.
pub(crate) const BODY_MAX: usize = 16 * 1024;
/// How long open answers may go on when the page ends.
const LINGER: Duration = Duration::from_secs(2);

/// Why the page does not listen.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The port.
    #[error("port {port} of this machine cannot be listened on")]
    Port {
        /// Which.
        port: u16,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No secret can be made.
    #[error("the system gives no random numbers")]
    Random(#[source] getrandom::Error),
}

impl PageError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Port { .. } => "set another `port` in [page], or 0 for one that is free",
            Self::Random(_) => "restart the machine: its random numbers are broken",
        }
    }
}

/// A way into the page that works once.
pub struct Link {
    /// What a browser opens.
    pub url: String,
    /// For how long it works.
    pub lives: Duration,
}

/// What every handler works with.
pub(crate) struct Site {
    pub(crate) gate: Gate,
    pub(crate) socket: Socket,
    pub(crate) throughput: Throughput,
    pub(crate) zone: TimeZone,
    pub(crate) stopping: CancellationToken,
    /// The first segment of every path, random for each listener. A cookie is sent to every port of a host, but only
    /// below its path: what else listens on this machine does not know it and gets no cookie.
    pub(crate) base: String,
    /// The port, for the `Host` of a request.
    pub(crate) port: u16,
}

impl Site {
    /// An absolute path of the page.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("/{}/{name}", self.base)
    }
}

/// The page, listening until its token is cancelled.
pub struct Page {
    site: Arc<Site>,
}

impl Page {
    /// Listens on 127.0.0.1 at a port, or at one that is free where it is 0. Ends when `stopping` is cancelled.
    /// `throughput` is what it draws.
    ///
    /// # Errors
    /// The port is taken, or there are no random numbers.
    pub async fn listen(
        port: u16,
        socket: Socket,
        throughput: Throughput,
        stopping: CancellationToken,
    ) -> Result<Self, PageError> {
        let failed = |source| PageError::Port { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let mut base = [0; 16];
        getrandom::fill(&mut base).map_err(PageError::Random)?;
        let site = Arc::new(Site {
            gate: Gate::default(),
            throughput,
            zone: TimeZone::system(),
            base: hex::encode(base),
            socket,
            stopping,
            port,
        });
        tokio::spawn(accept(listener, routes(&site), site.stopping.clone()));
        Ok(Self { site })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.site.port).into()
    }

    /// A new way in. Whoever asks must have shown that the page is theirs.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn link(&self) -> Result<Link, PageError> {
        let secret = self.site.gate.issue(Instant::now()).map_err(PageError::Random)?;
        let url = format!("http://{}{}?once={}", self.address(), self.site.at("open"), secret.text());
        Ok(Link { url, lives: LINK_LIFE })
    }
}

async fn accept(listener: TcpListener, routes: Router, stopping: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // One too many is closed at once.
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let connection = graceful.watch(connection(stream, routes.clone()));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!("a connection of the page broke: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("the page cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    // What is still open then is cut off.
    let _ = tokio::time::timeout(LINGER, graceful.shutdown()).await;
}

fn connection(stream: TcpStream, routes: Router) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
}

/// All routes, behind the guards.
fn routes(site: &Arc<Site>) -> Router {
    let open_to_all = Router::new()
        .route(&site.at("open"), get(open))
        .route(&site.at("style.css"), get(|| asset("text/css; charset=utf-8", include_str!("../assets/style.css"))))
        .route(
            &site.at("script.js"),
            get(|| asset("text/javascript; charset=utf-8", include_str!("../assets/script.js"))),
        )
        .route(&site.at("icon.svg"), get(|| asset("image/svg+xml", include_str!("../assets/icon.svg"))));
    let with_session = Router::new()
        .route(&site.at("live"), get(live::stream))
        .route(&site.at("act"), post(act::act))
        .route(&site.at(""), get(view::overview))
        .route(&site.at("{name}"), get(view::named))
        .route_layer(middleware::from_fn_with_state(site.clone(), guard::session));
    open_to_all
        .merge(with_session)
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(site.clone(), guard::admit))
        .with_state(site.clone())
}

async fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn nowhere() -> Response {
    alone(StatusCode::NOT_FOUND, "There is no such page", "Run hcfs ui, and open the link it gives.", None)
}

#[derive(Deserialize)]
struct Once {
    #[serde(default)]
    once: String,
}

/// Exchanges a link for a session. The answer is a page and not a redirect: a browser that came from elsewhere would
/// not send a `SameSite=Strict` cookie along with the redirected request.
async fn open(State(site): State<Arc<Site>>, Query(Once { once }): Query<Once>, request: Request) -> Response {
    // Whoever looks ahead, or only at the head, does not use the link up.
    let looks_ahead = ["purpose", "sec-purpose", "x-moz"].iter().any(|name| request.headers().contains_key(*name));
    if request.method() != Method::GET || looks_ahead {
        return StatusCode::NO_CONTENT.into_response();
    }
    match site.gate.enter(&once, Instant::now()) {
        Ok(Some(cookie)) => {
            let home = site.at("");
            let mut answer = alone(StatusCode::OK, "Opening", "The page opens in a moment.", Some(&home));
            let cookie = format!("{}={}; Path={home}; HttpOnly; SameSite=Strict", guard::COOKIE, cookie.text());
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                answer.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            answer
        }
        Ok(None) => alone(
            StatusCode::FORBIDDEN,
            "This link does not work any more",
            "A link opens the page once, within two minutes. Run hcfs ui for a new one.",
            None,
        ),
        Err(_) => alone(StatusCode::INTERNAL_SERVER_ERROR, "No session can be started", "Try again.", None),
    }
}
