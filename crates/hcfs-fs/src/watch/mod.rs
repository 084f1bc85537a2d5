//! Where to look: hints from the kernel.
//!
//! Events are hints and nothing more: they come late, merged or not at all, above all for directories that are made in
//! quick succession. So a new directory is a hint for its whole subtree, given after the watches in it are set; lost
//! events are a hint for everything; and the caller scans everything from time to time regardless.
//!
//! One thread reads the events, another gathers them until it has been quiet. Both block while nothing happens: an idle
//! folder costs no wake-up. Each directory has a watch of its own, so `.hcfs/` has none, and links are not followed.
//!
//! Deliberately absent: what an event says has happened. The scan finds out.

mod pending;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use hcfs_model::RelPath;
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, INotifyWatcher, RecursiveMode, Watcher as _};

use crate::STATE_DIR;
use crate::disk::{Disk, Kind, join};
use crate::folder::Folder;
use pending::Pending;

/// The setting that bounds the watches of one user.
const SYSCTL: &str = "fs.inotify.max_user_watches";

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// At this path.
    Touched(RelPath),
    /// At this path and everything below it.
    Subtree(RelPath),
    /// The first was renamed to the second; evidence for pairing, both are hinted at apart.
    Moved(RelPath, RelPath),
    /// Everywhere.
    Rescan(RescanReason),
}

/// Why everything has to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RescanReason {
    /// Events were lost, or there were too many to name.
    Overflow,
    /// Not every directory can be watched: until the limit is raised and the watcher started again, only looking at
    /// everything from time to time finds all changes.
    WatchLimit {
        /// How many watches this folder needs: one for each directory.
        needed: u64,
        /// The setting that bounds them.
        sysctl: &'static str,
    },
}

impl RescanReason {
    /// What to tell the user; `None` where there is nothing to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Overflow => None,
            // With room for the user's other programs.
            Self::WatchLimit { needed, sysctl } => Some(format!(
                "raise the limit, for example with `sysctl {sysctl}={}`; it is tried again by itself, and until then the \
                 folder is looked at from time to time",
                needed.saturating_mul(2).next_power_of_two().max(65_536)
            )),
        }
    }
}

/// Why a folder cannot be watched at all. It can still be looked at from time to time.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The user has too many watchers.
    #[error("no further watcher can be made for \"{}\"", path.display())]
    Instances {
        /// The root.
        path: PathBuf,
    },
    /// Anything else.
    #[error("\"{}\" cannot be watched", path.display())]
    Io {
        /// The root.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl WatchError {
    /// What to do now.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Instances { .. } => "raise fs.inotify.max_user_instances, or close other programs that watch files",
            Self::Io { .. } => "the folder is looked at from time to time instead",
        }
    }
}

/// Whatever says where to look in a folder, until it is dropped.
pub trait Watch: Send {
    /// The hints gathered so far, each said once: a rescan first, then renames, subtrees, single paths. At most some
    /// thousand; more become one rescan.
    fn take(&self) -> Vec<Hint>;

    /// Whether the limit of watches was met: a hint will say so, and nothing else is watched.
    fn is_limited(&self) -> bool;
}

/// Watches a folder by the kernel's word until dropped.
pub struct Watcher {
    shared: Arc<Shared>,
    gatherer: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Watches `folder`. `wake` is called, from another thread, whenever [`Watch::take`] has something; it must not
    /// block.
    ///
    /// Where the limit of watches is too low no watch is held at all, so that other programs are not starved, and the
    /// first hint says so.
    ///
    /// # Errors
    /// Why there can be no watcher.
    pub fn start(folder: &Folder, wake: impl Fn() + Send + 'static) -> Result<Self, WatchError> {
        let disk = Arc::clone(&folder.disk);
        let root = disk.root().to_path_buf();
        let shared = Arc::new(Shared { root: root.clone(), state: Mutex::default(), changed: Condvar::new() });
        let failed = |error: notify::Error| watch_error(&root, error);
        let handler = Arc::clone(&shared);
        let events = move |event: notify::Result<Event>| handler.event(event, Instant::now());
        let inotify = INotifyWatcher::new(events, notify::Config::default().with_follow_symlinks(false));
        let mut watches = Watches { disk, root: root.clone(), inotify: Some(inotify.map_err(failed)?) };
        match watches.add(&root) {
            Ok(()) => {}
            Err(error) if is_limit(&error) => shared.limit(watches.give_up()),
            Err(error) => return Err(failed(error)),
        }
        let gathered = Arc::clone(&shared);
        let gatherer = std::thread::Builder::new()
            .name("hcfs-watch".into())
            .spawn(move || gathered.gather(watches, &wake))
            .map_err(|source| WatchError::Io { path: root, source })?;
        Ok(Self { shared, gatherer: Some(gatherer) })
    }
}

impl Watch for Watcher {
    fn take(&self) -> Vec<Hint> {
        let ready = std::mem::take(&mut self.shared.lock().ready);
        ready.into_hints()
    }

    fn is_limited(&self) -> bool {
        self.shared.lock().limited
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(gatherer) = self.gatherer.take() {
            // A panic of that thread was reported when it happened.
            let _ = gatherer.join();
        }
    }
}

