//! The sources of this machine: files brought from other services into folders.
//!
//! A [`Runner`](runner) keeps each source going: it decides when a [round](round) runs, and ends it when its folder is
//! paused. A round asks the service for its items and fetches what is new, each into a part in the folder's own
//! `.hcfs/`; [`place`] gives a part its name by the folder's guarded steps. What was brought, and where a fetch stopped,
//! is in the [ledger](books).
//!
//! Invariants:
//! - Nothing of a person's is overwritten: a file that was edited here is left alone, and the service's new version is
//!   put beside it. What was deleted here stays deleted until somebody asks for it.
//! - A file under a name is whole, and the ledger knows it, whenever the process ends.
//! - A credential is read when it is needed, goes to its service alone, and is in no log, error or answer.
//!
//! Deliberately absent: the services themselves (`hcfs-sources`), and any sync decision.

mod board;
mod books;
mod fetch;
mod one;
mod place;
mod reason;
mod round;
mod runner;
mod schedule;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hcfs_api as api;
use hcfs_api::{ApiError, ErrorCode};
use hcfs_engine::{Clock, FolderHandle};
use hcfs_model::FolderLabel;
use hcfs_sources::{Client, ClientConfig, RateLimit};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::one::{OneFile, fetch_one};
pub(crate) use self::round::Again;

use self::board::Board;
use self::books::Books;
use self::reason::Reason;
use self::runner::{Order, Runner};
use crate::config::{Config, Environment, SourceConfig};
use crate::supervise::Changes;

/// Files that are fetched at once, over all sources.
const SLOTS: usize = 8;
/// How long a source may take to end.
const STOP: Duration = Duration::from_secs(20);

/// Finds the running folder of a label.
pub(crate) type FindFolder = Arc<dyn Fn(&FolderLabel) -> Option<FolderHandle> + Send + Sync>;

/// What every source works with.
pub(crate) struct Tools {
    pub(crate) env: Environment,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) changes: Changes,
    pub(crate) client: Client,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) find: FindFolder,
}

/// A source that is kept going.
struct Kept {
    config: SourceConfig,
    board: Arc<Mutex<Board>>,
    orders: mpsc::Sender<Order>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// All of them.
pub(crate) struct Sources {
    tools: Option<Arc<Tools>>,
    ledger: PathBuf,
    /// The ledger, once a source needed it; or why it cannot be had.
    books: tokio::sync::Mutex<Option<Books>>,
    kept: Mutex<BTreeMap<String, Arc<Kept>>>,
    /// Why no source can run.
    trouble: Mutex<Option<api::SourceTrouble>>,
}

impl Sources {
    pub(crate) fn new(
        state: &Path,
        env: Environment,
        clock: Arc<dyn Clock>,
        changes: Changes,
        download: RateLimit,
        find: FindFolder,
    ) -> Self {
        let client = Client::new(ClientConfig { download, ..ClientConfig::default() });
        let trouble = client.as_ref().err().map(|error| api::SourceTrouble {
            code: "setup".into(),
            message: error.to_string(),
            hint: error.hint().unwrap_or_default().to_owned(),
        });
        let slots = Arc::new(Semaphore::new(SLOTS));
        let tools = client.ok().map(|client| Arc::new(Tools { env, clock, changes, client, slots, find }));
        Self {
            tools,
            ledger: state.join("sources.sqlite"),
            books: tokio::sync::Mutex::default(),
            kept: Mutex::default(),
            trouble: Mutex::new(trouble),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger; opened by whoever needs it first.
    async fn books(&self) -> Result<Books, Reason> {
        let mut books = self.books.lock().await;
        if let Some(books) = &*books {
            return Ok(books.clone());
        }
        let opened = Books::open(self.ledger.clone()).await?;
        Ok(books.insert(opened).clone())
    }

    /// Brings what runs to what the configuration says. A source whose settings changed starts anew.
    pub(crate) async fn reconcile(&self, config: &Config) {
        let ending: BTreeMap<String, Arc<Kept>> = {
            let mut kept = self.kept();
            let stays = |name: &String, kept: &Kept| config.sources.get(name) == Some(&kept.config);
            let (staying, ending) = std::mem::take(&mut *kept).into_iter().partition(|(name, kept)| stays(name, kept));
            *kept = staying;
            ending
        };
        end_all(ending.values().cloned()).await;
        if config.sources.is_empty() {
            return;
        }
        let Some(tools) = &self.tools else { return };
        let books = match self.books().await {
            Ok(books) => books,
            Err(reason) => {
                tracing::error!(code = reason.code(), "the sources cannot run: their ledger cannot be opened");
                *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.trouble());
                return;
            }
        };
        for (name, source) in &config.sources {
            if self.kept().contains_key(name) {
                continue;
            }
            let kept = Arc::new(keep(name, source, tools, &books, ending.contains_key(name)));
            self.kept().insert(name.clone(), kept);
        }
    }

    /// Ends every source. Fetches stop where they are and are taken up by the next start.
    pub(crate) async fn stop(&self) {
        let kept = std::mem::take(&mut *self.kept());
        end_all(kept.into_values()).await;
        if let Some(books) = self.books.lock().await.take() {
            books.close().await;
        }
    }

    /// Every configured source, in the order of names.
    pub(crate) fn list(&self, config: &Config) -> Vec<api::Source> {
        config.sources.iter().map(|(name, source)| self.show(name, source)).collect()
    }

    /// A configured source.
    pub(crate) fn show(&self, name: &str, source: &SourceConfig) -> api::Source {
        let board = self.kept().get(name).map(|kept| kept.board.clone());
        match board {
            Some(board) => lock(&board).show(name, source),
            None => {
                let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let state = if trouble.is_some() { api::SourceState::Failed } else { api::SourceState::Waiting };
                let board = Board { state, trouble, ..Board::default() };
                board.show(name, source)
            }
        }
    }

    /// Runs a source now, and waits for the end of the run.
    ///
    /// # Errors
    /// It does not run, or its folder is not ready.
    pub(crate) async fn run(&self, name: &str, again: Again) -> Result<(), ApiError> {
        let (done, ended) = oneshot::channel();
        self.order(name, Order::Run { again, done }).await?;
        ended.await.map_err(|_| {
            let message = format!("the run of \"{name}\" was broken off: its folder is not ready");
            ApiError::new(ErrorCode::Stopped, message, "see `hcfs status`; it goes on when the folder does")
        })
    }

    /// Ends a run, and at the service what it began there.
    ///
    /// # Errors
    /// The source does not run.
    pub(crate) async fn cancel(&self, name: &str) -> Result<(), ApiError> {
        let (done, ended) = oneshot::channel();
        self.order(name, Order::Cancel { done }).await?;
        // Whoever ends it without an answer has ended it all the same.
        let _ = ended.await;
        Ok(())
    }

    async fn order(&self, name: &str, order: Order) -> Result<(), ApiError> {
        let orders = self.kept().get(name).map(|kept| kept.orders.clone());
        let refused = || {
            let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match trouble {
                Some(trouble) => ApiError::new(ErrorCode::Io, trouble.message, trouble.hint),
                None => ApiError::new(
                    ErrorCode::Stopped,
                    format!("the source \"{name}\" is not running"),
                    "unlock the keys, or start the daemon",
                ),
            }
        };
        let orders = orders.ok_or_else(refused)?;
        orders.send(order).await.map_err(|_| refused())
    }

    /// Checks address, credential and reachability of a source; says what was found.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) async fn test(&self, source: &SourceConfig) -> Result<Vec<String>, ApiError> {
        let Some(tools) = &self.tools else {
            return Err(ApiError::new(ErrorCode::Internal, "no client can be made", "see the daemon's log"));
        };
        let opened = service::open(&source.service, &tools.env, tools.client.clone()).await?;
        opened.test().await.map_err(|error| Reason::from(error).to_api())
    }

