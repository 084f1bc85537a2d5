//! Files that come from elsewhere than the server, put into a running folder.
//!
//! What fetches them works beside the session and must neither hold the folder open when the session ends nor change it
//! while the session looks at it: it gets the directory for one step at a time, and the session's gate with it where
//! the step changes a name.

use std::sync::{Arc, Weak};

use hcfs_fs::Folder;
use hcfs_model::RelPath;
use tokio::sync::RwLock;

use crate::blocking::blocking;
use crate::handle::CommandError;
use crate::machine::Machine;
use crate::spec::Clock;

/// The directory of a running folder.
#[derive(Clone)]
pub struct Placing {
    pub(crate) folder: Weak<Folder>,
    pub(crate) gate: Arc<RwLock<()>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) device: String,
}

impl Placing {
    /// Does one step that changes nothing under a name of the user's, on a thread that may block.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn with<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Folder) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        let folder = self.folder.upgrade().ok_or(CommandError::Stopped)?;
        Ok(blocking(Arc::clone(&self.machine), move || step(&folder)).await)
    }

    /// Does one step that changes a name, between two looks of the session; it comes to its end even when nobody waits
    /// for it any more.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn change<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Folder) -> T + Send + 'static,
    ) -> Result<T, CommandError> {
        let gate = Arc::clone(&self.gate).read_owned().await;
        let folder = self.folder.upgrade().ok_or(CommandError::Stopped)?;
        Ok(blocking(Arc::clone(&self.machine), move || {
            let done = step(&folder);
            drop(gate);
            done
        })
        .await)
    }

    /// The name beside a path for a version that nobody expected there.
    #[must_use]
    pub fn aside(&self, path: &RelPath) -> RelPath {
        hcfs_plan::copy_name(path, &self.device, &self.today())
    }

    /// The date, as names of copies have it.
    #[must_use]
    pub fn today(&self) -> String {
        crate::decide::date(self.clock.now())
    }
}
