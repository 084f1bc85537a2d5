//! One folder, kept running: started, watched, and started again with growing pauses when it ends by itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hcfs_api as api;
use hcfs_engine::{FolderHandle, FolderStatus};
use hcfs_model::{FolderHash, FolderLabel};
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::FolderConfig;
use crate::rates::{Meter, with_time_left};
use crate::stream::Stream;
use crate::view;

/// The first pause before a folder is started again.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
/// The longest.
const PAUSE_LAST: Duration = Duration::from_secs(60);
/// How long a folder may take to end.
const STOP: Duration = Duration::from_secs(20);

/// Why a folder did not start.
pub(super) struct NotStarted {
    pub(super) state: api::FolderState,
    pub(super) trouble: api::Trouble,
}

/// Starts the folder; blocks for as long as that takes.
pub(super) type Start = Arc<dyn Fn() -> Result<FolderHandle, NotStarted> + Send + Sync>;

/// Tells everyone who shows a status that something in it changed.
#[derive(Clone)]
pub(crate) struct Changes(watch::Sender<u64>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) fn tell(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// The folder as far as it runs.
#[derive(Clone)]
enum Run {
    /// On its way.
    Starting,
    /// There.
    Up(FolderHandle),
    /// Not there, for this reason; it is tried again.
    Down { state: api::FolderState, trouble: api::Trouble },
}

/// A folder that is kept running.
pub(crate) struct Keeper {
    pub(crate) label: FolderLabel,
    pub(crate) config: FolderConfig,
    run: watch::Receiver<Run>,
    meter: Arc<Mutex<Meter>>,
    again: Arc<Notify>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    pub(super) fn new(
        label: FolderLabel,
        config: FolderConfig,
        start: Start,
        stream: Arc<Stream>,
        changes: Changes,
    ) -> Self {
        let (shown, run) = watch::channel(Run::Starting);
        let meter = Arc::new(Mutex::new(Meter::default()));
        let again = Arc::new(Notify::new());
        let stop = CancellationToken::new();
        let keep = Keep {
            hash: FolderHash::of_label(&label),
            label: label.clone(),
            start,
            shown,
            meter: meter.clone(),
            again: again.clone(),
            stop: stop.clone(),
            stream,
            changes,
        };
        let task = Mutex::new(Some(tokio::spawn(keep.run())));
        Self { label, config, run, meter, again, stop, task }
    }

    /// The running folder.
    ///
    /// # Errors
    /// Why it does not run.
    pub(crate) fn handle(&self) -> Result<FolderHandle, api::ApiError> {
        match &*self.run.borrow() {
            Run::Up(handle) => Ok(handle.clone()),
            Run::Starting => {
                let message = format!("folder \"{}\" is starting", self.label);
                Err(api::ApiError::new(api::ErrorCode::Stopped, message, "try again in a moment"))
            }
            Run::Down { trouble, .. } => {
                Err(api::ApiError::new(trouble.code, trouble.message.clone(), trouble.hint.clone()))
            }
        }
    }

    /// As [`Keeper::handle`], but waits for a folder that is starting.
    pub(crate) async fn started(&self) -> Result<FolderHandle, api::ApiError> {
        let mut run = self.run.clone();
        // An error says that the keeper has ended; the handle then says how.
        let _ = run.wait_for(|run| !matches!(run, Run::Starting)).await;
        self.handle()
    }

    /// The folder as the socket shows it.
    pub(crate) fn show(&self, now: Instant) -> api::Folder {
        let mut folder = unstarted(&self.label, &self.config, api::FolderState::Starting, None);
        match &*self.run.borrow() {
            Run::Starting => {}
            Run::Down { state, trouble } => {
                folder.state = *state;
                folder.trouble = Some(trouble.clone());
            }
            Run::Up(handle) => self.fill(&mut folder, &handle.status().borrow(), now),
        }
        folder
    }

    fn fill(&self, folder: &mut api::Folder, status: &FolderStatus, now: Instant) {
        folder.state = view::state(status.state);
        folder.trouble = view::trouble(status);
        folder.counts = view::counts(status);
        folder.transfers = view::transfers(status);
        folder.last_cycle_at = status.last_cycle.map(view::millis);
        folder.cycles = status.cycles;
        let rates = lock(&self.meter).rates(now, status.sent, status.received);
        folder.rates = with_time_left(rates, status.pending_up, status.pending_down);
    }

    /// As [`Keeper::started`], but a folder that waits to be started again is started now: whoever asks for work has
    /// perhaps just mended what kept it from starting.
    pub(crate) async fn retried(&self) -> Result<FolderHandle, api::ApiError> {
        let mut run = self.run.clone();
        if matches!(&*run.borrow_and_update(), Run::Down { .. }) {
            self.again.notify_one();
            // An error says that the keeper has ended; the handle then says how.
            let _ = run.changed().await;
        }
        self.started().await
    }

    /// Whether the folder answers: always, while it is not up.
    pub(crate) async fn is_alive(&self, within: Duration) -> bool {
        let Ok(handle) = self.handle() else { return true };
        let mut status = handle.status();
        status.mark_unchanged();
        tokio::select! {
            // Progress is life, also while a command waits its turn.
            _ = status.changed() => true,
            _ = handle.holds() => true,
            () = tokio::time::sleep(within) => false,
        }
    }

    /// Ends the folder. Returns when it has ended.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let task = lock(&self.task).take();
        if let Some(task) = task {
            // It ends by itself within the time a folder may take; a panic in it was shown already.
            let _ = task.await;
        }
    }
}