    /// What keeps items of a source from being brought.
    pub(crate) async fn problems(&self, name: &str) -> Result<Vec<api::SourceProblem>, ApiError> {
        let of = name.to_owned();
        let problems = self.books().await?.ask(move |ledger| ledger.problems(&of)).await?;
        Ok(problems.iter().map(|(item, problem)| board::problem(item, problem)).collect())
    }

    /// What a source brought.
    pub(crate) async fn files(&self, name: &str) -> Result<Vec<api::SourceFile>, ApiError> {
        let of = name.to_owned();
        let files = self.books().await?.ask(move |ledger| ledger.items(&of)).await?;
        Ok(files.iter().map(|(item, brought)| board::file(item, brought)).collect())
    }

    /// Forgets a source that is no longer configured.
    pub(crate) async fn forget(&self, name: &str) -> Result<(), ApiError> {
        let of = name.to_owned();
        Ok(self.books().await?.ask(move |ledger| ledger.forget(&of)).await?)
    }
}

fn keep(name: &str, config: &SourceConfig, tools: &Arc<Tools>, books: &Books, at_once: bool) -> Kept {
    let board = Arc::new(Mutex::new(Board::default()));
    let (orders, taken) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let runner = Runner {
        name: name.to_owned(),
        config: config.clone(),
        tools: tools.clone(),
        books: books.clone(),
        board: board.clone(),
        orders: taken,
        stop: stop.clone(),
        at_once,
    };
    let task = Mutex::new(Some(tokio::spawn(runner.run())));
    Kept { config: config.clone(), board, orders, stop, task }
}

async fn end_all(kept: impl IntoIterator<Item = Arc<Kept>>) {
    let ends = kept.into_iter().map(|kept| async move {
        kept.stop.cancel();
        let task = kept.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && tokio::time::timeout(STOP, task).await.is_err()
        {
            tracing::error!("a source did not end in time");
        }
    });
    futures_util::future::join_all(ends).await;
}

/// A lock whose holder panicked still guards usable notes.
fn lock(board: &Mutex<Board>) -> std::sync::MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}
