//! One source, kept going: decides when a round runs, and what ends it.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hcfs_api::SourceState;
use hcfs_engine::{EventKind, FolderHandle, FolderState};
use hcfs_model::UnixNanos;
use hcfs_state::sources::{ItemProblem, Run};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::books::Books;
use super::reason::{Concern, Reason};
use super::round::{Again, Ended, Round};
use super::{Tools, lock, schedule};
use crate::config::SourceConfig;

/// How long a source sleeps at most before it looks at the clock again: machines sleep, and clocks are set.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);

/// What a source is told.
pub(super) enum Order {
    /// Run now.
    Run { again: Again, done: oneshot::Sender<()> },
    /// End the run, and at the service what it began.
    Cancel { done: oneshot::Sender<()> },
}

/// The task behind a source.
pub(super) struct Runner {
    pub(super) name: String,
    pub(super) config: SourceConfig,
    pub(super) tools: Arc<Tools>,
    pub(super) books: Books,
    pub(super) board: Arc<Mutex<Board>>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) stop: CancellationToken,
    /// Whether its settings were just changed: then it is worth a try at once.
    pub(super) at_once: bool,
}

/// Why a runner wakes.
enum Woken {
    Stop,
    Due,
    Order(Order),
    Unready,
}

/// What ended a round from outside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// Nothing: it came to its end.
    No,
    /// The folder or the daemon: it goes on later.
    Interrupted,
    /// A person.
    Cancelled,
}

impl Runner {
    pub(super) async fn run(mut self) {
        let mut next = match self.load().await {
            Ok(next) => next,
            Err(reason) => {
                self.show(|board| {
                    board.state = SourceState::Failed;
                    board.trouble = Some(reason.trouble());
                });
                return self.stop.cancelled().await;
            }
        };
        while let Some(folder) = self.ready().await {
            self.show_rest(next).await;
            match self.woken(&folder, next).await {
                Woken::Stop => return,
                Woken::Unready => {}
                Woken::Due => next = self.round(&folder, Again::Nothing, Vec::new(), false).await,
                Woken::Order(Order::Run { again, done }) => {
                    next = self.round(&folder, again, vec![done], true).await;
                }
                Woken::Order(Order::Cancel { done }) => {
                    self.abandon_all(&folder).await;
                    // Nobody waits any more: it is done all the same.
                    let _ = done.send(());
                }
            }
        }
    }

    fn show(&self, change: impl FnOnce(&mut Board)) {
        change(&mut lock(&self.board));
        self.tools.changes.tell();
    }

    /// What is known of earlier runs; says when the first one is due.
    async fn load(&mut self) -> Result<Option<UnixNanos>, Reason> {
        let name = self.name.clone();
        let run = self.books.ask(move |ledger| ledger.run(&name)).await?;
        let now = self.tools.clock.now();
        let first =
            if self.at_once { Some(now) } else { schedule::first(run.as_ref(), self.config.every, now, chance()) };
        let trouble = run.as_ref().and_then(|run| run.failure.clone());
        self.show(|board| {
            board.trouble = trouble.map(|failure| hcfs_api::SourceTrouble {
                code: failure.code,
                message: failure.message,
                hint: failure.hint,
            });
            board.last_run = run;
        });
        Ok(first)
    }

    /// Waits until the folder can take files; `None` at the end.
    async fn ready(&mut self) -> Option<FolderHandle> {
        let mut changes = self.tools.changes.watch();
        loop {
            changes.mark_unchanged();
            if self.stop.is_cancelled() {
                return None;
            }
            let folder = (self.tools.find)(&self.config.folder);
            if let Some(folder) = folder.filter(|folder| is_ready(folder.status().borrow().state)) {
                return Some(folder);
            }
            if lock(&self.board).state != SourceState::Waiting {
                self.show(|board| {
                    board.state = SourceState::Waiting;
                    board.next = None;
                });
                changes.mark_unchanged();
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                // Whoever gave it learns that nothing came of it.
                order = self.orders.recv() => drop(order?),
                changed = changes.changed() => changed.ok()?,
            }
        }
    }

