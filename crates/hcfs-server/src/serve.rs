//! Starting, serving and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::access::{Access, AccountPolicy, LoginDesk};
use crate::connection::Connections;
use crate::metadata::MetadataStore;
use crate::metrics::Metrics;
use crate::place::{self, Lock};
use crate::routes;
use crate::stores::{Sharing, Stores, open_blobs, open_metadata};
use crate::tls::Tls;
use crate::upkeep;
use crate::{Clock, Limits, ServerConfig, ServerError, Storage};

/// Connections of the listener that shows the metrics.
const METRICS_CONNECTIONS: usize = 16;

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
        Self::run(config, None).await
    }

    /// As [`Server::start`], at a socket that listens already; `listen` of the configuration is not looked at.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_at(listener: std::net::TcpListener, config: ServerConfig) -> Result<RunningServer, ServerError> {
        Self::run(config, Some(listener)).await
    }

    async fn run(config: ServerConfig, listening: Option<std::net::TcpListener>) -> Result<RunningServer, ServerError> {
        let ServerConfig { storage, listen, tls, trusted_proxies, metrics, accounts, limits, clock } = config;
        let shutdown_timeout = limits.shutdown_timeout;
        let tls = tls.map(Tls::open).transpose().map_err(ServerError::Tls)?.map(Arc::new);
        let (listener, address) = match listening {
            Some(listening) => adopt(listening, listen)?,
            None => bind(listen).await?,
        };
        if accounts.address_tokens {
            if !address.ip().is_loopback() {
                return Err(ServerError::OpenToAll { address });
            }
            tracing::warn!("every account's address is taken for its token: for trials on this machine only");
        }
        // Of a bucket that servers share, looking through all objects is the operator's.
        let sweep = storage.bucket.is_none();
        let stores = open(storage, accounts, address, limits.clone(), clock).await?;
        if tls.is_none() && !address.ip().is_loopback() {
            tracing::warn!(%address, "tokens cross the network in the clear: give a certificate, or put a proxy in front");
        }
        let stop = stores.stopping.clone();
        let shown = match metrics {
            Some(listen) => Some(show_metrics(listen, &stores, stop.clone()).await?),
            None => None,
        };
        let upkeep = tokio::spawn(upkeep::run(Arc::clone(&stores), sweep, stop.clone()));
        let router = routes::router(Arc::clone(&stores));
        let connections = Connections::new(router, limits, trusted_proxies, Arc::clone(&stores.metrics), tls.clone());
        let task = tokio::spawn(connections.accept(listener, stop.clone()));
        tracing::info!(%address, tls = tls.is_some(), "serving");
        Ok(RunningServer {
            address,
            metrics: shown,
            tls,
            stores,
            task,
            upkeep,
            shutdown_timeout,
            stop: stop.drop_guard(),
        })
    }
}

async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn adopt(listening: std::net::TcpListener, listen: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Listen { address: listen, source };
    let address = listening.local_addr().map_err(failed)?;
    listening.set_nonblocking(true).map_err(failed)?;
    Ok((TcpListener::from_std(listening).map_err(failed)?, address))
}

/// Shows the metrics on a listener of their own, until `stop`; where it listens.
async fn show_metrics(
    listen: SocketAddr,
    stores: &Arc<Stores>,
    stop: CancellationToken,
) -> Result<SocketAddr, ServerError> {
    let (listener, address) = bind(listen).await?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "everybody who reaches this address sees the metrics");
    }
    let limits = Limits { connections: METRICS_CONNECTIONS, ..stores.limits.clone() };
    // What is counted is the server's work, not the reading of the counters.
    let connections = Connections::new(stores.metrics.router(), limits, Vec::new(), Metrics::new(), None);
    tokio::spawn(connections.accept(listener, stop));
    Ok(address)
}

async fn open(
    storage: Storage,
    policy: AccountPolicy,
    address: SocketAddr,
    limits: Limits,
    clock: Clock,
) -> Result<Arc<Stores>, ServerError> {
    let lock = if storage.is_local() {
        let data = storage.data.clone();
        let take = move || {
            place::create(&data)?;
            Lock::take(&data)
        };
        Some(tokio::task::spawn_blocking(take).await.map_err(|_| ServerError::Cut)??)
    } else {
        None
    };
    let metadata = open_metadata(&storage).await?;
    let blobs = open_blobs(&storage, &clock, Sharing::Alone { reserve_bytes: limits.reserve_bytes }).await?;
    let access = access(policy, address, metadata.as_ref(), &limits, &storage).await?;
    let stores = Stores::new(metadata, blobs, access, limits, clock, lock);
    let reconciled = upkeep::reconcile_sessions(&stores).await;
    reconciled.map_err(|error| ServerError::storage(&storage, error))?;
    Ok(stores)
}

/// Logins need a name that clients know the server by.
async fn access(
    policy: AccountPolicy,
    address: SocketAddr,
    metadata: &dyn MetadataStore,
    limits: &Limits,
    storage: &Storage,
) -> Result<Access, ServerError> {
    let own = address.ip().is_loopback().then(|| address.to_string());
    let Some(name) = policy.name.clone().or(own) else {
        tracing::info!("nobody can log in with an account's key, as the server has no name (--name)");
        return Ok(Access::new(policy, None, limits));
    };
    let mut fresh = [0; 32];
    getrandom::fill(&mut fresh).map_err(|_| ServerError::Random)?;
    let key = metadata.login_key(fresh).await.map_err(|source| ServerError::database(storage, source))?;
    Ok(Access::new(policy, Some(LoginDesk::new(name, key)), limits))
}

/// A server that serves. Dropped, it stops by itself; [`RunningServer::shutdown`] says when it has.
pub struct RunningServer {
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    tls: Option<Arc<Tls>>,
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

    /// Where the metrics are shown.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Reads the certificate and its key again, for the connections to come; whether there was one to read.
    ///
    /// # Errors
    /// The files are not good; the ones read before stay in use.
    pub fn reload_certificate(&self) -> Result<bool, ServerError> {
        self.tls.as_ref().map(|tls| tls.reload()).transpose().map(|read| read.is_some()).map_err(ServerError::Tls)
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