/// What the threads share.
struct Shared {
    root: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    gathering: Pending,
    ready: Pending,
    limited: bool,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up an event, on the thread of the watcher.
    fn event(&self, event: notify::Result<Event>, now: Instant) {
        let mut state = self.lock();
        let idle = state.gathering.due().is_none();
        match event {
            Ok(event) => self.note(&event, &mut state.gathering, now),
            Err(_) => state.gathering.rescan(RescanReason::Overflow, now),
        }
        // The gatherer wakes by itself once it is gathering.
        if (idle && state.gathering.due().is_some()) || state.gathering.has_unwatched() {
            self.changed.notify_one();
        }
    }

    fn note(&self, event: &Event, pending: &mut Pending, now: Instant) {
        if event.need_rescan() {
            // Directories may have been made unseen.
            pending.watch(&self.root, &self.root);
            pending.rescan(RescanReason::Overflow, now);
            return;
        }
        let gone = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
        if gone && event.paths.first().is_some_and(|path| *path == self.root) {
            // The scan that follows finds the root missing.
            pending.rescan(RescanReason::Overflow, now);
            return;
        }
        let mut paths = event.paths.iter().map(|path| (path, self.relative(path)));
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            // Somebody reads: the scan itself does.
            EventKind::Access(_) => return,
            EventKind::Create(CreateKind::Folder) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                for (path, relative) in paths {
                    if let Some(relative) = relative {
                        pending.watch(path, &self.root);
                        pending.subtree(relative, now);
                    }
                }
                return;
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => {
                if let (Some((_, Some(from))), Some((_, Some(to)))) = (paths.next(), paths.next()) {
                    pending.moved(from, to, now);
                }
                return;
            }
            _ => {}
        }
        for relative in paths.filter_map(|(_, relative)| relative) {
            pending.touch(relative, now);
        }
    }

    /// The path below the root; `None` for the root, `.hcfs/`, and names that cannot be synced.
    fn relative(&self, path: &Path) -> Option<RelPath> {
        RelPath::from_bytes(path.strip_prefix(&self.root).ok()?.as_os_str().as_bytes()).ok()
    }

    fn limit(&self, needed: u64) {
        let mut state = self.lock();
        state.limited = true;
        state.gathering.rescan(limit(needed), Instant::now());
    }

    /// The gathering thread: sets the watches new directories need, and hands hints on when they are due.
    fn gather(&self, mut watches: Watches, wake: &(impl Fn() + Send)) {
        let mut state = self.lock();
        while !state.stop {
            let unwatched = state.gathering.take_unwatched();
            if !unwatched.is_empty() {
                drop(state);
                let limited = unwatched.iter().any(|dir| watches.add(dir).is_err_and(|error| is_limit(&error)));
                if limited {
                    self.limit(watches.give_up());
                }
                state = self.lock();
                continue;
            }
            let Some(due) = state.gathering.due() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let gathered = std::mem::take(&mut state.gathering);
            state.ready.absorb(gathered);
            drop(state);
            wake();
            state = self.lock();
        }
    }
}

/// The watches, one for each directory.
struct Watches {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// `None` after the limit was met.
    inotify: Option<INotifyWatcher>,
}

impl Watches {
    /// Watches `dir` and all directories below it, each before it is read: what is made meanwhile is either read here
    /// or an event. A directory that is gone, or none, is left.
    fn add(&mut self, dir: &Path) -> notify::Result<()> {
        let Ok(relative) = dir.strip_prefix(&self.root) else { return Ok(()) };
        let mut dirs = vec![relative.as_os_str().as_bytes().to_vec()];
        while let Some(dir) = dirs.pop() {
            if !self.disk.stat(&dir).is_ok_and(|stat| stat.kind == Kind::Directory) {
                continue;
            }
            let path = self.root.join(std::ffi::OsStr::from_bytes(&dir));
            let Some(inotify) = &mut self.inotify else { return Ok(()) };
            match inotify.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                Err(error) if is_limit(&error) || dir.is_empty() => return Err(error),
                // Gone again, or not readable: the scan says so.
                Err(_) => continue,
            }
            self.below(&dir, &mut dirs);
        }
        Ok(())
    }

    /// Lets all watches go, and counts the directories that want one.
    fn give_up(&mut self) -> u64 {
        self.inotify = None;
        let mut dirs = vec![Vec::new()];
        let mut count = 0;
        while let Some(dir) = dirs.pop() {
            count += 1;
            self.below(&dir, &mut dirs);
        }
        count
    }

    fn below(&self, dir: &[u8], dirs: &mut Vec<Vec<u8>>) {
        let read = self.disk.list(dir, &mut |name, stat| {
            let own = dir.is_empty() && name == STATE_DIR.as_bytes();
            if !own && stat.is_ok_and(|stat| stat.kind == Kind::Directory) {
                dirs.push(join(dir, name));
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = read {
            tracing::debug!(%error, "a directory cannot be read to watch it");
        }
    }
}

fn limit(needed: u64) -> RescanReason {
    RescanReason::WatchLimit { needed, sysctl: SYSCTL }
}

fn is_limit(error: &notify::Error) -> bool {
    matches!(error.kind, notify::ErrorKind::MaxFilesWatch)
}

fn watch_error(root: &Path, error: notify::Error) -> WatchError {
    let path = root.to_path_buf();
    match error.kind {
        // What inotify_init says when the user has too many instances.
        notify::ErrorKind::Io(source) if source.raw_os_error() == Some(libc::EMFILE) => WatchError::Instances { path },
        notify::ErrorKind::Io(source) => WatchError::Io { path, source },
        kind => WatchError::Io { path, source: io::Error::other(notify::Error::new(kind)) },
    }
}