    /// Shows how the source stands while nothing runs.
    async fn show_rest(&self, next: Option<UnixNanos>) {
        let name = self.name.clone();
        let counted =
            self.books.ask(move |ledger| Ok((ledger.items(&name)?.len(), ledger.problems(&name)?.len()))).await;
        let (files, problems) = counted.unwrap_or_default();
        self.show(|board| {
            board.files = files as u64;
            board.problems = problems as u64;
            board.transfers.clear();
            board.next = next;
            board.state = match (&board.trouble, problems) {
                (Some(_), _) => SourceState::Failed,
                (None, 0) => SourceState::Idle,
                (None, _) => SourceState::Attention,
            };
        });
    }

    async fn woken(&mut self, folder: &FolderHandle, next: Option<UnixNanos>) -> Woken {
        loop {
            let left = next.map(|next| schedule::until(self.tools.clock.now(), next));
            if left == Some(Duration::ZERO) {
                return Woken::Due;
            }
            let sleep = tokio::time::sleep(left.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Woken::Stop,
                order = self.orders.recv() => return order.map_or(Woken::Stop, Woken::Order),
                () = unready(folder) => return Woken::Unready,
                () = sleep, if next.is_some() => {}
            }
        }
    }

    /// Runs a round to its end, or until something breaks it off; says when the next one is due.
    async fn round(
        &mut self,
        folder: &FolderHandle,
        again: Again,
        mut waiting: Vec<oneshot::Sender<()>>,
        ordered: bool,
    ) -> Option<UnixNanos> {
        let began = self.tools.clock.now();
        let before = lock(&self.board).last_run.clone();
        let full = ordered || self.is_regular(before.as_ref(), began);
        let failures = before.as_ref().map_or(0, |run| run.failures);
        let mut run = Run { began, ended: None, brought: 0, unchanged: 0, failures, failure: None, again: None };
        if let (false, Some(before)) = (full, &before) {
            // Only what failed is tried again: the regular run keeps its time.
            run.began = before.began;
        }
        self.keep(&run).await;
        self.show(|board| {
            board.state = SourceState::Running;
            board.trouble = None;
            board.next = None;
            board.last_run = Some(run.clone());
        });
        let cancel = CancellationToken::new();
        let round = Round {
            name: self.name.clone(),
            config: self.config.clone(),
            tools: self.tools.clone(),
            books: self.books.clone(),
            board: self.board.clone(),
            folder: folder.clone(),
            cancel: cancel.clone(),
            again,
            full,
            ordered,
        };
        let (ended, broken) = self.attend(round.run(), folder, &cancel, &mut waiting).await;
        if broken == Broken::Cancelled {
            self.abandon_all(folder).await;
        }
        let next = self.close(run, ended, broken, folder).await;
        self.show_rest(next).await;
        for waiter in waiting {
            // Nobody waits any more: then nobody is told.
            let _ = waiter.send(());
        }
        next
    }

    /// Whether a whole run is due, and not only another try of what failed.
    fn is_regular(&self, before: Option<&Run>, now: UnixNanos) -> bool {
        match before {
            None | Some(Run { ended: None, .. }) => true,
            Some(run) if run.failure.is_some() || self.at_once => true,
            Some(run) => self.config.every.is_some_and(|every| now >= schedule::after(run.began, every)),
        }
    }

    /// Waits for the round, hearing orders meanwhile.
    async fn attend(
        &mut self,
        round: impl Future<Output = Ended>,
        folder: &FolderHandle,
        cancel: &CancellationToken,
        waiting: &mut Vec<oneshot::Sender<()>>,
    ) -> (Ended, Broken) {
        let mut round = pin!(round);
        let mut broken = Broken::No;
        loop {
            let listens = broken == Broken::No;
            tokio::select! {
                biased;
                ended = &mut round => return (ended, broken),
                () = self.stop.cancelled(), if listens => broken = Broken::Interrupted,
                () = unready(folder), if listens => broken = Broken::Interrupted,
                order = self.orders.recv(), if listens => match order {
                    Some(Order::Run { done, .. }) => waiting.push(done),
                    Some(Order::Cancel { done }) => {
                        broken = Broken::Cancelled;
                        waiting.push(done);
                    }
                    None => broken = Broken::Interrupted,
                },
            }
            if broken != Broken::No {
                cancel.cancel();
            }
        }
    }

