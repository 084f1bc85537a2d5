//! The disk of a device: a tree in memory behind the engine's own trait, with everything that can go wrong on one.
//!
//! The drive ([`Drive`]) outlives the process; what the process holds of it ([`ModelDisk`], [`ModelFile`]) dies with it.
//! A process that is killed at a call unwinds with [`Killed`], and every later call of it does so too.

pub(crate) mod tree;

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use hcfs_fs::{Disk, DiskFile, Each, Hint, Kind, Open, Rename, Space, Stat};
use hcfs_testkit::Rng;

use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::scene::{Scene, locked};
use crate::script::Broken;
use crate::user::{Habits, Hands};
use tree::{EACCES, EEXIST, EINVAL, EIO, ENOSPC, EOPNOTSUPP, EROFS, Profile, Tree, errno};

const STATE: &[u8] = b".hcfs";

/// What becomes the marker of a folder.
const MARKER: &[u8] = b".hcfs/marker.new";

/// What a process that was killed at a system call unwinds with.
pub(crate) struct Killed;

/// How many of 1,000 calls fail, and what every call meets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    pub(crate) errors: usize,
    pub(crate) denials: usize,
    pub(crate) is_full: bool,
    pub(crate) is_read_only: bool,
    pub(crate) is_unplugged: bool,
}

/// A drive and the machine it is in.
pub(crate) struct Drive {
    pub(crate) scene: Arc<Scene>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    state: Mutex<State>,
    handles: AtomicU64,
}

struct State {
    tree: Tree,
    /// What is mounted at the root now; the folder itself is node 0.
    mounted: Option<usize>,
    weather: Weather,
    /// Counts the processes.
    lives: u64,
    /// The processes that are alive; calls of others unwind.
    alive: Vec<u64>,
    kill_in: Option<u32>,
    is_killed: bool,
    race: Option<(u32, u64)>,
    habits: Habits,
    /// Nanoseconds the machine's clock is off.
    skew: i64,
    /// What a watcher would have seen since it was asked last.
    events: Vec<Hint>,
    /// Counts what changed anything.
    changes: u64,
    /// Whether something changed that no look at the whole folder can have seen.
    unseen: bool,
    /// How many calls the piece of work made that runs.
    calls: u32,
}

