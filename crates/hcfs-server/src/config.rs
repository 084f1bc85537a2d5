//! What a server is started with: where its files lie, where it listens, and its limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hcfs_model::UnixNanos;

use crate::ServerError;
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
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// The directory of what lies on this machine: the database, the blobs, or both; created when it is missing.
    pub data: PathBuf,
    /// The database server; without one, a SQLite file in the directory.
    pub database: Option<tokio_postgres::Config>,
    /// The bucket of the blobs; without one, files in the directory.
    pub bucket: Option<Bucket>,
}

impl Storage {
    /// A database and blobs in one directory of this machine.
    #[must_use]
    pub fn local(data: PathBuf) -> Self {
        Self { data, database: None, bucket: None }
    }

    /// The same, but with the database at a `postgres://` URL.
    ///
    /// # Errors
    /// The URL is not one of a PostgreSQL database, or holds a password: that is taken from `PGPASSWORD`, for arguments can
    /// be seen by everybody on the machine.
    pub fn with_database(mut self, url: &str) -> Result<Self, ServerError> {
        let bad = |reason: String| ServerError::Url { what: "database", reason };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(bad("it does not start with postgres://".to_owned()));
        }
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|error: tokio_postgres::Error| bad(error.to_string()))?;
        if config.get_password().is_some() {
            return Err(bad("it holds a password; set PGPASSWORD instead".to_owned()));
        }
        if let Some(password) = std::env::var_os("PGPASSWORD") {
            config.password(password.as_encoded_bytes());
        }
        self.database = Some(config);
        Ok(self)
    }

    /// The same, but with the blobs at `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`. Credentials come from the `AWS_*`
    /// variables, or from the machine's role.
    ///
    /// # Errors
    /// The URL is not one of a bucket.
    pub fn with_blobs(mut self, url: &str) -> Result<Self, ServerError> {
        let bad = |reason: &str| ServerError::Url { what: "blobs", reason: reason.to_owned() };
        let url = url::Url::parse(url).map_err(|error| bad(&error.to_string()))?;
        if url.scheme() != "s3" || !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it is not s3://BUCKET/PREFIX"));
        }
        let bucket = url.host_str().ok_or_else(|| bad("it names no bucket"))?.to_owned();
        let mut found = Bucket { bucket, ..Bucket::default() };
        found.prefix = url.path().trim_matches('/').to_owned();
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "endpoint" => found.endpoint = Some(value.into_owned()),
                "region" => found.region = Some(value.into_owned()),
                _ => return Err(bad("it has a parameter other than endpoint and region")),
            }
        }
        self.bucket = Some(found);
        Ok(self)
    }

    /// Whether something lies in the directory, so that one server at a time may have it.
    pub(crate) fn is_local(&self) -> bool {
        self.database.is_none() || self.bucket.is_none()
    }
}

/// A bucket of an S3 store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Its name.
    pub bucket: String,
    /// What the names of all objects start with; may be empty.
    pub prefix: String,
    /// The URL of the store; without one, that of AWS.
    pub endpoint: Option<String>,
    /// The region; without one, what `AWS_REGION` says.
    pub region: Option<String>,
    /// The id of a key and its secret; without them, what the environment gives.
    pub credentials: Option<(String, Secret)>,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
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