    /// Records how a round ended; says when the next one is due.
    async fn close(&mut self, mut run: Run, ended: Ended, broken: Broken, folder: &FolderHandle) -> Option<UnixNanos> {
        let now = self.tools.clock.now();
        run.brought = ended.brought;
        run.unchanged = ended.unchanged;
        let stopped = ended.failure.as_ref().is_some_and(|reason| reason.concern == Concern::Nobody);
        if broken == Broken::Interrupted || (stopped && broken == Broken::No) {
            self.show(|board| board.last_run = Some(run));
            // It goes on as soon as the folder does.
            return Some(now);
        }
        self.at_once = false;
        run.ended = Some(now);
        match ended.failure.filter(|_| broken == Broken::No) {
            Some(reason) => {
                run.failures = run.failures.saturating_add(1);
                let pause = schedule::pause(run.failures, reason.passing, reason.after, chance());
                // What somebody has to mend is not tried again by itself where nothing is regular.
                run.again = (reason.passing || self.config.every.is_some()).then(|| schedule::after(now, pause));
                if lock(&self.board).trouble.is_none() && run.failures == 1 {
                    self.tell(folder, &reason.failure.message).await;
                }
                run.failure = Some(reason.failure.clone());
                self.show(|board| board.trouble = Some(reason.trouble()));
            }
            None => {
                run.failures = 0;
                run.again = self.earliest_try().await;
            }
        }
        self.keep(&run).await;
        let next = schedule::next(&run, self.config.every, now);
        self.show(|board| board.last_run = Some(run));
        next
    }

    /// When the first of the items that failed is tried again.
    async fn earliest_try(&self) -> Option<UnixNanos> {
        let name = self.name.clone();
        let problems = self.books.ask(move |ledger| ledger.problems(&name)).await.unwrap_or_default();
        problems.iter().filter_map(|(_, ItemProblem { again, .. })| *again).min()
    }

    async fn keep(&self, run: &Run) {
        let (name, run) = (self.name.clone(), run.clone());
        if let Err(reason) = self.books.ask(move |ledger| ledger.keep_run(&name, &run)).await {
            tracing::warn!(code = reason.code(), "the run of a source could not be recorded");
        }
    }

    async fn tell(&self, folder: &FolderHandle, message: &str) {
        let text = format!("{}: {message}", self.name);
        // A folder that has stopped tells nobody.
        let _ = folder.note(EventKind::Source, None, text).await;
    }

    /// Ends at the service what unfinished fetches began there, and throws their parts away.
    async fn abandon_all(&self, folder: &FolderHandle) {
        let round = Round {
            name: self.name.clone(),
            config: self.config.clone(),
            tools: self.tools.clone(),
            books: self.books.clone(),
            board: self.board.clone(),
            folder: folder.clone(),
            cancel: CancellationToken::new(),
            again: Again::Nothing,
            full: false,
            ordered: false,
        };
        if let Err(reason) = round.abandon_all().await {
            tracing::warn!(code = reason.code(), "what a source began could not be ended");
        }
    }
}

/// Whether a folder in this state takes files.
fn is_ready(state: FolderState) -> bool {
    match state {
        FolderState::Scanning
        | FolderState::Syncing
        | FolderState::Idle
        | FolderState::Attention
        | FolderState::Held
        | FolderState::Offline
        | FolderState::Unauthorised
        | FolderState::OverQuota => true,
        FolderState::Starting | FolderState::Paused | FolderState::Halted | FolderState::Error => false,
    }
}

/// Returns when the folder no longer takes files.
async fn unready(folder: &FolderHandle) {
    let mut status = folder.status();
    // An error says that it has ended.
    let _ = status.wait_for(|status| !is_ready(status.state)).await;
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without random bytes sources come at the same time: no harm.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