impl Drive {
    pub(crate) fn new(
        scene: &Arc<Scene>,
        ledger: &Arc<Mutex<Ledger>>,
        profile: Profile,
        habits: Habits,
        device: u64,
    ) -> Arc<Self> {
        let state = State {
            tree: Tree::new(profile, device),
            mounted: Some(0),
            weather: Weather::default(),
            lives: 0,
            alive: Vec::new(),
            kill_in: None,
            is_killed: false,
            race: None,
            habits,
            skew: 0,
            events: Vec::new(),
            changes: 0,
            unseen: false,
            calls: 0,
        };
        let (scene, ledger) = (Arc::clone(scene), Arc::clone(ledger));
        Arc::new(Self { scene, ledger, state: Mutex::new(state), handles: AtomicU64::new(0) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// The time by this machine's clock.
    pub(crate) fn now(&self) -> i64 {
        self.scene.wall() + self.state().skew
    }

    pub(crate) fn set_skew(&self, nanos: i64) {
        self.state().skew = nanos;
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    pub(crate) fn mount(&self, replace: bool) {
        let mut state = self.state();
        let root = if replace { state.tree.another_root() } else { 0 };
        state.unseen |= state.mounted != Some(root);
        state.mounted = Some(root);
    }

    pub(crate) fn unmount(&self) {
        let mut state = self.state();
        (state.mounted, state.unseen) = (None, true);
    }

    pub(crate) fn kill_in(&self, calls: Option<u32>) {
        self.state().kill_in = calls;
    }

    /// Whether the process was killed at a call.
    pub(crate) fn is_killed(&self) -> bool {
        self.state().is_killed
    }

    /// After so many calls a person does something, as `seed` says.
    pub(crate) fn race_in(&self, calls: u32, seed: u64) {
        self.state().race = Some((calls, seed));
    }

    /// A new process: its view of the disk.
    pub(crate) fn open(self: &Arc<Self>) -> Arc<ModelDisk> {
        let mut state = self.state();
        state.lives += 1;
        let life = state.lives;
        state.alive.push(life);
        Arc::new(ModelDisk { drive: Arc::clone(self), life, root: state.mounted })
    }

    /// Ends every process, wherever it is.
    pub(crate) fn end_processes(&self) {
        let mut state = self.state();
        state.alive.clear();
        (state.is_killed, state.kill_in, state.race) = (false, None, None);
    }

    /// Ends every process but the first.
    pub(crate) fn end_others(&self) {
        self.state().alive.truncate(1);
    }

    pub(crate) fn is_mounted(&self) -> bool {
        self.state().mounted == Some(0)
    }

    /// Whether a process holds the folder.
    pub(crate) fn is_held(&self) -> bool {
        let mut state = self.state();
        let lock = state.tree.find(0, b".hcfs/lock");
        lock.is_ok_and(|node| state.tree.node(node).lock.is_some())
    }

    pub(crate) fn lose_power(&self) {
        self.end_processes();
        let now = self.now();
        self.state().changes += 1;
        let lost = self.state().tree.lose_power(&mut |end| self.scene.below(end), now);
        let mut state = self.state();
        // A part whose second name was lost, the one a person could see, is a part again.
        if let Ok(staged) = state.tree.find(0, b".hcfs/staged") {
            state.tree.unsee(staged);
        }
        drop(state);
        self.scene.fault(Fault::PowerLoss);
        for (count, fault) in
            [(lost.names, Fault::LostName), (lost.contents, Fault::LostWrite), (lost.torn, Fault::TornWrite)]
        {
            (0..count).for_each(|_| self.scene.fault(fault));
        }
    }

    /// Whoever was about to do something does not.
    pub(crate) fn call_off(&self) {
        let mut state = self.state();
        (state.race, state.kill_in) = (None, None);
    }

    /// A person does something, as `seed` says.
    pub(crate) fn act(&self, seed: u64) -> String {
        let mut state = self.state();
        self.act_in(&mut state, seed)
    }

    fn act_in(&self, state: &mut State, seed: u64) -> String {
        if state.mounted != Some(0) || state.weather.is_unplugged || state.weather.is_read_only {
            return "nothing: the folder is not there".to_owned();
        }
        state.changes += 1;
        let mut ledger = locked(&self.ledger);
        let now = self.scene.wall() + state.skew;
        let habits = state.habits;
        let seen = Vec::new();
        let mut hands = Hands {
            tree: &mut state.tree,
            root: 0,
            ledger: &mut ledger,
            rng: Rng::new(seed),
            now,
            habits,
            seen,
            unnamed: false,
        };
        let done = hands.act();
        let (seen, names) = (hands.seen, hands.unnamed);
        // Of names that cannot be kept in step no watcher tells.
        state.unseen |= names;
        state.events.extend(seen);
        self.scene.note("person", state.tree.device, || done.clone());
        done
    }

    /// How often anything changed.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    pub(crate) fn take_events(&self) -> Vec<Hint> {
        std::mem::take(&mut self.state().events)
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.state().events.is_empty()
    }

    /// A piece of work begins.
    pub(crate) fn begin_work(&self) {
        self.state().calls = 0;
    }

    /// Events were lost: until the whole folder is looked at, nobody can know of what they told.
    pub(crate) fn lost_events(&self) {
        self.state().unseen = true;
    }

    /// Whether something may have changed that nobody told of since the whole folder was last looked at.
    pub(crate) fn is_unseen(&self) -> bool {
        self.state().unseen
    }

    /// The files of what stands at the root, by the bytes of their path.
    pub(crate) fn files(&self) -> Vec<(Vec<u8>, tree::Content)> {
        let state = self.state();
        state
            .tree
            .files(state.mounted.unwrap_or(0), STATE)
            .into_iter()
            .map(|(path, node)| (path, state.tree.content(node)))
            .collect()
    }

    /// The files in a directory of the folder's own state, by the bytes of their path in it.
    pub(crate) fn own_files(&self, dir: &str) -> Vec<(Vec<u8>, tree::Content)> {
        let state = self.state();
        let Ok(dir) = state.tree.find(0, format!(".hcfs/{dir}").as_bytes()) else { return Vec::new() };
        state.tree.files(dir, b"").into_iter().map(|(path, node)| (path, state.tree.content(node))).collect()
    }
}

/// What one process sees of the drive.
pub(crate) struct ModelDisk {
    drive: Arc<Drive>,
    life: u64,
    /// The directory it opened, if there was one.
    root: Option<usize>,
}

/// What a call does to the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Read,
    Write,
    Sync,
    /// Removes what needs no room.
    Remove,
}

impl ModelDisk {
    /// What happens before any call: whatever can go wrong.
    fn call(&self, name: &'static str, path: &[u8], act: Act) -> io::Result<MutexGuard<'_, State>> {
        let drive = &self.drive;
        let scene = &drive.scene;
        let mut state = drive.state();
        let is_first = state.alive.first() == Some(&self.life);
        if (is_first && state.is_killed) || !state.alive.contains(&self.life) {
            drop(state);
            std::panic::resume_unwind(Box::new(Killed));
        }
        scene.note(name, state.tree.device, || path.escape_ascii().to_string());
        state.calls += 1;
        state.changes += u64::from(act != Act::Read);
        if let Some(left) = state.kill_in.as_mut().filter(|_| is_first) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                state.is_killed = true;
                drop(state);
                scene.fault(Fault::KillAtCall);
                std::panic::resume_unwind(Box::new(Killed));
            }
        }
        if let Some((left, seed)) = state.race {
            state.race = (left > 1).then(|| (left - 1, seed));
            if left <= 1 {
                scene.fault(Fault::Race);
                drive.act_in(&mut state, seed);
            }
        }
        let is_wild = path.starts_with(b"/")
            || (!path.is_empty() && path.split(|byte| *byte == b'/').any(|name| matches!(name, b"" | b"." | b"..")));
        if is_wild {
            scene.violate(format!("{name} leaves the root: {}", path.escape_ascii()));
        }
        match refused(&state.weather, scene, act) {
            Some(error) => Err(error),
            None => Ok(state),
        }
    }

    fn now(&self, state: &State) -> i64 {
        self.drive.scene.wall() + state.skew
    }

    fn at(&self) -> io::Result<usize> {
        self.root.ok_or_else(|| errno(2))
    }

    /// The same process with another directory, or none.
    fn with(&self, root: Option<usize>) -> Arc<dyn Disk> {
        Arc::new(Self { drive: Arc::clone(&self.drive), life: self.life, root })
    }

    /// What an engine's call may not do: end a file that a person sees or that lies in the trash.
    fn check_gone(&self, state: &mut State, node: usize, what: &str) {
        if !state.tree.is_gone(node) || !state.tree.node(node).was_visible {
            return;
        }
        let content = state.tree.content(node);
        // A person may have saved the very same over it.
        let files = || state.tree.files(state.mounted.unwrap_or(0), STATE);
        let is_elsewhere = || files().iter().any(|(_, other)| state.tree.content(*other) == content);
        if locked(&self.drive.ledger).is_wanted(&content) && !is_elsewhere() {
            let text = crate::user::brief(&content);
            self.drive.scene.violate(format!("{what} unlinks a version that nobody told to drop: {text}"));
        }
    }

    /// The watcher hears of what the folder's own process does as well.
    fn hear(state: &mut State, path: &[u8]) {
        if is_visible(path) {
            state.events.extend(hcfs_model::RelPath::from_bytes(path).ok().map(Hint::Touched));
        }
    }

    fn arrived(&self, state: &mut State, path: &[u8]) {
        Self::hear(state, path);
        if is_visible(path)
            && let Ok(node) = self.at().and_then(|root| state.tree.find(root, path))
        {
            state.tree.node(node).was_visible = true;
        }
    }
}

fn is_visible(path: &[u8]) -> bool {
    path != STATE && !path.starts_with(b".hcfs/")
}

fn refused(weather: &Weather, scene: &Scene, act: Act) -> Option<io::Error> {
    if weather.is_unplugged {
        return Some(errno(EIO));
    }
    let changes = matches!(act, Act::Write | Act::Remove);
    if changes && weather.is_read_only {
        scene.fault(Fault::ReadOnly);
        return Some(errno(EROFS));
    }
    if act == Act::Write && weather.is_full {
        scene.fault(Fault::NoSpace);
        return Some(errno(ENOSPC));
    }
    if weather.errors > 0 && scene.below(1000) < weather.errors {
        scene.fault(match act {
            Act::Read => Fault::ReadError,
            Act::Sync => Fault::SyncError,
            Act::Write | Act::Remove => Fault::WriteError,
        });
        return Some(errno(EIO));
    }
    if weather.denials > 0 && scene.below(1000) < weather.denials {
        scene.fault(Fault::Denied);
        return Some(errno(EACCES));
    }
    None
}

impl Disk for ModelDisk {
    fn root(&self) -> &Path {
        Path::new("/folder")
    }

