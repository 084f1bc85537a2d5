//! The disk of a folder whose root is not there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskFile, Each, LinuxDisk, Open, Rename, Space, Stat, linux};

/// Nothing is found below it, and nothing can be made: whatever stands at the root now is not touched.
pub(crate) struct Nowhere {
    root: PathBuf,
}

impl Nowhere {
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }
}

fn nothing<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

impl Disk for Nowhere {
    fn root(&self) -> &Path {
        &self.root
    }

    fn root_now(&self) -> io::Result<Stat> {
        linux::root_now(&self.root)
    }

    fn reopen(&self) -> Option<io::Result<Arc<dyn Disk>>> {
        Some(LinuxDisk::open(&self.root).map(|disk| Arc::new(disk) as Arc<dyn Disk>))
    }

    fn stat(&self, _path: &[u8]) -> io::Result<Stat> {
        nothing()
    }

    fn list(&self, _dir: &[u8], _each: &mut Each<'_>) -> io::Result<()> {
        nothing()
    }

    fn open(&self, _path: &[u8], _how: Open) -> io::Result<Box<dyn DiskFile>> {
        nothing()
    }

    fn rename(&self, _from: &[u8], _to: &[u8], _how: Rename) -> io::Result<()> {
        nothing()
    }

    fn link(&self, _from: &[u8], _to: &[u8]) -> io::Result<()> {
        nothing()
    }

    fn unlink(&self, _path: &[u8]) -> io::Result<()> {
        nothing()
    }

    fn mkdir(&self, _path: &[u8], _mode: u32) -> io::Result<()> {
        nothing()
    }

    fn rmdir(&self, _path: &[u8]) -> io::Result<()> {
        nothing()
    }

    fn sync_dir(&self, _path: &[u8]) -> io::Result<()> {
        nothing()
    }

    fn sync_all(&self) -> io::Result<()> {
        nothing()
    }

    fn space(&self) -> io::Result<Space> {
        nothing()
    }
}
