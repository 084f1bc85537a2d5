//! A disk that fails, dies, races or lacks operations on demand, over the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hcfs_fs::{Disk, DiskFile, Each, LinuxDisk, Open, Rename, Space, Stat};

pub const EIO: i32 = 5;
pub const ENOENT: i32 = 2;
pub const EACCES: i32 = 13;
pub const EINVAL: i32 = 22;
pub const ELOOP: i32 = 40;
pub const ENOSPC: i32 = 28;
pub const EPERM: i32 = 1;
pub const EEXIST: i32 = 17;

/// What happens at the chosen call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// That call alone fails.
    Once(i32),
    /// That call and all after it fail and have no effect: the process is dead.
    Death,
}

pub type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub struct Script {
    pub calls: AtomicUsize,
    pub fault: Mutex<Option<(usize, Fault)>>,
    pub denied: Mutex<BTreeSet<Vec<u8>>>,
    /// Runs right before the next rename of the kind.
    pub race: Mutex<Option<(Rename, Hook)>>,
    pub no_exchange: bool,
    pub no_noreplace: bool,
    pub no_link: bool,
    /// Renames and syncs, in their order.
    pub log: Mutex<Vec<String>>,
    pub folds_case: bool,
    /// Syncs are counted and can fail, and the device is left in peace.
    pub no_sync: bool,
    pub space: Mutex<Option<Space>>,
    /// Why the next directory cannot be made.
    pub unmade: Mutex<Option<i32>>,
    /// Directories that cannot be synced, and why.
    pub unsynced: Mutex<BTreeMap<&'static str, i32>>,
    pub keeps_order: bool,
}

impl Script {
    pub fn without_exchange() -> Self {
        Self { no_exchange: true, ..Self::default() }
    }

    pub fn only_links() -> Self {
        Self { no_exchange: true, no_noreplace: true, ..Self::default() }
    }

    /// From now on, the call number `at` (from 0) meets `fault`.
    pub fn arm(&self, at: usize, fault: Fault) {
        self.calls.store(0, Ordering::SeqCst);
        *self.fault.lock().unwrap() = Some((at, fault));
    }

    /// Ends the faults; says whether the chosen call was reached.
    pub fn disarm(&self) -> bool {
        let at = self.fault.lock().unwrap().take().map_or(usize::MAX, |(at, _)| at);
        self.calls.load(Ordering::SeqCst) > at
    }

    pub fn deny(&self, dir: &[u8]) {
        self.denied.lock().unwrap().insert(dir.to_vec());
    }

    pub fn race(&self, before: Rename, hook: impl FnOnce() + Send + 'static) {
        *self.race.lock().unwrap() = Some((before, Box::new(hook)));
    }

    fn note(&self, what: &str, path: &[u8]) {
        self.log.lock().unwrap().push(format!("{what} {}", String::from_utf8_lossy(path)));
    }

    fn call(&self) -> io::Result<()> {
        let now = self.calls.fetch_add(1, Ordering::SeqCst);
        match *self.fault.lock().unwrap() {
            Some((at, Fault::Once(errno))) if now == at => Err(io::Error::from_raw_os_error(errno)),
            Some((at, Fault::Death)) if now >= at => Err(io::Error::from_raw_os_error(EIO)),
            _ => Ok(()),
        }
    }
}

pub struct Scripted {
    inner: LinuxDisk,
    script: Arc<Script>,
}

impl Scripted {
    pub fn over(root: &Path, script: &Arc<Script>) -> Arc<Self> {
        Arc::new(Self { inner: LinuxDisk::open(root).unwrap(), script: Arc::clone(script) })
    }

    /// The name that stands on disk for `path` where case does not count.
    fn folded(&self, path: &[u8]) -> Vec<u8> {
        if !self.script.folds_case || self.inner.stat(path).is_ok() {
            return path.to_vec();
        }
        let (dir, name) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&path[..0], path),
        };
        let mut found = path.to_vec();
        let _ = self.inner.list(dir, &mut |other, _| {
            if other.eq_ignore_ascii_case(name) {
                found = if dir.is_empty() { other.to_vec() } else { [dir, b"/", other].concat() };
            }
            ControlFlow::Continue(())
        });
        found
    }
}

