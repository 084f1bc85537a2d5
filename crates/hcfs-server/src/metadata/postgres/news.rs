//! Which folders changed, told from server to server.
//!
//! A connection of its own listens, and tells what this server changed. It tells after the commit and not within it:
//! PostgreSQL lets transactions that notify commit one after the other only, and a server with many uploads tells of
//! many folders at once this way. What is not told (the server died, the connection broke) is found by those who wait
//! when they look by themselves: every bell is rung from time to time, and after each new connection.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hcfs_model::{AccountAddress, FolderHash};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Socket};
use tokio_util::task::AbortOnDropHandle;

use crate::metadata::{Bells, FolderKey};

/// How long to wait before a new connection.
const PAUSE: Duration = Duration::from_secs(1);
/// How often every bell is rung.
const LOOK: Duration = Duration::from_secs(15);
/// Folders that may wait to be told of; those who wait for further ones look by themselves.
const FOLDERS: usize = 10_000;

/// Tells other servers, and hears from them.
pub(super) struct News {
    changed: Arc<Changed>,
    _task: AbortOnDropHandle<()>,
}

/// The folders that are to be told of.
#[derive(Default)]
struct Changed {
    folders: Mutex<HashSet<FolderKey>>,
    some: Notify,
}

impl Changed {
    fn take(&self) -> HashSet<FolderKey> {
        std::mem::take(&mut *self.folders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl News {
    /// Connects, and connects again whenever the connection breaks, until it is dropped.
    pub(super) fn start<T>(mut config: Config, tls: T, bells: Bells) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        config.keepalives_idle(LOOK).keepalives_interval(PAUSE).keepalives_retries(5);
        let changed = Arc::new(Changed::default());
        let work = {
            let changed = Arc::clone(&changed);
            async move {
                loop {
                    if let Err(error) = converse(&config, tls.clone(), &bells, &changed).await {
                        tracing::warn!(%error, "the connection that changes of other servers are heard on broke");
                    }
                    tokio::time::sleep(PAUSE).await;
                    bells.ring_all();
                }
            }
        };
        Self { changed, _task: AbortOnDropHandle::new(tokio::spawn(work)) }
    }

    /// Tells the other servers that a folder may have changed.
    pub(super) fn tell(&self, folder: &FolderKey) {
        let mut folders = self.changed.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.len() < FOLDERS {
            folders.insert(folder.clone());
            self.changed.some.notify_one();
        }
    }
}

/// Hears and tells until the connection breaks.
async fn converse<T>(config: &Config, tls: T, bells: &Bells, changed: &Changed) -> Result<(), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send,
{
    let (client, mut connection) = config.connect(tls).await?;
    let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
    let hear = async {
        while let Some(message) = messages.next().await {
            if let AsyncMessage::Notification(told) = message?
                && let Some(folder) = folder(told.payload())
            {
                bells.ring(&folder);
            }
        }
        Ok(())
    };
    tokio::select! {
        ended = hear => ended,
        failed = tell(&client, bells, changed) => failed,
    }
}

async fn tell(client: &Client, bells: &Bells, changed: &Changed) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("LISTEN hcfs_changes").await?;
    let tell =
        client.prepare("SELECT pg_notify('hcfs_changes', folder) FROM unnest($1::text[]) AS told (folder)").await?;
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = changed.some.notified() => {
                let folders: Vec<String> = changed.take().iter().map(text).collect();
                client.execute(&tell, &[&folders]).await?;
            }
            // The first tick is now: what changed before this connection heard of it.
            _ = look.tick() => bells.ring_all(),
        }
    }
}

fn text(folder: &FolderKey) -> String {
    format!("{}/{}", folder.account, folder.folder.to_hex())
}

fn folder(text: &str) -> Option<FolderKey> {
    let (account, folder) = text.split_once('/')?;
    Some(FolderKey { account: AccountAddress::parse(account).ok()?, folder: FolderHash::from_hex(folder).ok()? })
}
