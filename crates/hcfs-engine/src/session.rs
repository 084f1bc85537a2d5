//! One running folder: decides when a cycle runs, and answers commands before, during and after it.
//!
//! The session owns the folder's database and is the only one that touches it. Work that takes time runs as futures
//! that borrow nothing of it, so that commands are answered while they run ([`Session::attend`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hcfs_fs::{Folder, Rules, Watch};
use hcfs_model::{RelPath, UnixNanos};
use hcfs_remote::Remote;
use hcfs_state::{StateError, Store};
use tokio::sync::{Notify, RwLock, broadcast, mpsc, oneshot};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::blocked::Blocked;
use crate::board::Board;
use crate::handle::{Command, CommandError};
use crate::machine::Machine;
use crate::observe::Feed;
use crate::placing::Placing;
use crate::shrinking::Shrinking;
use crate::spec::{Clock, FolderSpec, Owner};
use crate::status::{Event, EventKind, FolderState, FolderStatus};
use crate::transfer::Buffers;
use crate::wants::Wants;

/// How long after its last full scan the whole folder is looked at again: the watcher's word is a hint.
const FULL_SCAN: Duration = Duration::from_secs(15 * 60);
/// The same where the watcher cannot be relied on.
pub(crate) const POLLED_SCAN: Duration = Duration::from_secs(30);

/// How long after a full scan lost events lead to another one.
const OVERFLOW_PAUSE: Duration = Duration::from_secs(60);

/// How often the trash is looked through for what has been there for long enough.
const PRUNE: Duration = Duration::from_secs(24 * 60 * 60);

/// How many cycles in a row may find new changes before those who wait for an end are told how the folder stands: where
/// something changes all the time there is none.
const CYCLES: u32 = 16;

/// Why a cycle did not come to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A command: pause, or the end of the session.
    Called,
    /// The database is damaged and has to be rebuilt.
    Damaged(StateError),
    /// The folder as a whole cannot go on: the state to show, the sentence, the hint, and whether trying again later may
    /// help.
    Trouble {
        /// What to show.
        state: FolderState,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
}

/// A folder that is being kept in step.
pub(crate) struct Session {
    pub(crate) spec: FolderSpec,
    pub(crate) owner: Owner,
    pub(crate) remote: Arc<dyn Remote>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) folder: Arc<Folder>,
    pub(crate) store: Store,
    pub(crate) rules: Arc<Rules>,
    pub(crate) board: Board,
    pub(crate) wants: Wants,
    /// Paths that are left alone for now, and why.
    pub(crate) blocked: Blocked,
    /// Whether the folder was made known to the server by this session.
    pub(crate) registered: bool,
    /// Paths below which nothing is known of the disk.
    pub(crate) unknown: BTreeSet<RelPath>,
    /// Files that changed while the last scan read them.
    pub(crate) changing: BTreeSet<RelPath>,
    /// When the server stored the versions that differ from what is here, by its own clock.
    pub(crate) stored_at: BTreeMap<RelPath, UnixNanos>,
    /// Holds the log has told of.
    pub(crate) told_holds: BTreeSet<u64>,
    /// How many paths the last plan left alone.
    pub(crate) reported: u64,
    /// The state of rest the log last told of.
    pub(crate) told_rest: Option<FolderState>,
    /// The trouble the log last told of, until a cycle comes to its end again.
    pub(crate) told_trouble: Option<FolderState>,
    pub(crate) buffers: Buffers,
    /// Held by work that changes the disk, which goes on to its end when its transfer is broken off. Nothing is looked at
    /// before it is free.
    pub(crate) gate: Arc<RwLock<()>>,
    /// Makes the pauses of this device differ from those of others.
    pub(crate) seed: u64,
    pub(crate) shrinking: Shrinking,
    /// Set while the account is over its quota: uploads wait until then.
    pub(crate) over_quota_until: Option<Instant>,
    pub(crate) commands: mpsc::Receiver<Command>,
    /// Says where to look; `None` where the folder cannot be watched.
    pub(crate) watcher: Option<Box<dyn Watch>>,
    /// Rung by the watcher, and by what runs beside the session.
    pub(crate) bell: Arc<Notify>,
    /// What was changed here beside the session: it is to be looked at.
    pub(crate) touched: Arc<Mutex<BTreeSet<RelPath>>>,
    pub(crate) events: broadcast::Sender<Event>,
    /// Commands that need the folder to themselves, kept until the cycle is over.
    pub(crate) waiting: VecDeque<Command>,
    /// Those who wait for a cycle to end.
    pub(crate) syncs: Vec<oneshot::Sender<Arc<FolderStatus>>>,
    /// Cycles that ended since somebody waits for the end.
    pub(crate) cycles_waited: u32,
    pub(crate) timers: Timers,
    pub(crate) feed: Feed,
    pub(crate) paused: bool,
    /// A command is carried out, which a pause does not break off.
    pub(crate) commanded: bool,
    pub(crate) stopping: bool,
}

