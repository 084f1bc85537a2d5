//! The metadata store in PostgreSQL: one database, for any number of servers.
//!
//! A change is a transaction that locks the row of its folder before it reads anything else: within a folder changes have
//! one order, whichever server they came to, and a compare-and-swap compares with what is. Between folders nobody waits
//! for anybody: files never lock their account. A transaction that loses a deadlock is run again a few times. One whose
//! connection breaks during the commit is not: what became of it is not known, and the client asks.
//!
//! Connections are pooled and bounded; a request waits for one a bounded time, and no statement runs without end.

mod account;
mod feed;
mod file;
mod folder;
mod login;
mod migrate;
mod name;
mod news;
mod object;
mod publication;
mod rename;
mod session;
mod token;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Bells, FolderKey, MetadataError, MetadataStore, Outcome};
use crate::trust;

use news::News;

/// Connections of one server.
const CONNECTIONS: usize = 16;
/// Connections of them that may look at many rows: a search holds up only its like.
const SURVEYS: usize = 4;
/// How long a request waits for a connection, and how long making one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a transaction that lost a deadlock is run again.
const ATTEMPTS: u32 = 5;
/// What every connection is set to: nothing waits for ever.
const SETTINGS: &str = "-c statement_timeout=60s -c lock_timeout=20s -c idle_in_transaction_session_timeout=60s";

/// The store: a pool of connections, and one that hears from the other servers.
pub(crate) struct Postgres {
    pool: Pool,
    surveys: Semaphore,
    bells: Bells,
    news: News,
}

impl Postgres {
    /// Connects and brings the schema up to date.
    pub(crate) async fn open(config: &Config) -> Outcome<Self> {
        let mut config = config.clone();
        let options = config.get_options().map_or_else(|| SETTINGS.to_owned(), |own| format!("{SETTINGS} {own}"));
        config.options(options).application_name("hcfs").connect_timeout(PATIENCE);
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let is_local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let bells = Bells::default();
        let (manager, news) = if is_local || config.get_ssl_mode() == SslMode::Disable {
            let manager = Manager::from_config(config.clone(), NoTls, manager_config);
            (manager, News::start(config, NoTls, bells.clone()))
        } else {
            let tls = tls()?;
            let manager = Manager::from_config(config.clone(), tls.clone(), manager_config);
            (manager, News::start(config, tls, bells.clone()))
        };
        let timeouts = Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) };
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .timeouts(timeouts)
            .build()
            .map_err(|error| MetadataError::Connection(Arc::new(error)))?;
        let store = Self { pool, surveys: Semaphore::new(SURVEYS), bells, news };
        migrate::migrate(&mut store.client().await?).await?;
        Ok(store)
    }

    /// Wakes who waits for a folder, here and at other servers.
    fn ring(&self, folder: &FolderKey) {
        self.bells.ring(folder);
        self.news.tell(folder);
    }

    /// Wakes who waits for a folder, if it was changed; or if that is not known.
    fn rung<T>(&self, folder: &FolderKey, done: Outcome<T>) -> Outcome<T> {
        self.ring(folder);
        done
    }

    /// A connection for work that looks at many rows, and the right to use it.
    async fn surveyor(&self) -> Outcome<(Object, SemaphorePermit<'_>)> {
        let place = self.surveys.acquire().await.map_err(|_| MetadataError::Closed)?;
        Ok((self.client().await?, place))
    }

    /// A connection of the pool.
    async fn client(&self) -> Outcome<Object> {
        self.pool.get().await.map_err(|error| MetadataError::Connection(Arc::new(error)))
    }

    /// The row a query gives, if any.
    async fn row(&self, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> Outcome<Option<Row>> {
        let client = self.client().await?;
        Ok(client.query_opt(&client.prepare_cached(query).await?, parameters).await?)
    }

    /// The rows a query gives.
    async fn rows(&self, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> Outcome<Vec<Row>> {
        let client = self.client().await?;
        Ok(client.query(&client.prepare_cached(query).await?, parameters).await?)
    }

    /// Carries out one statement; how many rows it changed. Run again when it loses a deadlock.
    async fn execute(&self, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> Outcome<u64> {
        let client = self.client().await?;
        let statement = client.prepare_cached(query).await?;
        let mut attempt = 1;
        loop {
            match client.execute(&statement, parameters).await {
                Err(error) if lost(&error) && attempt < ATTEMPTS => attempt += 1,
                done => return Ok(done?),
            }
        }
    }
}

/// Runs a transaction: `work` gives an [`Outcome`], and is run again when it loses a deadlock. The transaction is rolled
/// back when it fails.
macro_rules! transaction {
    ($store:expr, |$tx:ident| $work:expr) => {{
        let mut attempt = 1;
        loop {
            let mut client = $store.client().await?;
            let $tx = client.transaction().await?;
            let done = $work.await;
            match done {
                Ok(value) => {
                    $tx.commit().await?;
                    break Ok(value);
                }
                Err($crate::metadata::MetadataError::Postgres(error))
                    if $crate::metadata::postgres::lost(&error) && attempt < $crate::metadata::postgres::ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(error) => break Err(error),
            }
        }
    }};
}
use transaction;

/// Whether a statement was rolled back only because another transaction was in its way.
fn lost(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE))
}

fn tls() -> Outcome<MakeRustlsConnect> {
    let config = trust::client_config().map_err(|error| MetadataError::Connection(Arc::new(error)))?;
    Ok(MakeRustlsConnect::new(config))
}

#[async_trait]
impl MetadataStore for Postgres {
    async fn ping(&self) -> Outcome<()> {
        // A standby answers questions, but takes no change.
        let row = self.row("SELECT pg_is_in_recovery()", &[]).await?;
        if row.is_some_and(|row| row.get(0)) { Err(MetadataError::ReadOnly) } else { Ok(()) }
    }
}

impl From<tokio_postgres::Error> for MetadataError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(Arc::new(error))
    }
}

/// A count or size from a column.
fn unsigned(row: &Row, column: usize) -> Outcome<u64> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|_| MetadataError::Impossible("a negative number"))
}

/// A count or size as PostgreSQL holds it.
fn signed(value: u64) -> Outcome<i64> {
    i64::try_from(value).map_err(|_| MetadataError::Impossible("a number above 2^63"))
}

/// A text as PostgreSQL holds it, which is without zero bytes. Paths and names have none.
fn text(value: &str) -> Cow<'_, str> {
    if value.contains('\0') { Cow::Owned(value.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(value) }
}

/// Bytes of a fixed number from a column.
fn bytes<const N: usize>(row: &Row, column: usize) -> Outcome<[u8; N]> {
    let value: &[u8] = row.try_get(column)?;
    value.try_into().map_err(|_| MetadataError::Impossible("a value of another length"))
}