fn refuse(when: bool, errno: i32) -> io::Result<()> {
    if when { Err(io::Error::from_raw_os_error(errno)) } else { Ok(()) }
}

impl Disk for Scripted {
    fn root(&self) -> &Path {
        self.inner.root()
    }

    fn root_now(&self) -> io::Result<Stat> {
        self.script.call()?;
        self.inner.root_now()
    }

    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        self.script.call()?;
        self.inner.stat(&self.folded(path))
    }

    fn list(&self, dir: &[u8], each: &mut Each<'_>) -> io::Result<()> {
        self.script.call()?;
        refuse(self.script.denied.lock().unwrap().contains(dir), EACCES)?;
        self.inner.list(dir, each)
    }

    fn open(&self, path: &[u8], how: Open) -> io::Result<Box<dyn DiskFile>> {
        self.script.call()?;
        refuse(self.script.denied.lock().unwrap().contains(path), EACCES)?;
        let inner = self.inner.open(&self.folded(path), how)?;
        Ok(Box::new(ScriptedFile { inner, script: Arc::clone(&self.script) }))
    }

    fn rename(&self, from: &[u8], to: &[u8], how: Rename) -> io::Result<()> {
        self.script.call()?;
        refuse(self.script.no_exchange && how == Rename::Exchange, EINVAL)?;
        refuse(self.script.no_noreplace && how == Rename::NoReplace, EINVAL)?;
        let hook = self.script.race.lock().unwrap().take_if(|(kind, _)| *kind == how);
        if let Some((_, hook)) = hook {
            hook();
        }
        refuse(how == Rename::NoReplace && self.inner.stat(&self.folded(to)).is_ok(), EEXIST)?;
        self.script.note(&format!("{how:?}"), to);
        self.inner.rename(from, to, how)
    }

    fn link(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        self.script.call()?;
        refuse(self.script.no_link, EPERM)?;
        self.inner.link(from, to)
    }

    fn unlink(&self, path: &[u8]) -> io::Result<()> {
        self.script.call()?;
        self.inner.unlink(path)
    }

    fn mkdir(&self, path: &[u8], mode: u32) -> io::Result<()> {
        self.script.call()?;
        if let Some(errno) = self.script.unmade.lock().unwrap().take() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        self.inner.mkdir(path, mode)
    }

    fn rmdir(&self, path: &[u8]) -> io::Result<()> {
        self.script.call()?;
        self.inner.rmdir(path)
    }

    fn sync_dir(&self, path: &[u8]) -> io::Result<()> {
        self.script.call()?;
        if let Some(&errno) = self.script.unsynced.lock().unwrap().get(&*String::from_utf8_lossy(path)) {
            return Err(io::Error::from_raw_os_error(errno));
        }
        self.script.note("sync", path);
        if self.script.no_sync {
            return self.inner.stat(path).map(drop);
        }
        self.inner.sync_dir(path)
    }

    fn keeps_order(&self) -> bool {
        self.script.keeps_order
    }

    fn sync_all(&self) -> io::Result<()> {
        self.script.call()?;
        self.inner.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        self.script.call()?;
        self.script.space.lock().unwrap().map_or_else(|| self.inner.space(), Ok)
    }
}

struct ScriptedFile {
    inner: Box<dyn DiskFile>,
    script: Arc<Script>,
}

impl DiskFile for ScriptedFile {
    fn stat(&self) -> io::Result<Stat> {
        self.script.call()?;
        self.inner.stat()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.script.call()?;
        self.inner.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.script.call()?;
        self.inner.write_all_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.script.call()?;
        self.inner.allocate(length)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.script.call()?;
        self.inner.set_len(length)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.script.call()?;
        self.inner.set_mode(mode)
    }

    fn write_back(&self) {
        self.script.note("write back", b"file");
        self.inner.write_back();
    }

    fn sync(&self) -> io::Result<()> {
        self.script.call()?;
        self.script.note("sync", b"file");
        if self.script.no_sync { Ok(()) } else { self.inner.sync() }
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.script.call()?;
        self.inner.try_lock()
    }
}