/// When the session looks by itself.
pub(crate) struct Timers {
    pub(crate) next_poll: Instant,
    pub(crate) next_full_scan: Instant,
    last_full_scan: Option<Instant>,
    next_prune: Instant,
    /// When a look at the root is due though nothing is to be done.
    pub(crate) next_root: Instant,
    /// When a watcher is tried to be had again; `None` where there is one.
    pub(crate) next_watch: Option<Instant>,
    /// How many bytes lie in the trash, as far as that is known without looking.
    pub(crate) trash: u64,
    /// After trouble: nothing is tried before.
    not_before: Option<Instant>,
    trouble: Backoff,
}

impl Timers {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            next_poll: now,
            next_full_scan: now,
            last_full_scan: None,
            next_prune: now,
            next_root: now,
            next_watch: None,
            trash: 0,
            not_before: None,
            trouble: Backoff::new(Duration::from_secs(1), Duration::from_secs(60), seed),
        }
    }

    /// Has the whole folder looked at, but not again and again: a scan of a very large tree can itself overflow the
    /// watcher's queue.
    pub(crate) fn rescan_soon(&mut self) {
        let soon = self.last_full_scan.map_or_else(Instant::now, |last| last + OVERFLOW_PAUSE);
        self.next_full_scan = self.next_full_scan.min(soon);
    }
}

impl Session {
    /// Runs until it is told to stop, or every handle is gone, or the database is found damaged: then it comes back with
    /// the damage, to be run again over a fresh one.
    pub(crate) async fn run(mut self) -> (Self, Option<StateError>) {
        self.settle_in();
        while !self.stopping {
            if self.may_work() {
                if let Some(damage) = self.work().await {
                    return (self, Some(damage));
                }
            } else {
                self.wait().await;
            }
            self.answer_waiting().await;
        }
        (self, None)
    }

    /// Whether there is something to do that may be done now.
    fn may_work(&self) -> bool {
        let held_back = self.timers.not_before.is_some_and(|until| Instant::now() < until);
        !self.paused && self.wants.any() && (!held_back || !self.syncs.is_empty())
    }

    /// Runs a cycle and shows how it ended; damage of the database comes back.
    async fn work(&mut self) -> Option<StateError> {
        let mut in_trouble = false;
        match self.cycle().await {
            Ok(is_over) => {
                if is_over {
                    self.timers.not_before = None;
                    self.timers.trouble.reset();
                } else {
                    // Whatever goes round and round does so ever more slowly.
                    self.timers.not_before = Some(Instant::now() + self.timers.trouble.next());
                }
                self.told_trouble = None;
                self.show_end();
            }
            Err(Stop::Called) => self.take_stock(),
            Err(Stop::Damaged(damage)) => return Some(damage),
            Err(Stop::Trouble { state, message, hint }) => {
                in_trouble = true;
                self.timers.not_before = Some(Instant::now() + self.timers.trouble.next());
                self.take_stock();
                self.show_trouble(state, message, hint);
            }
        }
        // Changes that came meanwhile, and what is tried again in a moment, belong to what was asked for.
        self.cycles_waited += u32::from(self.waiting.is_empty());
        let is_done = (!self.wants.any() && !self.blocked.is_settling()) || self.cycles_waited >= CYCLES;
        if (is_done || in_trouble) && !self.paused && !self.stopping {
            self.answer_syncs();
        }
        None
    }

    /// After a cycle that was broken off: what it had begun may have been done, here and there, without being recorded.
    fn take_stock(&mut self) {
        for path in self.board.clear() {
            self.wants.below(path);
        }
        self.feed.outdate();
        self.wants.remote();
        self.wants.plan();
    }

