//! Drives that run full, are pulled out, or lose their power: an ext4 file system in an image, mounted over a directory.
//!
//! Mounting takes root. Where it is not allowed these tests fail, unless `HCFS_NO_SERVICES` is set: then they say that
//! nothing was tested.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether drives can be had here.
///
/// # Panics
/// They cannot, and nobody said that this is expected.
#[must_use]
pub fn has_drives() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let is_excused = std::env::var_os("HCFS_NO_SERVICES").is_some();
    assert!(
        is_root || is_excused,
        "drives are mounted, which takes root; or set HCFS_NO_SERVICES to leave that untested"
    );
    if !is_root {
        println!("NOT TESTED: drives cannot be mounted without root");
    }
    is_root
}

/// A drive over a directory. Gone when it is dropped, with all it held.
pub struct Drive {
    place: tempfile::TempDir,
    over: PathBuf,
    options: String,
}

impl Drive {
    /// A drive of some MiB, mounted over a directory with options such as `commit=30`.
    ///
    /// # Errors
    /// It cannot be made or mounted.
    pub fn over(directory: &Path, mib: u64, options: &str) -> io::Result<Self> {
        let place = tempfile::tempdir()?;
        let options = format!("loop,nodev,nosuid{}{options}", if options.is_empty() { "" } else { "," });
        let drive = Self { place, over: directory.to_owned(), options };
        std::fs::File::create_new(drive.image())?.set_len(mib << 20)?;
        run("mkfs.ext4", ["-q".as_ref(), "-F".as_ref(), "-m0".as_ref(), drive.image().as_os_str()])?;
        drive.plug()?;
        Ok(drive)
    }

    fn image(&self) -> PathBuf {
        self.place.path().join("image")
    }

    /// Mounts it.
    ///
    /// # Errors
    /// The system refused.
    pub fn plug(&self) -> io::Result<()> {
        run("mount", ["-o".as_ref(), self.options.as_ref(), self.image().as_os_str(), self.over.as_os_str()])
    }

    /// Pulls it out, whoever uses it.
    ///
    /// # Errors
    /// The system refused.
    pub fn unplug(&self) -> io::Result<()> {
        run("umount", ["--lazy".as_ref(), self.over.as_os_str()])
    }

    /// Mounts it anew with other options, such as `ro`.
    ///
    /// # Errors
    /// The system refused.
    pub fn remount(&self, options: &str) -> io::Result<()> {
        let options = format!("remount,{options}");
        run("mount", ["-o".as_ref(), options.as_ref(), self.over.as_os_str()])
    }

    /// Cuts the power and brings it back: what the file system had not yet given to the drive is gone, and its journal is
    /// replayed. Whoever used it must have been killed.
    ///
    /// # Errors
    /// The system refused.
    pub fn cut_power(&self) -> io::Result<()> {
        let now = self.place.path().join("now");
        run("cp", ["--sparse=always".as_ref(), self.image().as_os_str(), now.as_os_str()])?;
        self.unplug()?;
        // What is still written goes to the old image, which nobody sees any more.
        std::fs::rename(&now, self.image())?;
        self.plug()
    }

    /// Makes everything written so far durable, as a person does who waits until the lamp is off.
    ///
    /// # Errors
    /// The system refused.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(std::fs::File::open(&self.over)?)?)
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        // It may be unplugged.
        let _ = self.unplug();
    }
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> io::Result<()> {
    let out = Command::new(program).args(arguments).output()?;
    if out.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{program} ended with {}: {}",
        out.status,
        String::from_utf8_lossy(&out.stderr).trim()
    )))
}
