//! The ledger on a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hcfs_state::StateError;
use hcfs_state::sources::Ledger;
use tokio::sync::{Notify, mpsc, oneshot};

use super::reason::Reason;

type Job = Box<dyn FnOnce(&mut Ledger) + Send>;

/// How many calls wait at once.
const WAITING: usize = 64;
/// How long closing may take.
const CLOSE: Duration = Duration::from_secs(5);

/// The ledger, for all sources. It is closed when the last of them lets go.
#[derive(Clone)]
pub(crate) struct Books {
    jobs: mpsc::Sender<Job>,
    closed: Arc<Notify>,
}

impl Books {
    /// Opens the ledger.
    ///
    /// # Errors
    /// It cannot be used.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, Reason> {
        let (jobs, mut taken) = mpsc::channel::<Job>(WAITING);
        let (told, opened) = oneshot::channel();
        let closed = Arc::new(Notify::new());
        let closes = Arc::clone(&closed);
        let thread = std::thread::Builder::new().name("sources".into()).spawn(move || match Ledger::open(&path) {
            Ok(opened) => {
                if opened.rebuilt.is_some() {
                    tracing::warn!("the ledger of the sources was damaged; it was moved aside and begins anew");
                }
                let mut ledger = opened.ledger;
                // Nobody waits any more: then the ledger is closed at once.
                let _ = told.send(Ok(()));
                while let Some(job) = taken.blocking_recv() {
                    job(&mut ledger);
                }
                drop(ledger);
                closes.notify_one();
            }
            Err(error) => {
                let _ = told.send(Err(error));
            }
        });
        thread
            .map_err(|source| Reason::of_state(&StateError::File { path: PathBuf::from("sources.sqlite"), source }))?;
        match opened.await {
            Ok(Ok(())) => Ok(Self { jobs, closed }),
            Ok(Err(error)) => Err(Reason::of_state(&error)),
            Err(_) => Err(Reason::stopped()),
        }
    }

    /// Does one thing with the ledger.
    ///
    /// # Errors
    /// The ledger's.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Ledger) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, Reason> {
        let (told, done) = oneshot::channel();
        let job: Job = Box::new(move |ledger| {
            // Nobody waits for it any more: it is done all the same.
            let _ = told.send(job(ledger));
        });
        self.jobs.send(job).await.map_err(|_| Reason::stopped())?;
        done.await.map_err(|_| Reason::stopped())?.map_err(|error| Reason::of_state(&error))
    }

    /// Lets go of the ledger, and waits until it is closed. Everybody else must have let go, or do so soon.
    pub(crate) async fn close(self) {
        let Self { jobs, closed } = self;
        drop(jobs);
        if tokio::time::timeout(CLOSE, closed.notified()).await.is_err() {
            tracing::warn!("the ledger of the sources is still in use");
        }
    }
}
