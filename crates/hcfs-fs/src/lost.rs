//! A folder whose root is not there, or is not the one it was: opened again when it is back, or when a person says what
//! is to become of it.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use crate::disk::{Disk, Nowhere};
use crate::error::RootError;
use crate::folder::{Folder, RootIdentity};

impl RootError {
    /// Whether the folder that was synced is not at its place, so that it must be opened again once it is. Other errors
    /// leave the open folder as it is.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. }
                | Self::NotADirectory { .. }
                | Self::NotMounted { .. }
                | Self::MarkerMissing { .. }
                | Self::MarkerDamaged { .. }
                | Self::Replaced { .. }
        )
    }
}

impl Folder {
    /// The folder `known` while it is not at the root of `disk`: nothing is found in it, and nothing can be put there.
    /// What stands at the root is held neither open nor locked, so a file system can be unmounted.
    #[must_use]
    pub fn absent(disk: &dyn Disk, known: RootIdentity) -> Self {
        Self {
            disk: disk.absent(),
            identity: known,
            is_absent: true,
            case_insensitive: false,
            new_file_mode: 0o644,
            trash_counter: AtomicU64::new(0),
            unsettled: Mutex::default(),
            _lock: None,
        }
    }

    /// The disk of a root that is not there.
    #[must_use]
    pub fn no_disk(root: &Path) -> Arc<dyn Disk> {
        Arc::new(Nowhere::at(root))
    }

    /// This folder, let go of because it is not at its root any more.
    #[must_use]
    pub fn let_go(&self) -> Self {
        Self::absent(&*self.disk, self.identity)
    }

    /// Whether this is an [`Folder::absent`] one.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.is_absent
    }

    /// Whether the root can be opened anew: not where the disk is none of the system's.
    #[must_use]
    pub fn can_reopen(&self) -> bool {
        self.disk.reopen().is_some()
    }

    /// Opens what stands at the root now. With `known` only the folder that was synced; without, whatever directory it is:
    /// its marker is adopted, or made where there is none.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub fn reopen(&self, known: Option<RootIdentity>, new_id: [u8; 16]) -> Result<Self, RootError> {
        let missing = || RootError::Missing { path: self.root().to_path_buf() };
        let disk = self.disk.reopen().ok_or_else(missing)?;
        Self::over(disk.map_err(|source| RootError::opening(self.root(), source))?, known, new_id)
    }

    /// Makes the directory of a root that is missing. The directory it lies in must be there: where a file system is not
    /// mounted, the folder is not made below its mount point.
    ///
    /// # Errors
    /// What the system refused.
    pub fn make_root(&self) -> Result<(), RootError> {
        self.disk.make_root().map_err(|source| RootError::io(self.root(), "make the directory", source))
    }
}
