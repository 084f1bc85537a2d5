//! The folders of this machine: opened with the keys, kept running, closed.
//!
//! Invariants: one change at a time (unlock, lock, reload, add, remove); while the keys are closed no folder runs; a
//! configuration that cannot be read leaves the one in force as it is.
//!
//! Deliberately absent: any decision about files. That is the engine's.

mod backend;
mod configured;
mod keeper;
mod login;
mod over_http;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use hcfs_api as api;
use hcfs_api::{ApiError, ErrorCode, Paths};
use hcfs_crypto::phrase::MasterPhrase;
use hcfs_engine::{Clock, FolderHandle, FolderSpec, Owner};
use hcfs_model::{FolderHash, FolderLabel};
use hcfs_remote::RateLimit;
use tokio::sync::watch;
use zeroize::Zeroizing;

pub use backend::{BoxError, Connect, EmbeddedServer, ServerAt};
pub(crate) use keeper::{Changes, Keeper};
pub(crate) use login::kept_token;
pub(crate) use over_http::OverHttp;

use self::keeper::{NotStarted, Start};
use self::login::Login;
use crate::config::{Config, Environment, FolderConfig};
use crate::error::DaemonError;
use crate::identity;
use crate::place::private_dir;
use crate::sources::{FindFolder, Sources};
use crate::stream::Stream;
use crate::view;

/// How long a server may take to say what it can do.
const HEALTH: Duration = Duration::from_secs(15);
/// How long after a failure it is asked again.
const HEALTH_AGAIN: Duration = Duration::from_secs(60);

/// What the supervisor is made of.
pub(crate) struct Parts {
    pub(crate) paths: Paths,
    pub(crate) env: Environment,
    pub(crate) version: String,
    pub(crate) embedded: Option<Arc<dyn EmbeddedServer>>,
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Bytes a second from servers and services together.
    pub(crate) download: RateLimit,
}

/// While the keys are open.
struct Open {
    phrase: Arc<MasterPhrase>,
    server: ServerAt,
}

/// What the server said of itself.
#[derive(Debug, Clone, Default)]
struct Said {
    version: Option<String>,
    capabilities: Vec<String>,
}

/// The state that is shown.
struct Shown {
    config: Arc<Config>,
    open: Option<Arc<Open>>,
    folders: BTreeMap<FolderLabel, Arc<Keeper>>,
    said: Said,
    /// Why the keys are closed, where they should be open.
    locked: Option<api::Trouble>,
}

/// Everything the daemon does with its folders.
pub(crate) struct Supervisor {
    parts: Parts,
    started: Instant,
    started_at: api::UnixMillis,
    shown: RwLock<Shown>,
    /// Held by whoever changes which folders run.
    changing: tokio::sync::Mutex<Changing>,
    pub(crate) stream: Arc<Stream>,
    changes: Changes,
    pub(crate) sources: Sources,
}

/// What only those who hold the lock look at.
#[derive(Default)]
struct Changing {
    /// Whether the embedded server runs, and what it gave.
    embedded: Option<ServerAt>,
    ended: bool,
}

