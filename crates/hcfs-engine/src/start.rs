//! Starting a folder, and ending it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use hcfs_fs::{Folder, RootError, RuleError, Rules};
use hcfs_model::RelPath;
use hcfs_remote::Remote;
use hcfs_state::{Identity, Outcome, StateError, Store};
use tokio::sync::{Notify, broadcast, mpsc};

use crate::blocked::Blocked;
use crate::board::Board;
use crate::handle::FolderHandle;
use crate::machine::{Ground, Machine, ThisMachine};
use crate::observe::Feed;
use crate::root::known_root;
use crate::session::{Session, Timers};
use crate::shrinking::Shrinking;
use crate::spec::{Clock, FolderSpec, Owner};
use crate::status::EventKind;
use crate::transfer::Buffers;
use crate::wants::Wants;

/// Commands that wait to be taken.
const COMMANDS: usize = 64;
/// Events a slow listener may be behind before it is told that it lost some.
const EVENTS: usize = 1024;

/// Why a folder cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory cannot be kept in step.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] StateError),
    /// An ignore pattern of the configuration is none.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The system gives no thread.
    #[error("the system gives no thread for the folder")]
    Thread(#[source] std::io::Error),
}

impl StartError {
    /// What to do now.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Root(error) => error.hint(),
            Self::Database(error) => error.hint().unwrap_or("see the system's log for the device").to_owned(),
            Self::Rules(_) => "correct the ignore patterns of this folder in the configuration".to_owned(),
            Self::Random | Self::Thread(_) => "see the system's log".to_owned(),
        }
    }
}

/// Opens a folder and keeps it in step on a thread of its own.
///
/// `others` are the roots of the other folders of this configuration.
///
/// # Errors
/// Why the directory or the database cannot be used now; nothing was changed then.
pub fn start(
    spec: FolderSpec,
    owner: Owner,
    remote: Arc<dyn Remote>,
    clock: Arc<dyn Clock>,
    others: &[PathBuf],
) -> Result<FolderHandle, StartError> {
    let identity = Identity { account: owner.account.clone(), folder: spec.folder_hash() };
    let database = Store::open(&spec.database, &identity)?;
    let known = known_root(&database.store.meta()?);
    let disk = match (Folder::disk(&spec.root, others), known) {
        (Err(error), Some(_)) if error.is_loss() => Folder::no_disk(&spec.root),
        (disk, _) => Arc::new(disk?),
    };
    let name = format!("folder {}", spec.folder_hash());
    let (handle, folder) = open(spec, owner, Ground { database, disk, remote, clock, machine: Arc::new(ThisMachine) })?;
    let thread = std::thread::Builder::new().name(name).spawn(move || match on_this_thread(folder) {
        Ok(()) => {}
        Err(error) => tracing::error!(%error, "a folder has ended"),
    });
    thread.map_err(StartError::Thread)?;
    Ok(handle)
}

/// Keeps a folder in step on this thread until it is told to stop.
fn on_this_thread(folder: OpenFolder) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let ended = runtime.block_on(folder.live())?;
    // Work on disk that was broken off ends before anybody is told that the folder has: its lock is free then.
    drop(runtime);
    ended.close();
    Ok(())
}

/// An open folder that is kept in step as long as [`OpenFolder::live`] runs.
pub struct OpenFolder(Session);

impl OpenFolder {
    /// Keeps the folder in step until it is told to stop, or every handle is gone. Dropping the future is as a crash: what
    /// has begun may or may not be done.
    ///
    /// # Errors
    /// The database was found damaged and cannot be made again.
    pub async fn live(self) -> Result<Ended, StartError> {
        let mut session = self.0;
        loop {
            let (ended, damage) = session.run().await;
            let Some(damage) = damage else { return Ok(Ended(ended)) };
            session = ended.rebuild(&damage)?;
        }
    }
}

/// A folder that has ended, but for work on its disk that was broken off.
pub struct Ended(Session);

impl Ended {
    /// Gives the database and the folder free, and only then lets who waits for the end know.
    pub fn close(self) {
        let Session { commands, board, store, folder, watcher, .. } = self.0;
        drop((watcher, store, folder));
        drop((board, commands));
    }
}