    /// Tells who waits for the end of a cycle how the folder stands.
    fn answer_syncs(&mut self) {
        self.cycles_waited = 0;
        let status = Arc::new(self.board.status().clone());
        for waiter in self.syncs.drain(..) {
            // Nobody waits any more: then nobody is told.
            let _ = waiter.send(Arc::clone(&status));
        }
    }

    /// Waits for a command, a hint or the next time to look.
    async fn wait(&mut self) {
        if self.paused || self.timers.not_before.is_some() {
            self.feed.hang_up();
        } else {
            self.feed.wait(&self.remote, self.spec.folder_hash());
        }
        let deadline = self.next_look();
        tokio::select! {
            biased;
            command = self.commands.recv() => self.take(command),
            () = self.bell.notified() => self.heed(),
            answer = self.feed.answered() => self.heed_feed(answer),
            () = tokio::time::sleep_until(deadline), if !self.paused => self.look_again(),
        }
        self.look_at_root().await;
    }

    /// When the session looks by itself, if nothing else happens.
    fn next_look(&self) -> Instant {
        let look = self.timers.next_poll.min(self.timers.next_full_scan).min(self.timers.next_root);
        let look = self.timers.next_watch.map_or(look, |watch| look.min(watch));
        let look = self.blocked.next_try().map_or(look, |retry| look.min(retry));
        let look = self.over_quota_until.map_or(look, |until| look.min(until));
        let look = self.feed.next_try().map_or(look, |retry| look.min(retry));
        match self.timers.not_before {
            // Wanted work waits for the end of the backoff; nothing else is tried before it either.
            Some(until) if self.wants.any() => until,
            Some(until) => look.max(until),
            None => look,
        }
    }

    /// Marks what is due.
    fn look_again(&mut self) {
        let now = Instant::now();
        if now >= self.timers.next_poll {
            self.wants.remote();
        }
        if now >= self.timers.next_full_scan {
            self.wants.everything_here();
        }
        if self.timers.next_watch.is_some_and(|watch| now >= watch) {
            self.watch_again();
        }
        if self.over_quota_until.is_some_and(|until| now >= until) {
            self.over_quota_until = None;
            self.wants.plan();
        }
        for path in self.blocked.due() {
            self.wants.below(path);
            self.wants.plan();
        }
    }

    /// Whether the trash is to be looked through now.
    pub(crate) fn take_prune(&mut self) -> bool {
        let now = Instant::now();
        let is_due = now >= self.timers.next_prune;
        if is_due {
            self.timers.next_prune = now + PRUNE;
        }
        is_due
    }

    /// Notes that so many bytes went to the trash: where that is too much, it is looked through soon.
    pub(crate) fn trashed(&mut self, bytes: u64) {
        self.timers.trash = self.timers.trash.saturating_add(bytes);
        if self.timers.trash > self.spec.trash_bytes {
            self.timers.next_prune = Instant::now();
        }
    }

    /// Says that the whole folder has just been looked at.
    pub(crate) fn scanned_fully(&mut self) {
        let pause = if self.watcher.is_some() { FULL_SCAN } else { POLLED_SCAN };
        let now = Instant::now();
        self.timers.last_full_scan = Some(now);
        self.timers.next_full_scan = now + pause;
    }