impl Supervisor {
    pub(crate) fn new(parts: Parts, config: Config) -> Arc<Self> {
        let now = parts.clock.now();
        let changes = Changes::new();
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            sources: Sources::new(
                &parts.paths.state,
                parts.env.clone(),
                parts.clock.clone(),
                changes.clone(),
                parts.download.clone(),
                finder(this.clone()),
            ),
            started: Instant::now(),
            started_at: view::millis(now),
            stream: Arc::new(Stream::new(now.seconds())),
            changes,
            changing: tokio::sync::Mutex::default(),
            shown: RwLock::new(Shown {
                config: Arc::new(config),
                open: None,
                folders: BTreeMap::new(),
                said: Said::default(),
                locked: None,
            }),
            parts,
        })
    }

    fn shown(&self) -> std::sync::RwLockReadGuard<'_, Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shown) -> T) -> T {
        let changed = change(&mut self.shown.write().unwrap_or_else(PoisonError::into_inner));
        self.changes.tell();
        changed
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.parts.paths
    }

    pub(crate) fn env(&self) -> &Environment {
        &self.parts.env
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        self.shown().config.clone()
    }

    /// Counts up whenever the status changes.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.watch()
    }

    // --- what runs

    /// The keeper of a folder.
    ///
    /// # Errors
    /// No such folder, or the keys are closed.
    pub(crate) fn keeper(&self, label: &FolderLabel) -> Result<Arc<Keeper>, ApiError> {
        let shown = self.shown();
        if !shown.config.folders.contains_key(label) {
            return Err(no_folder(label));
        }
        shown.folders.get(label).cloned().ok_or_else(|| match &shown.locked {
            Some(trouble) => ApiError::new(trouble.code, trouble.message.clone(), trouble.hint.clone()),
            None => locked(),
        })
    }

    /// The running folder; waits for one that is starting.
    pub(crate) async fn running(&self, label: &FolderLabel) -> Result<FolderHandle, ApiError> {
        let keeper = self.keeper(label)?;
        keeper.started().await
    }

    /// As [`Supervisor::running`], but a folder that waits to be started again is started now.
    pub(crate) async fn retried(&self, label: &FolderLabel) -> Result<FolderHandle, ApiError> {
        let keeper = self.keeper(label)?;
        keeper.retried().await
    }

    /// Whether every folder that is up answers.
    pub(crate) async fn is_alive(&self, within: Duration) -> bool {
        let keepers: Vec<_> = self.shown().folders.values().cloned().collect();
        let answers = futures_util::future::join_all(keepers.iter().map(|keeper| keeper.is_alive(within)));
        answers.await.into_iter().all(|alive| alive)
    }

    /// Waits until every folder has opened its database or failed to, or until the time is over.
    pub(crate) async fn opened_folders(&self, within: Duration) {
        let keepers: Vec<_> = self.shown().folders.values().cloned().collect();
        let opened = keepers.iter().map(|keeper| keeper.started());
        // How each came out is in its status.
        let _ = tokio::time::timeout(within, futures_util::future::join_all(opened)).await;
    }

    // --- what is changed

    /// Opens the keys with a password and starts every folder. Nothing happens where they are open.
    pub(crate) async fn unlock(self: &Arc<Self>, password: Zeroizing<String>) -> Result<(), DaemonError> {
        let mut changing = self.changing.lock().await;
        if changing.ended {
            return Err(stopping().into());
        }
        if self.shown().open.is_some() {
            // The password is still checked: "done" must not be said to a wrong one.
            self.opened(password).await?;
            return Ok(());
        }
        let phrase = self.opened(password).await?;
        self.open(&mut changing, phrase).await
    }

    async fn opened(&self, password: Zeroizing<String>) -> Result<MasterPhrase, DaemonError> {
        let paths = self.parts.paths.clone();
        let opened = tokio::task::spawn_blocking(move || identity::open_with(&paths, &password)).await;
        Ok(opened.map_err(|_| fault("opening the recovery phrase failed"))??)
    }

    /// Starts every folder with keys that were opened already.
    pub(crate) async fn start(self: &Arc<Self>, phrase: MasterPhrase) -> Result<(), DaemonError> {
        let mut changing = self.changing.lock().await;
        self.open(&mut changing, phrase).await
    }

    /// Says why the keys are closed.
    pub(crate) fn stay_locked(&self, error: &DaemonError) {
        let error = error.to_api();
        self.change(|shown| {
            shown.locked = Some(api::Trouble { code: error.code, message: error.message, hint: error.hint });
        });
    }

    async fn open(self: &Arc<Self>, changing: &mut Changing, phrase: MasterPhrase) -> Result<(), DaemonError> {
        let config = self.config();
        let server = self.server(changing, &config, &phrase).await?;
        let open = Arc::new(Open { phrase: Arc::new(phrase), server });
        self.change(|shown| {
            shown.open = Some(open.clone());
            shown.locked = None;
        });
        self.reconcile(&config, &open, &[]).await;
        self.sources.reconcile(&config).await;
        self.ask_server(&open);
        Ok(())
    }

    async fn server(
        &self,
        changing: &mut Changing,
        config: &Config,
        phrase: &MasterPhrase,
    ) -> Result<ServerAt, DaemonError> {
        self.parts.download.set(config.limits.download);
        let account = config.server.account.clone().unwrap_or_else(|| phrase.account());
        if config.server.url.is_none()
            && let Some(at) = &changing.embedded
        {
            if at.account == account {
                let (upload, download) = (config.limits.upload, config.limits.download);
                return Ok(ServerAt { upload, download, ..at.clone() });
            }
            self.end_embedded(changing).await;
        }
        let embedded = self.parts.embedded.as_deref();
        let login = Login { phrase, connect: self.parts.connect.as_ref(), kept: self.parts.paths.login_token() };
        let data = &self.parts.paths.server_data;
        let found = backend::find(config, account, &self.parts.env, data, embedded, &login).await?;
        if config.server.url.is_none() {
            changing.embedded = Some(found.clone());
        }
        Ok(found)
    }

    async fn end_embedded(&self, changing: &mut Changing) {
        if changing.embedded.take().is_some()
            && let Some(embedded) = &self.parts.embedded
        {
            embedded.shutdown().await;
        }
    }

    /// Closes the keys: every folder ends first.
    pub(crate) async fn lock(&self) {
        let _changing = self.changing.lock().await;
        self.close().await;
    }

    /// Ends every folder and the embedded server, for good.
    pub(crate) async fn end(&self) {
        let mut changing = self.changing.lock().await;
        changing.ended = true;
        self.close().await;
        self.end_embedded(&mut changing).await;
    }

    async fn close(&self) {
        // Before the folders they bring files into.
        self.sources.stop().await;
        let folders = self.change(|shown| {
            shown.open = None;
            shown.said = Said::default();
            std::mem::take(&mut shown.folders)
        });
        stop_all(folders.into_values()).await;
    }

    /// Reads the configuration again and brings the folders to what it says.
    pub(crate) async fn reload(self: &Arc<Self>) -> Result<(), DaemonError> {
        let mut changing = self.changing.lock().await;
        self.reload_locked(&mut changing).await
    }

    async fn reload_locked(self: &Arc<Self>, changing: &mut Changing) -> Result<(), DaemonError> {
        if changing.ended {
            return Err(stopping().into());
        }
        let (paths, env) = (self.parts.paths.clone(), self.parts.env.clone());
        let loaded = tokio::task::spawn_blocking(move || Config::load(&paths, &env)).await;
        let config = Arc::new(loaded.map_err(|_| fault("reading the configuration failed"))??);
        let before = self.config();
        let Some(open) = self.shown().open.clone() else {
            self.change(|shown| shown.config = config);
            return Ok(());
        };
        let same_server = config.server == before.server && config.limits == before.limits;
        let open = if same_server {
            open
        } else {
            let server = self.server(changing, &config, &open.phrase).await?;
            if config.server.url.is_some() {
                self.end_embedded(changing).await;
            }
            Arc::new(Open { phrase: open.phrase.clone(), server })
        };
        let keep_all = same_server && config.device == before.device;
        let restart: Vec<FolderLabel> = config
            .folders
            .iter()
            .filter(|&(label, folder)| !keep_all || before.folders.get(label) != Some(folder))
            .map(|(label, _)| label.clone())
            .collect();
        self.change(|shown| {
            shown.config = config.clone();
            shown.open = Some(open.clone());
        });
        self.reconcile(&config, &open, &restart).await;
        self.sources.reconcile(&config).await;
        if !same_server {
            self.ask_server(&open);
        }
        Ok(())
    }

    /// Ends the folders that are no longer configured or are to be started anew, and starts those that do not run.
    async fn reconcile(self: &Arc<Self>, config: &Config, open: &Arc<Open>, restart: &[FolderLabel]) {
        let ending: Vec<Arc<Keeper>> = self.change(|shown| {
            let ends = |label: &FolderLabel| !config.folders.contains_key(label) || restart.contains(label);
            let labels: Vec<FolderLabel> = shown.folders.keys().filter(|label| ends(label)).cloned().collect();
            labels.iter().filter_map(|label| shown.folders.remove(label)).collect()
        });
        stop_all(ending).await;
        for (label, folder) in &config.folders {
            if self.shown().folders.contains_key(label) {
                continue;
            }
            let start = self.starter(label, folder, config, open);
            let keeper = Keeper::new(label.clone(), folder.clone(), start, self.stream.clone(), self.changes.clone());
            self.change(|shown| shown.folders.insert(label.clone(), Arc::new(keeper)));
        }
    }

    /// What starts a folder, as often as needed.
    fn starter(&self, label: &FolderLabel, folder: &FolderConfig, config: &Config, open: &Arc<Open>) -> Start {
        let directory = self.parts.paths.state.join("folders");
        let spec = FolderSpec {
            label: label.clone(),
            root: folder.path.clone(),
            database: database(&self.parts.paths, label),
            device: config.device.clone(),
            mode: view::mode(folder.mode),
            conflicts: view::resolution(folder.conflicts),
            max_delete: view::max_delete(folder.max_delete),
            ignore: folder.ignore.clone(),
            share_paths: folder.share_paths,
            trash_days: folder.trash_days,
            trash_bytes: folder.trash_size,
            transfers: config.limits.transfers,
            poll_seconds: config.server.poll_seconds,
        };
        let others: Vec<_> =
            config.folders.iter().filter(|&(other, _)| other != label).map(|(_, other)| other.path.clone()).collect();
        let (connect, clock, open) = (self.parts.connect.clone(), self.parts.clock.clone(), open.clone());
        Arc::new(move || {
            let trouble = |error: ApiError| NotStarted {
                state: api::FolderState::Error,
                trouble: api::Trouble { code: error.code, message: error.message, hint: error.hint },
            };
            private_dir(&directory).map_err(|error| trouble(DaemonError::from(error).to_api()))?;
            let remote = connect.connect(&open.server).map_err(|error| trouble(no_client(&error)))?;
            let keys = Arc::new(open.phrase.folder_keys(&spec.label));
            let owner = Owner { account: open.server.account.clone(), keys };
            hcfs_engine::start(spec.clone(), owner, remote, clock.clone(), &others).map_err(|error| {
                let (state, trouble) = view::not_started(&error);
                NotStarted { state, trouble }
            })
        })
    }

    /// Asks the server what it is, in the background, until it answers or is left.
    fn ask_server(self: &Arc<Self>, open: &Arc<Open>) {
        let Ok(remote) = self.parts.connect.connect(&open.server) else { return };
        let (this, open) = (Arc::downgrade(self), Arc::downgrade(open));
        tokio::spawn(async move {
            let health = loop {
                match tokio::time::timeout(HEALTH, remote.health()).await {
                    Ok(Ok(health)) => break health,
                    _ => tokio::time::sleep(HEALTH_AGAIN).await,
                }
                if open.strong_count() == 0 {
                    return;
                }
            };
            let (Some(this), Some(open)) = (this.upgrade(), open.upgrade()) else { return };
            this.change(|shown| {
                // An answer of a server that was left meanwhile is nobody's.
                if shown.open.as_ref().is_some_and(|now| Arc::ptr_eq(now, &open)) {
                    shown.said = Said { version: Some(health.version), capabilities: health.capabilities };
                }
            });
        });
    }
}