/// Opens a folder on whatever ground, without keeping it in step yet.
///
/// # Errors
/// Why the directory cannot be used now.
pub fn open(spec: FolderSpec, owner: Owner, ground: Ground) -> Result<(FolderHandle, OpenFolder), StartError> {
    let Ground { database: opened, disk, remote, clock, machine } = ground;
    let (board, status) = Board::new();
    let (commands, taken) = mpsc::channel(COMMANDS);
    let (events, _) = broadcast::channel(EVENTS);
    let handle = FolderHandle { commands, status, events: events.clone() };
    let mut store = opened.store;
    let known = known_root(&store.meta()?);
    let can_reopen = disk.reopen().is_some();
    let folder = match (Folder::over(Arc::clone(&disk), known, random(&*machine)?), known) {
        // It is opened when it is back, or when the user has said what is to become of it.
        (Err(error), Some(known)) if error.is_loss() && can_reopen => Folder::absent(&*disk, known),
        (opened, _) => opened?,
    };
    let mut swept = hcfs_fs::Swept::default();
    if !folder.is_absent() {
        let keep = staged_parts_of_use(&mut store)?;
        swept = folder.sweep(&keep).unwrap_or_else(|error| {
            tracing::warn!(%error, "leftovers of an earlier run could not be cleared");
            hcfs_fs::Swept::default()
        });
        remember(&mut store, &folder, &spec, &*machine)?;
    }
    let rules = Rules::new(&folder, &spec.ignore)?;
    let seed = u64::from_le_bytes(random(&*machine)?);
    let mut session = Session {
        spec,
        owner,
        remote,
        clock,
        machine,
        folder: Arc::new(folder),
        store,
        rules: Arc::new(rules),
        board,
        wants: Wants::all(),
        blocked: Blocked::default(),
        registered: false,
        unknown: BTreeSet::new(),
        changing: BTreeSet::new(),
        stored_at: BTreeMap::new(),
        told_holds: BTreeSet::new(),
        reported: 0,
        shrinking: Shrinking::default(),
        told_rest: None,
        told_trouble: None,
        buffers: Buffers::new(),
        gate: Arc::default(),
        seed,
        over_quota_until: None,
        commands: taken,
        watcher: None,
        bell: Arc::new(Notify::new()),
        touched: Arc::default(),
        events,
        waiting: VecDeque::new(),
        syncs: Vec::new(),
        cycles_waited: 0,
        timers: Timers::new(seed),
        feed: Feed::new(seed),
        paused: false,
        commanded: false,
        stopping: false,
    };
    if let Outcome::Rebuilt { reason, .. } = opened.outcome {
        session.tell_rebuilt(&reason);
    }
    for path in swept.healed {
        session.tell(EventKind::State, Some(path), "put back after a replacement that did not finish".to_owned());
    }
    Ok((handle, OpenFolder(session)))
}

fn random<const N: usize>(machine: &dyn Machine) -> Result<[u8; N], StartError> {
    let bytes = machine.random().map_err(|_| StartError::Random)?;
    Ok(std::array::from_fn(|at| bytes[at]))
}

impl Session {
    /// What has to happen on the session's own thread before the first cycle.
    pub(crate) fn settle_in(&mut self) {
        if self.folder.is_absent() {
            return;
        }
        let bell = Arc::clone(&self.bell);
        match self.machine.watch(&self.folder, Box::new(move || bell.notify_one())) {
            Ok(watcher) => self.watched_by(watcher),
            Err(error) => self.without_watcher(error.to_string(), error.hint().to_owned()),
        }
    }

    /// Goes on over a fresh database in place of a damaged one: the folder and the server are read again.
    fn rebuild(self, damage: &StateError) -> Result<Self, StartError> {
        let opened = self.store.rebuild(damage)?;
        let feed = Feed::new(self.seed);
        let mut session = Self { store: opened.store, wants: Wants::all(), watcher: None, feed, ..self };
        if !session.folder.is_absent() {
            remember(&mut session.store, &session.folder, &session.spec, &*session.machine)?;
        }
        session.tell_rebuilt(&damage.to_string());
        Ok(session)
    }

    fn tell_rebuilt(&mut self, reason: &str) {
        let text = format!("the folder's database is made again from the folder and the server: {reason}");
        self.tell(EventKind::State, None, text);
    }
}

/// The staged parts that a wanted download can go on with. Hints that nothing is wanted of any more go: nobody would ever
/// take them up, and their parts would stay for good.
pub(crate) fn staged_parts_of_use(store: &mut Store) -> Result<BTreeSet<String>, StateError> {
    let hints = store.all_hints()?;
    let mut keep = BTreeSet::new();
    let paths: BTreeSet<&RelPath> = hints.downloads.keys().chain(hints.uploads.keys()).collect();
    for path in paths {
        let row = store.row(path)?;
        let is_open = !row.is_agreed();
        let down = hints.downloads.get(path).filter(|hint| {
            let listed = row.remote.as_ref().map(|remote| (remote.file_id, remote.revision));
            is_open && listed == Some((hint.file_id, hint.revision))
        });
        let up = hints.uploads.get(path).filter(|_| is_open && row.local.is_some());
        if down.is_none() && up.is_none() {
            store.remove_hints(path)?;
        }
        keep.extend(down.map(|hint| hint.staged.clone()));
    }
    Ok(keep)
}

/// Keeps what tells this folder and this device again.
fn remember(store: &mut Store, folder: &Folder, spec: &FolderSpec, machine: &dyn Machine) -> Result<(), StartError> {
    let mut meta = store.meta()?;
    meta.root = Some(folder.identity().id);
    meta.root_inode = Some(folder.identity().inode.number);
    meta.device_name.clone_from(&spec.device);
    if meta.device.is_none() {
        meta.device = Some(random(machine)?);
    }
    Ok(store.put_meta(&meta)?)
}
