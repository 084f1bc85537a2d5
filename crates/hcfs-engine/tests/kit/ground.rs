//! A folder on ground of the test's choice: a disk that refuses things, a machine that says things.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hcfs_engine::{FolderHandle, FolderStatus, Ground, Machine, OpenFolder, SystemClock};
use hcfs_fs::{Disk, DiskFile, Each, Folder, LinuxDisk, Open, Rename, Space, Stat};
use hcfs_state::{Identity, Store};
use rustix::io::Errno;

use super::{Device, folder, owner};

/// The folder of a device on this disk and this machine, not yet kept in step.
pub(crate) async fn open(
    device: &mut Device,
    disk: Option<Arc<dyn Disk>>,
    machine: Arc<dyn Machine>,
) -> (FolderHandle, OpenFolder) {
    device.stop().await;
    let spec = device.spec();
    let identity = Identity { account: owner().account, folder: folder() };
    let ground = Ground {
        database: Store::open(&spec.database, &identity).unwrap(),
        disk: disk.unwrap_or_else(|| Arc::new(Folder::disk(&spec.root, &[]).unwrap())),
        remote: Arc::new(device.remote.clone()),
        clock: Arc::new(SystemClock),
        machine,
    };
    hcfs_engine::open(spec, owner(), ground).unwrap()
}

/// Keeps an open folder in step on a thread of its own.
pub(crate) fn on_a_thread((handle, folder): (FolderHandle, OpenFolder)) -> FolderHandle {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ended = runtime.block_on(folder.live()).unwrap();
        drop(runtime);
        ended.close();
    });
    handle
}

/// Waits until the status is as wanted.
pub(crate) async fn until(handle: &FolderHandle, wanted: impl FnMut(&Arc<FolderStatus>) -> bool) -> Arc<FolderStatus> {
    let mut status = handle.status();
    let found = tokio::time::timeout(Duration::from_secs(30), status.wait_for(wanted)).await;
    found.unwrap().unwrap().clone()
}

/// The real disk, but for what it is told to refuse.
pub(crate) struct Refusing {
    inner: LinuxDisk,
    /// Names of files and directories that may not be opened or listed.
    pub(crate) denied: Mutex<BTreeSet<&'static str>>,
    /// What every change is refused with.
    pub(crate) no_change: Mutex<Option<Errno>>,
    /// What renames that exchange, or that must not replace, are refused with.
    pub(crate) no_flags: Mutex<Option<Errno>>,
    /// Files that grow by a line whenever something is read of them.
    pub(crate) restless: Mutex<BTreeSet<&'static str>>,
    /// How often each file outside the folder's own state was opened to read.
    read: Mutex<BTreeMap<String, usize>>,
}

impl Refusing {
    pub(crate) fn nothing(root: &Path) -> Arc<Self> {
        Arc::new(Self {
            inner: Folder::disk(root, &[]).unwrap(),
            denied: Mutex::default(),
            no_change: Mutex::default(),
            no_flags: Mutex::default(),
            restless: Mutex::default(),
            read: Mutex::default(),
        })
    }

    /// How often a file was opened to read, or all of them were.
    pub(crate) fn reads(&self, of: Option<&str>) -> usize {
        let read = self.read.lock().unwrap();
        read.iter().filter(|(path, _)| of.is_none_or(|of| of == path.as_str())).map(|(_, count)| count).sum()
    }

    fn look(&self, path: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(path).unwrap();
        if self.denied.lock().unwrap().contains(text) { Err(Errno::ACCESS.into()) } else { Ok(()) }
    }

    fn change(&self) -> io::Result<()> {
        self.no_change.lock().unwrap().map_or(Ok(()), |errno| Err(errno.into()))
    }
}

impl Disk for Refusing {
    fn root(&self) -> &Path {
        self.inner.root()
    }

    fn root_now(&self) -> io::Result<Stat> {
        self.inner.root_now()
    }

    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        self.inner.stat(path)
    }

    fn list(&self, dir: &[u8], each: &mut Each<'_>) -> io::Result<()> {
        self.look(dir)?;
        self.inner.list(dir, each)
    }

    fn open(&self, path: &[u8], how: Open) -> io::Result<Box<dyn DiskFile>> {
        self.look(path)?;
        if how == Open::Read && !path.starts_with(b".hcfs/") {
            *self.read.lock().unwrap().entry(String::from_utf8_lossy(path).into_owned()).or_default() += 1;
        }
        if matches!(how, Open::Create { .. }) {
            self.change()?;
        }
        let file = self.inner.open(path, how)?;
        let text = std::str::from_utf8(path).unwrap();
        if how == Open::Read && self.restless.lock().unwrap().contains(text) {
            let grows = std::fs::OpenOptions::new().append(true).open(self.inner.root().join(text))?;
            return Ok(Box::new(Restless { file, grows }));
        }
        Ok(file)
    }

    fn rename(&self, from: &[u8], to: &[u8], how: Rename) -> io::Result<()> {
        self.change()?;
        match *self.no_flags.lock().unwrap() {
            Some(errno) if how != Rename::Replace => Err(errno.into()),
            _ => self.inner.rename(from, to, how),
        }
    }

    fn link(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        self.change()?;
        self.inner.link(from, to)
    }

    fn unlink(&self, path: &[u8]) -> io::Result<()> {
        self.inner.unlink(path)
    }

    fn mkdir(&self, path: &[u8], mode: u32) -> io::Result<()> {
        self.change()?;
        self.inner.mkdir(path, mode)
    }

    fn rmdir(&self, path: &[u8]) -> io::Result<()> {
        self.inner.rmdir(path)
    }

    fn sync_dir(&self, path: &[u8]) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.inner.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        self.inner.space()
    }
}

struct Restless {
    file: Box<dyn DiskFile>,
    grows: std::fs::File,
}

impl DiskFile for Restless {
    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let length = self.file.read_at(buffer, offset)?;
        (&self.grows).write_all(b"a line\n")?;
        Ok(length)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file.allocate(length)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_mode(mode)
    }

    fn write_back(&self) {
        self.file.write_back();
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
}