/// What finds running folders for the sources, for as long as the supervisor lives.
fn finder(supervisor: Weak<Supervisor>) -> FindFolder {
    Arc::new(move |label| supervisor.upgrade()?.keeper(label).ok()?.handle().ok())
}

async fn stop_all(keepers: impl IntoIterator<Item = Arc<Keeper>>) {
    let ends = keepers.into_iter().map(|keeper| async move { keeper.stop().await });
    futures_util::future::join_all(ends).await;
}

/// Where a folder's database lies.
pub(crate) fn database(paths: &Paths, label: &FolderLabel) -> PathBuf {
    paths.state.join("folders").join(database_name(FolderHash::of_label(label)))
}

fn database_name(folder: FolderHash) -> String {
    format!("{folder}.db")
}

fn no_folder(label: &FolderLabel) -> ApiError {
    ApiError::new(ErrorCode::NoFolder, format!("there is no folder \"{label}\""), "see `hcfs folder list`")
}

fn locked() -> ApiError {
    ApiError::new(ErrorCode::Locked, "the keys are closed", "run `hcfs unlock` and type the password")
}

fn stopping() -> ApiError {
    ApiError::new(ErrorCode::Stopped, "the daemon is stopping", "try again when it has started")
}

fn fault(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Internal, message, "the daemon's log says more")
}

fn no_client(error: &BoxError) -> ApiError {
    let hint = "check `url` and `token` in [server]";
    ApiError::new(ErrorCode::Config, format!("the server cannot be spoken to: {error}"), hint)
}
