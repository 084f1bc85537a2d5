//! One running daemon, from its lock to its last file.

use std::sync::Arc;
use std::time::Duration;

use hcfs_api::{ApiError, ErrorCode, Paths, Status};
use hcfs_crypto::phrase::MasterPhrase;
use hcfs_engine::{Clock, SystemClock};
use hcfs_remote::RateLimit;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ask::Ask;
use crate::config::{Config, Environment};
use crate::desktop;
use crate::error::DaemonError;
use crate::identity::{self, IdentityError};
use crate::notify;
use crate::page::PageDoor;
use crate::place::{Lock, PlaceError, harden, private_dir};
use crate::socket::{self, Bound, Served};
use crate::supervise::{Connect, EmbeddedServer, OverHttp, Parts, Supervisor};

/// How long folders may take to open before the daemon calls itself ready without them.
const OPENING: Duration = Duration::from_secs(30);

/// What a daemon does when its keys do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLocked {
    /// It runs, says `locked`, and waits for a password at the socket.
    Wait,
    /// It does not start.
    Fail,
}

/// How a daemon is run.
pub struct Options {
    /// Where its files are.
    pub paths: Paths,
    /// The environment: tokens and credentials may come from it, and a reload looks at it again.
    pub env: Environment,
    /// The program's version, as the status shows it.
    pub version: String,
    /// What happens when the keys do not open.
    pub on_locked: OnLocked,
    /// Whether it belongs to a terminal: a hang-up then ends it instead of reloading the configuration.
    pub foreground: bool,
    /// Whom to ask for a password.
    pub ask: Option<Box<dyn Ask>>,
    /// What makes clients; by default HTTP.
    pub connect: Option<Arc<dyn Connect>>,
    /// The clock; by default the machine's.
    pub clock: Option<Arc<dyn Clock>>,
}

impl Options {
    /// The options of `hcfs daemon`.
    #[must_use]
    pub fn service(paths: Paths, env: Environment, version: &str) -> Self {
        Self {
            paths,
            env,
            version: version.to_owned(),
            on_locked: OnLocked::Wait,
            foreground: false,
            ask: None,
            connect: None,
            clock: None,
        }
    }
}

/// Starts daemons.
pub struct Daemon;

/// Why a daemon was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By the user at the terminal.
    Interrupted,
    /// By the service manager, or because the terminal went away.
    Terminated,
}

impl Daemon {
    /// Takes the state directory, opens the keys, starts the folders and answers at the socket.
    ///
    /// # Errors
    /// Another daemon has the state or the socket, there is no account yet, its keys do not open, or there is no server.
    pub async fn start(
        config: Config,
        options: Options,
        embedded: Option<Arc<dyn EmbeddedServer>>,
    ) -> Result<RunningDaemon, DaemonError> {
        if let Err(error) = harden() {
            tracing::warn!("memory cannot be kept out of core dumps: {error}");
        }
        let Options { paths, env, version, on_locked, foreground, ask, connect, clock } = options;
        private_dir(&paths.state)?;
        let lock = Lock::take(&paths.lock())?;
        if !identity::exists(&paths) {
            return Err(IdentityError::None(paths.sealed_phrase()).into());
        }
        socket::sweep_incoming(&paths.state);
        // Before signals are caught: an interrupt at the prompt ends the process as it always does.
        let opened = open(&config, &paths, &env, ask).await;
        let mut bound = Bound::new(&paths.socket)?;
        if let Some(group) = config.readers.clone() {
            bound.open_to(group, env.clone()).await;
        }
        let signals =
            Signals::new(foreground).map_err(|source| PlaceError::Io { path: paths.socket.clone(), source })?;
        let download = RateLimit::unlimited();
        let parts = Parts {
            paths,
            env,
            version,
            embedded,
            connect: connect.unwrap_or_else(|| Arc::new(OverHttp::new(download.clone()))),
            clock: clock.unwrap_or_else(|| Arc::new(SystemClock)),
            download,
        };
        let supervisor = Supervisor::new(parts, config);
        let stopping = CancellationToken::new();
        let mut served = Served { supervisor: supervisor.clone(), page: None, stopping: stopping.clone() };
        let page = Arc::new(PageDoor::new(&served));
        served.page = Some(page.clone());
        if supervisor.config().page.enabled
            && let Err(error) = page.open().await
        {
            // The folders are what the daemon is for.
            tracing::error!(hint = error.hint, "the page does not listen: {error}");
        }
        let serving = tokio::spawn(socket::serve(bound, served));
        let running = RunningDaemon { supervisor, stopping, serving, following: Vec::new(), signals, _lock: lock };
        running.begin(opened, on_locked).await
    }
}

