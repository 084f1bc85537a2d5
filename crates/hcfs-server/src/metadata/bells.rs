//! Who waits for a change of a folder is woken here. A bell says only that it may be worth to look: it is rung after a
//! commit, and sometimes without one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::FolderKey;

/// One bell for each folder somebody waits for. Clones are the same bells.
#[derive(Clone, Default)]
pub(crate) struct Bells(Arc<Mutex<HashMap<FolderKey, Weak<Notify>>>>);

impl Bells {
    fn bells(&self) -> MutexGuard<'_, HashMap<FolderKey, Weak<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bell of a folder. Who is going to wait listens first and looks then.
    pub(crate) fn of(&self, folder: &FolderKey) -> Arc<Notify> {
        let mut bells = self.bells();
        if let Some(bell) = bells.get(folder).and_then(Weak::upgrade) {
            return bell;
        }
        // There are not many more than those who wait.
        bells.retain(|_, bell| bell.strong_count() > 0);
        let bell = Arc::new(Notify::new());
        bells.insert(folder.clone(), Arc::downgrade(&bell));
        bell
    }

    /// Wakes all who wait for a folder.
    pub(crate) fn ring(&self, folder: &FolderKey) {
        let bell = self.bells().get(folder).and_then(Weak::upgrade);
        if let Some(bell) = bell {
            bell.notify_waiters();
        }
    }

    /// Wakes all who wait for any folder.
    pub(crate) fn ring_all(&self) {
        let bells: Vec<_> = self.bells().values().filter_map(Weak::upgrade).collect();
        for bell in bells {
            bell.notify_waiters();
        }
    }

    /// Rings when it is dropped: goes with an answer that leaves after the commit, whether anybody takes it or not.
    pub(crate) fn rope(&self, folder: &FolderKey) -> Rope {
        Rope { bells: self.clone(), folder: folder.clone() }
    }
}

/// Rings a folder's bell when it is dropped.
pub(crate) struct Rope {
    bells: Bells,
    folder: FolderKey,
}

impl Drop for Rope {
    fn drop(&mut self) {
        self.bells.ring(&self.folder);
    }
}