    fn root_now(&self) -> io::Result<Stat> {
        let state = self.call("root_now", b"", Act::Read)?;
        let root = state.mounted.ok_or_else(|| errno(2))?;
        Ok(state.tree.stat(root))
    }

    fn reopen(&self) -> Option<io::Result<Arc<dyn Disk>>> {
        let root = self.drive.state().mounted;
        Some(root.ok_or_else(|| errno(2)).map(|root| self.with(Some(root))))
    }

    fn absent(&self) -> Arc<dyn Disk> {
        self.with(None)
    }

    fn make_root(&self) -> io::Result<()> {
        let mut state = self.call("make_root", b"", Act::Write)?;
        if state.mounted.is_some() {
            return Err(errno(EEXIST));
        }
        state.mounted = Some(state.tree.another_root());
        Ok(())
    }

    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        let state = self.call("stat", path, Act::Read)?;
        let node = state.tree.find(self.at()?, path)?;
        Ok(state.tree.stat(node))
    }

    fn list(&self, dir: &[u8], each: &mut Each<'_>) -> io::Result<()> {
        let mut state = self.call("list", dir, Act::Read)?;
        let node = state.tree.find(self.at()?, dir)?;
        let mut entries = state.tree.list(node)?;
        // A look at the whole folder begins with this; one for a single name does not.
        if dir.is_empty() && state.calls == 1 && self.root == state.mounted {
            state.unseen = false;
        }
        if entries.len() > 1 {
            let turn = self.drive.scene.below(entries.len());
            entries.rotate_left(turn);
        }
        let found: Vec<_> = entries.into_iter().map(|(name, node)| (name, state.tree.stat(node))).collect();
        // What is called may call the disk in turn.
        drop(state);
        for (name, stat) in found {
            if each(&name, Ok(stat)) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, path: &[u8], how: Open) -> io::Result<Box<dyn DiskFile>> {
        let act = if matches!(how, Open::Create { .. }) { Act::Write } else { Act::Read };
        let mut state = self.call("open", path, act)?;
        let node = match how {
            Open::Read | Open::Write => {
                let node = state.tree.find(self.at()?, path)?;
                match state.tree.node(node).kind {
                    Kind::File => node,
                    Kind::Directory => return Err(errno(21)),
                    Kind::Symlink => return Err(errno(40)),
                    Kind::Special => return Err(errno(6)),
                }
            }
            Open::Create { mode } => {
                let now = self.now(&state);
                let node = state.tree.create(self.at()?, path, Kind::File, mode & !0o022, now)?;
                self.arrived(&mut state, path);
                node
            }
        };
        state.tree.node(node).opened += 1;
        drop(state);
        let disk = Self { drive: Arc::clone(&self.drive), life: self.life, root: self.root };
        let handle = self.drive.handles.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(ModelFile { disk, node, handle, path: path.to_vec() }))
    }

