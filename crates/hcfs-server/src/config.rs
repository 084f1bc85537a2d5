//! What a server is started with: where its files lie, where it listens, and its limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hcfs_model::UnixNanos;

use crate::access::AccountPolicy;
use crate::peer::Network;
use crate::rate::Rate;
use crate::tls::TlsFiles;

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where it keeps what it stores.
    pub storage: Storage,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate to speak TLS with; without one, a proxy in front does, or the server is for this machine alone.
    pub tls: Option<TlsFiles>,
    /// Proxies whose `X-Forwarded-For` says where a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// Where the metrics are shown, without asking for a token; not at all when absent.
    pub metrics: Option<SocketAddr>,
    /// How accounts get in, and what they may have.
    pub accounts: AccountPolicy,
    /// Bounds on what clients may ask for.
    pub limits: Limits,
    /// The clock of timestamps and expiry.
    pub clock: Clock,
}

impl ServerConfig {
    /// The usual limits and the system's clock.
    #[must_use]
    pub fn new(data: PathBuf, listen: SocketAddr) -> Self {
        Self {
            storage: Storage::local(data),
            listen,
            tls: None,
            trusted_proxies: Vec::new(),
            metrics: None,
            accounts: AccountPolicy::default(),
            limits: Limits::default(),
            clock: Clock::system(),
        }
    }
}

/// Where a server keeps what it stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The directory of the database and the blobs; created when it is missing.
    pub data: PathBuf,
}

impl Storage {
    /// A database and blobs in one directory of this machine.
    #[must_use]
    pub fn local(data: PathBuf) -> Self {
        Self { data }
    }
}

/// Bounds on what clients may ask for; each keeps one client from taking the whole machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Open connections of one address, or of one IPv6 network of 64 bits; further ones are closed. This machine and the
    /// trusted proxies are not counted.
    pub connections_per_address: usize,
    /// How long a connection may have no request.
    pub idle_timeout: Duration,
    /// Requests of one address, counted as its connections are.
    pub address_rate: Rate,
    /// Requests of one account.
    pub account_rate: Rate,
    /// Wrong tokens and failed logins of one address or account.
    pub failure_rate: Rate,
    /// Requests that move a blob at the same time; each holds 0.5 MiB, and never more than 3 MiB. As many again may
    /// wait.
    pub transfers: usize,
    /// Bytes of a file that one request may bring; larger ones come through a session.
    pub upload_bytes: u64,
    /// How long a client may take to send a request's headers.
    pub header_timeout: Duration,
    /// How long a client may take to send the next 16 KiB of a body, or to take the next bytes of an answer.
    pub stall_timeout: Duration,
    /// How long a shutdown waits for requests in flight.
    pub shutdown_timeout: Duration,
    /// Unfinished upload sessions of one account.
    pub sessions: u64,
    /// Ciphertext bytes that the unfinished sessions of one account may come to.
    pub session_bytes: u64,
    /// How long a session lives after it was made.
    pub session_lifetime: Duration,
    /// How long a blob that no file points to any more is kept: a database restored from a backup that is not older finds
    /// every blob.
    pub blob_grace: Duration,
    /// Bytes of the disk that uploads leave free, so that the database can always be written.
    pub reserve_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 256,
            idle_timeout: Duration::from_mins(3),
            address_rate: Rate::per_second(1_000),
            account_rate: Rate::per_second(1_000),
            failure_rate: Rate { every: Duration::from_secs(6), burst: 20 },
            transfers: 128,
            upload_bytes: 1 << 30,
            header_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(10),
            sessions: 64,
            session_bytes: 1 << 40,
            session_lifetime: Duration::from_hours(24),
            blob_grace: Duration::from_hours(1),
            reserve_bytes: 64 << 20,
        }
    }
}

/// Where the server takes the time from; a test brings its own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixNanos + Send + Sync>);

impl Clock {
    /// A clock that reads `now`.
    #[must_use]
    pub fn new(now: impl Fn() -> UnixNanos + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The operating system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            UnixNanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
        })
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> UnixNanos {
        (self.0)()
    }

    /// Whole seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        self.now().seconds()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
