//! Starting, serving and stopping.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use http::header::EXPECT;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use crate::blobs::Disk;
use crate::body::Inbound;
use crate::metadata::Sqlite;
use crate::place::{self, Lock};
use crate::routes;
use crate::socket::Socket;
use crate::stores::Stores;
use crate::upkeep;
use crate::{Clock, Limits, ServerConfig, ServerError};

/// A server, before it runs.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Opens the data directory, listens, and serves until the result is shut down or dropped. Needs a tokio runtime
    /// with time and I/O.
    ///
    /// # Errors
    /// The data directory, its database or the address cannot be used, or another server has the directory.
    pub async fn start(config: ServerConfig) -> Result<RunningServer, ServerError> {
        let ServerConfig { storage, listen, limits, clock } = config;
        let shutdown_timeout = limits.shutdown_timeout;
        let stores = open(storage.data, limits, clock).await?;
        let failed = |source| ServerError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "tokens cross the network in the clear: put a proxy with TLS in front");
        }
        let stop = stores.stopping.clone();
        let upkeep = tokio::spawn(upkeep::run(Arc::clone(&stores), true, stop.clone()));
        let task = tokio::spawn(accept(listener, Arc::clone(&stores), stop.clone()));
        tracing::info!(%address, "serving");
        Ok(RunningServer { address, stores, task, upkeep, shutdown_timeout, stop: stop.drop_guard() })
    }
}

async fn open(data: PathBuf, limits: Limits, clock: Clock) -> Result<Arc<Stores>, ServerError> {
    let blobs = place::blobs(&data);
    let failed = move |source| ServerError::Data { path: blobs.clone(), source };
    let open = {
        let failed = failed.clone();
        move || {
            place::create(&data)?;
            let lock = Lock::take(&data)?;
            let path = place::database(&data);
            let metadata = Sqlite::open(&path).map_err(|source| ServerError::Database { path, source })?;
            let blobs = Disk::open(&place::blobs(&data), limits.reserve_bytes, clock.clone()).map_err(failed)?;
            Ok(Stores::new(Arc::new(metadata), Arc::new(blobs), limits, clock, lock))
        }
    };
    let stores = tokio::task::spawn_blocking(open).await.map_err(io::Error::other).map_err(&failed)??;
    upkeep::reconcile_sessions(&stores).await.map_err(io::Error::other).map_err(failed)?;
    Ok(stores)
}

/// A server that serves. Dropped, it stops by itself; [`RunningServer::shutdown`] says when it has.
pub struct RunningServer {
    address: SocketAddr,
    stores: Arc<Stores>,
    task: JoinHandle<bool>,
    upkeep: JoinHandle<()>,
    shutdown_timeout: Duration,
    stop: DropGuard,
}

impl RunningServer {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, waits for those in flight up to the limit, and gives the data directory back.
    ///
    /// # Errors
    /// [`ServerError::Cut`] when requests were still running at the limit; each was carried out whole or not at all.
    pub async fn shutdown(self) -> Result<(), ServerError> {
        let Self { stores, task, upkeep, shutdown_timeout, stop, .. } = self;
        let deadline = Instant::now() + shutdown_timeout;
        drop(stop);
        let finished = task.await.unwrap_or(false);
        let _ = upkeep.await;
        stores.tasks.close();
        let settled =
            tokio::time::timeout_at(deadline.max(Instant::now() + Duration::from_secs(1)), stores.tasks.wait());
        let settled = settled.await.is_ok();
        // Closing the database waits for its threads.
        let _ = tokio::task::spawn_blocking(move || drop(stores)).await;
        if finished && settled { Ok(()) } else { Err(ServerError::Cut) }
    }
}

/// Accepts connections until `stop`; whether all of them ended by themselves then.
async fn accept(listener: TcpListener, stores: Arc<Stores>, stop: CancellationToken) -> bool {
    let limits = stores.limits.clone();
    let router = routes::router(stores);
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let (stream, place) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = next_connection(&listener, &places) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Usually too many open files; connections that end make room.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        connections.spawn(serve(stream, router.clone(), limits.clone(), graceful.watcher(), place));
    }
    drop(listener);
    drop(router);
    let finished = tokio::time::timeout(limits.shutdown_timeout, graceful.shutdown()).await.is_ok();
    connections.shutdown().await;
    finished
}

async fn next_connection(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn serve(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    watcher: hyper_util::server::graceful::Watcher,
    place: OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(32)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(2 << 20)
        .max_frame_size(256 << 10)
        .keep_alive_interval(limits.stall_timeout)
        .keep_alive_timeout(limits.header_timeout);
    let stall = limits.stall_timeout;
    let service = service_fn(move |request| answer(router.clone(), request, stall));
    let socket = TokioIo::new(Socket::new(stream, limits.header_timeout, limits.stall_timeout));
    let connection = builder.serve_connection(socket, service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(place);
}

async fn answer(router: Router, request: Request<Incoming>, stall: Duration) -> Result<Response, Infallible> {
    let waits = request.headers().contains_key(EXPECT);
    let (parts, body) = request.into_parts();
    let (body, leftover) = Inbound::new(body, stall, waits);
    let Ok(response) = router.oneshot(Request::from_parts(parts, Body::new(body))).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        tokio::spawn(leftover.drain());
    }
    Ok(response)
}