/// A folder of which nothing is known but its configuration.
pub(crate) fn unstarted(
    label: &FolderLabel,
    config: &FolderConfig,
    state: api::FolderState,
    trouble: Option<api::Trouble>,
) -> api::Folder {
    api::Folder {
        label: label.as_str().to_owned(),
        path: config.path.display().to_string(),
        mode: config.mode,
        state,
        trouble,
        counts: api::Counts::default(),
        rates: api::Rates::default(),
        transfers: Vec::new(),
        last_cycle_at: None,
        cycles: 0,
    }
}

/// The task behind a keeper.
struct Keep {
    label: FolderLabel,
    hash: FolderHash,
    start: Start,
    shown: watch::Sender<Run>,
    meter: Arc<Mutex<Meter>>,
    again: Arc<Notify>,
    stop: CancellationToken,
    stream: Arc<Stream>,
    changes: Changes,
}

impl Keep {
    async fn run(self) {
        let mut pause = PAUSE_FIRST;
        while !self.stop.is_cancelled() {
            self.show(Run::Starting);
            let start = self.start.clone();
            let down = match tokio::task::spawn_blocking(move || start()).await {
                Ok(Ok(handle)) => {
                    let since = Instant::now();
                    self.show(Run::Up(handle.clone()));
                    self.follow(&handle).await;
                    if self.stop.is_cancelled() {
                        if tokio::time::timeout(STOP, handle.stop()).await.is_err() {
                            tracing::error!(folder = %self.hash, "a folder did not end in time");
                        }
                        break;
                    }
                    if since.elapsed() > PAUSE_LAST {
                        pause = PAUSE_FIRST;
                    }
                    ended(&self.label)
                }
                Ok(Err(NotStarted { state, trouble })) => Run::Down { state, trouble },
                Err(_) => ended(&self.label),
            };
            if let Run::Down { trouble, .. } = &down {
                tracing::warn!(folder = %self.hash, code = %trouble.code, "a folder is not running");
                // Names of the user's stay out of the log above this level.
                tracing::debug!(folder = %self.label, "{}", trouble.message);
            }
            self.show(down);
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.again.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSE_LAST);
        }
        self.show(stopped(&self.label));
    }

    fn show(&self, run: Run) {
        self.shown.send_replace(run);
        self.changes.tell();
    }

    /// Passes on what the folder says, until it ends or is to be stopped.
    async fn follow(&self, handle: &FolderHandle) {
        let mut status = handle.status();
        let mut events = handle.events();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                changed = status.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let (sent, received) = {
                        let status = status.borrow_and_update();
                        (status.sent, status.received)
                    };
                    lock(&self.meter).note(Instant::now(), sent, received);
                    self.changes.tell();
                }
                event = events.recv() => match event {
                    Ok(event) => self.stream.push(view::event(&self.label, &event)),
                    Err(broadcast::error::RecvError::Lagged(_)) => self.stream.lose(),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            }
        }
    }
}

fn ended(label: &FolderLabel) -> Run {
    let trouble = api::Trouble {
        code: api::ErrorCode::Internal,
        message: format!("folder \"{label}\" ended by itself"),
        hint: "it is started again; the daemon's log says more".into(),
    };
    Run::Down { state: api::FolderState::Error, trouble }
}

fn stopped(label: &FolderLabel) -> Run {
    let trouble = api::Trouble {
        code: api::ErrorCode::Stopped,
        message: format!("folder \"{label}\" has stopped"),
        hint: "see `hcfs status`".into(),
    };
    Run::Down { state: api::FolderState::Error, trouble }
}

/// A lock whose holder panicked still guards usable notes: every writer leaves them whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant as Clock;

    use super::*;

    /// A keeper of a folder that never starts, and when it was tried.
    fn failing() -> (Keeper, Arc<Mutex<Vec<Clock>>>) {
        let tried = Arc::new(Mutex::new(Vec::new()));
        let tries = tried.clone();
        let start: Start = Arc::new(move || {
            lock(&tries).push(Clock::now());
            let trouble = api::Trouble { code: api::ErrorCode::BadFolder, message: "m".into(), hint: "h".into() };
            Err(NotStarted { state: api::FolderState::Halted, trouble })
        });
        let label = FolderLabel::new("docs").unwrap();
        let config = FolderConfig::at("/docs".into());
        (Keeper::new(label, config, start, Arc::new(Stream::new(0)), Changes::new()), tried)
    }

    #[tokio::test(start_paused = true)]
    async fn a_folder_that_does_not_start_is_tried_with_growing_pauses() {
        let (keeper, tried) = failing();
        tokio::time::sleep(Duration::from_secs(300)).await;
        keeper.stop().await;
        let tried = lock(&tried).clone();
        let pauses: Vec<u64> = tried.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(keeper.handle().err().unwrap().code, api::ErrorCode::Stopped);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_work_does_not_wait_for_the_pause() {
        let (keeper, tried) = failing();
        assert_eq!(keeper.started().await.err().unwrap().code, api::ErrorCode::BadFolder);
        assert_eq!(keeper.show(Instant::now()).state, api::FolderState::Halted);
        let before = Clock::now();
        assert_eq!(keeper.retried().await.err().unwrap().code, api::ErrorCode::BadFolder);
        assert_eq!(lock(&tried).len(), 2);
        assert!(before.elapsed() < PAUSE_FIRST);
        keeper.stop().await;
    }
}