/// Opens the keys on a thread that may block: somebody may be asked, and a key is derived.
async fn open(
    config: &Config,
    paths: &Paths,
    env: &Environment,
    mut ask: Option<Box<dyn Ask>>,
) -> Result<MasterPhrase, DaemonError> {
    let (unlock, paths, env) = (config.unlock.clone(), paths.clone(), env.clone());
    let opened = tokio::task::spawn_blocking(move || match &mut ask {
        Some(ask) => identity::open(&paths, &unlock, &env, Some(ask.as_mut())),
        None => identity::open(&paths, &unlock, &env, None),
    });
    let fault = |_| ApiError::new(ErrorCode::Internal, "opening the recovery phrase failed", "see the error above");
    Ok(opened.await.map_err(fault)??)
}

/// A daemon that runs. It must be ended with [`RunningDaemon::stop`], so that what is in flight is left in order.
pub struct RunningDaemon {
    supervisor: Arc<Supervisor>,
    stopping: CancellationToken,
    serving: JoinHandle<()>,
    following: Vec<JoinHandle<()>>,
    signals: Signals,
    _lock: Lock,
}

impl RunningDaemon {
    async fn begin(
        mut self,
        opened: Result<MasterPhrase, DaemonError>,
        on_locked: OnLocked,
    ) -> Result<Self, DaemonError> {
        let begun = match opened {
            Ok(phrase) => self.supervisor.start(phrase).await,
            Err(error) => {
                if on_locked == OnLocked::Wait && may_wait(error.code()) {
                    tracing::warn!("the keys stay closed: {error}");
                    self.supervisor.stay_locked(&error);
                    Ok(())
                } else {
                    Err(error)
                }
            }
        };
        if let Err(error) = begun {
            self.stop().await;
            return Err(error);
        }
        self.supervisor.opened_folders(OPENING).await;
        notify::ready(&self.supervisor.status());
        self.following = vec![
            tokio::spawn(notify::follow(self.supervisor.clone(), self.stopping.clone())),
            tokio::spawn(desktop::follow(self.supervisor.clone(), self.stopping.clone())),
        ];
        Ok(self)
    }

    /// Everything as it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.supervisor.status()
    }

    /// Changes whenever the status does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.supervisor.watch()
    }

    /// Runs until the process is told to end. A hang-up reloads the configuration, unless the daemon belongs to a
    /// terminal.
    pub async fn wait(&mut self) -> Ended {
        loop {
            match self.signals.next().await {
                Told::End(ended) => return ended,
                Told::Reload => {
                    // On its own: a reload that has begun comes to its end even if nobody waits any more.
                    let supervisor = Arc::clone(&self.supervisor);
                    let reloaded = tokio::spawn(async move { supervisor.reload().await });
                    match reloaded.await {
                        Ok(Ok(())) => tracing::info!("the configuration was read again"),
                        Ok(Err(error)) => {
                            tracing::error!(
                                hint = error.hint(),
                                "the configuration in force stays: {}",
                                error.to_api()
                            );
                        }
                        Err(error) => tracing::error!("the configuration was not read again: {error}"),
                    }
                }
            }
        }
    }

    /// Ends transfers at the next frame, closes databases, ends the embedded server and removes the socket.
    pub async fn stop(self) {
        notify::stopping();
        self.stopping.cancel();
        self.supervisor.end().await;
        // Both end by themselves now; a panic in them was shown already.
        let _ = self.serving.await;
        for following in self.following {
            let _ = following.await;
        }
    }
}

/// Whether a password typed later can mend it.
fn may_wait(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Locked | ErrorCode::WrongPassword)
}

enum Told {
    End(Ended),
    Reload,
}

/// The signals of a daemon. From when this exists, they no longer end the process by themselves.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    foreground: bool,
}

impl Signals {
    fn new(foreground: bool) -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            foreground,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::End(Ended::Interrupted),
            _ = self.terminate.recv() => Told::End(Ended::Terminated),
            _ = self.hangup.recv() => if self.foreground { Told::End(Ended::Terminated) } else { Told::Reload },
        }
    }
}