    /// Waits for `work`, answering commands and noting hints meanwhile.
    ///
    /// # Errors
    /// [`Stop::Called`] when the work is to be broken off; it is dropped then.
    pub(crate) async fn attend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let mut work = pin!(work);
        loop {
            if self.stopping || (self.paused && !self.commanded) {
                return Err(Stop::Called);
            }
            tokio::select! {
                biased;
                command = self.commands.recv() => self.take(command),
                () = self.bell.notified() => self.heed(),
                value = &mut work => return Ok(value),
            }
        }
    }

    /// As [`Session::attend`], for short work on disk whose outcome has to be recorded: a pause, or the end of the
    /// session, waits for it.
    pub(crate) async fn see_through<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv(), if !self.stopping => self.take(command),
                () = self.bell.notified() => self.heed(),
                value = &mut work => return value,
            }
        }
    }

    /// Carries out a command that can be carried out at any time, and keeps the others.
    fn take(&mut self, command: Option<Command>) {
        match command {
            None | Some(Command::Stop) => self.stopping = true,
            Some(Command::Scan { full }) => {
                self.look_now();
                if full {
                    self.wants.listing();
                    self.try_all_now();
                    self.watch_again();
                }
            }
            Some(Command::Pause) => {
                self.paused = true;
                self.board.update(|status| status.state = FolderState::Paused);
                self.answer_syncs();
            }
            Some(Command::Resume) => {
                if std::mem::take(&mut self.paused) {
                    self.look_now();
                    self.show_rest();
                }
            }
            Some(Command::Sync(reply)) => {
                self.look_now();
                self.wants.listing();
                self.try_all_now();
                if self.syncs.is_empty() {
                    self.cycles_waited = 0;
                }
                self.syncs.push(reply);
                if self.paused {
                    self.answer_syncs();
                }
            }
            Some(Command::Log { since, limit, reply }) => {
                let _ = reply.send(self.log_page(since, limit));
            }
            Some(Command::RecentLog { limit, reply }) => {
                let _ = reply.send(self.recent_log(limit));
            }
            Some(Command::Conflicts(reply)) => {
                let _ = reply.send(self.open_conflicts());
            }
            Some(Command::Holds(reply)) => {
                let _ = reply.send(self.open_holds());
            }
            Some(Command::Trash(reply)) => self.list_trash(reply),
            Some(Command::RestoreTrashed { id, reply }) => self.restore_trashed(id, reply),
            Some(Command::EmptyTrash(reply)) => self.empty_trash(reply),
            Some(Command::History { path, reply }) => self.history(path, reply),
            Some(Command::Explain { path, reply }) => {
                let _ = reply.send(self.explain(path).map_err(CommandError::failure_of_folder));
            }
            Some(Command::SettleHold { id, accept, reply }) if !self.is_root_hold(id) => {
                let _ = reply.send(self.settle_hold(id, accept));
            }
            Some(Command::Placing(reply)) => {
                let _ = reply.send(self.placing());
            }
            Some(Command::Note { kind, path, text }) => {
                if let Some(path) = &path {
                    self.wants.below(path.clone());
                }
                self.tell(kind, path, text);
            }
            Some(other) => self.waiting.push_back(other),
        }
    }

    /// Has both sides looked at, whatever trouble there was.
    pub(crate) fn look_now(&mut self) {
        self.timers.not_before = None;
        self.wants.remote();
        self.wants.everything_here();
    }

    /// Has everything tried again that waits for its time.
    fn try_all_now(&mut self) {
        self.blocked.try_all_now();
        self.over_quota_until = None;
        self.wants.plan();
    }

    /// Carries out the commands that need the folder to themselves.
    async fn answer_waiting(&mut self) {
        while let Some(command) = self.waiting.pop_front() {
            if self.stopping {
                return;
            }
            self.commanded = true;
            self.carry_out(command).await;
            self.commanded = false;
            // It may have looked at a side, and shown that; and what it did is wanted here as well before all is idle.
            if self.paused || self.timers.not_before.is_none() {
                self.show_rest();
            }
        }
    }

    fn placing(&self) -> Placing {
        Placing {
            folder: Arc::downgrade(&self.folder),
            gate: Arc::clone(&self.gate),
            clock: Arc::clone(&self.clock),
            machine: Arc::clone(&self.machine),
            device: self.spec.device.clone(),
        }
    }

    /// Writes an event to the log and tells who listens.
    pub(crate) fn tell(&mut self, kind: EventKind, path: Option<RelPath>, text: String) {
        self.tell_all(vec![Event { id: 0, at: self.clock.now(), kind, path, text }]);
    }

    /// Shows trouble with the folder as a whole.
    fn show_trouble(&mut self, state: FolderState, message: String, hint: String) {
        let is_new = self.told_trouble.replace(state) != Some(state);
        let text = format!("{}: {message}", state.as_str());
        self.board.update(|status| {
            status.state = state;
            status.trouble = Some((message, hint));
        });
        if is_new {
            self.tell(EventKind::State, None, text);
        }
    }
}

/// The answer to a command that the session cannot carry out.
pub(crate) fn failed(code: &'static str, message: String, hint: &str) -> CommandError {
    CommandError::Failed { code, message, hint: hint.to_owned() }
}