    fn rename(&self, from: &[u8], to: &[u8], how: Rename) -> io::Result<()> {
        let mut state = self.call("rename", to, Act::Remove)?;
        let now = self.now(&state);
        let replaced = state.tree.rename(self.at()?, from, to, how, now).inspect_err(|error| {
            if error.raw_os_error() == Some(EINVAL) {
                self.drive.scene.fault(if how == Rename::Exchange { Fault::NoExchange } else { Fault::NoNoReplace });
            }
        })?;
        self.arrived(&mut state, to);
        Self::hear(&mut state, from);
        let is_leaky = self.drive.scene.broken == Some(Broken::LeakyTrash);
        if is_leaky && how != Rename::Exchange && to.starts_with(b".hcfs/trash/") && is_visible(from) {
            let _ = state.tree.unlink(self.at()?, to, now);
        }
        if let Some(node) = replaced {
            self.check_gone(&mut state, node, "a rename");
        }
        Ok(())
    }

    fn link(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        let mut state = self.call("link", to, Act::Write)?;
        let now = self.now(&state);
        state.tree.link(self.at()?, from, to, now)?;
        self.arrived(&mut state, to);
        Ok(())
    }

    fn unlink(&self, path: &[u8]) -> io::Result<()> {
        let mut state = self.call("unlink", path, Act::Remove)?;
        let now = self.now(&state);
        let node = state.tree.unlink(self.at()?, path, now)?;
        Self::hear(&mut state, path);
        self.check_gone(&mut state, node, "an unlink");
        Ok(())
    }

    fn mkdir(&self, path: &[u8], mode: u32) -> io::Result<()> {
        let mut state = self.call("mkdir", path, Act::Write)?;
        let now = self.now(&state);
        state.tree.create(self.at()?, path, Kind::Directory, mode & !0o022, now)?;
        Self::hear(&mut state, path);
        Ok(())
    }

    fn rmdir(&self, path: &[u8]) -> io::Result<()> {
        let mut state = self.call("rmdir", path, Act::Remove)?;
        let now = self.now(&state);
        state.tree.rmdir(self.at()?, path, now)?;
        Self::hear(&mut state, path);
        Ok(())
    }

    fn sync_dir(&self, path: &[u8]) -> io::Result<()> {
        let mut state = self.call("sync_dir", path, Act::Sync)?;
        let node = state.tree.find(self.at()?, path)?;
        // Without its marker no folder starts, and nothing else would be seen of what is broken.
        if path == STATE {
            state.tree.settle_dir(node);
        } else {
            state.tree.sync_dir(node);
        }
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.call("sync_all", b"", Act::Sync)?.tree.sync_all();
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.call("space", b"", Act::Read)?;
        Ok(Space { free: if state.weather.is_full { 0 } else { 1 << 40 }, total: 1 << 41 })
    }
}

/// A file that a process holds open.
struct ModelFile {
    disk: ModelDisk,
    node: usize,
    handle: u64,
    path: Vec<u8>,
}

impl ModelFile {
    fn change(&self, name: &'static str) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.disk.call(name, &self.path, Act::Write)?;
        if state.tree.node(self.node).was_visible {
            self.disk.drive.scene.violate(format!("{name} on a person's file: {}", self.path.escape_ascii()));
        }
        Ok(state)
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl DiskFile for ModelFile {
    fn stat(&self) -> io::Result<Stat> {
        Ok(self.disk.call("fstat", &self.path, Act::Read)?.tree.stat(self.node))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.disk.call("read", &self.path, Act::Read)?.tree.content(self.node);
        let from = content.get(place(offset)..).unwrap_or_default();
        let length = from.len().min(buffer.len());
        buffer[..length].copy_from_slice(&from[..length]);
        Ok(length)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.change("write")?;
        let now = self.disk.now(&state);
        state.tree.write(self.node, bytes, place(offset), now);
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut state = self.change("allocate")?;
        if !state.tree.profile.allocates {
            self.disk.drive.scene.fault(Fault::NoAllocate);
            return Err(errno(EOPNOTSUPP));
        }
        let now = self.disk.now(&state);
        state.tree.set_len(self.node, place(length), now);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.change("set_len")?;
        let now = self.disk.now(&state);
        state.tree.set_len(self.node, place(length), now);
        Ok(())
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let mut state = self.change("set_mode")?;
        let now = self.disk.now(&state);
        state.tree.set_mode(self.node, mode, now);
        Ok(())
    }

    fn write_back(&self) {}

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.call("sync", &self.path, Act::Sync)?;
        if self.path == MARKER {
            state.tree.settle_content(self.node);
        } else {
            state.tree.sync(self.node);
        }
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.disk.call("lock", &self.path, Act::Read)?;
        let lock = &mut state.tree.node(self.node).lock;
        let is_free = lock.is_none_or(|holder| holder == self.handle);
        if is_free {
            *lock = Some(self.handle);
        }
        Ok(is_free)
    }
}

impl Drop for ModelFile {
    fn drop(&mut self) {
        let mut state = self.disk.drive.state();
        let node = state.tree.node(self.node);
        node.opened = node.opened.saturating_sub(1);
        if node.lock == Some(self.handle) {
            node.lock = None;
        }
    }
}
