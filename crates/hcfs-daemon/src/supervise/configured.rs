//! Changes to the configuration, and what follows from them.

use std::path::Path;
use std::sync::Arc;

use hcfs_api as api;
use hcfs_model::{FolderHash, FolderLabel};

use super::{Supervisor, database_name, fault};
use crate::config::{self, FolderEntry};
use crate::error::DaemonError;

impl Supervisor {
    /// Adds a folder to the configuration and starts it.
    pub(crate) async fn add(self: &Arc<Self>, entry: FolderEntry) -> Result<(), DaemonError> {
        let mut changing = self.changing.lock().await;
        let paths = self.parts.paths.clone();
        let added = tokio::task::spawn_blocking(move || {
            config::check_directory(&entry.path)?;
            config::add_folder(&paths, &entry)
        });
        added.await.map_err(|_| fault("changing the configuration failed"))??;
        self.reload_locked(&mut changing).await
    }

    /// Ends a folder and takes it out of the configuration. Its files stay on both sides; what this machine remembers of
    /// it is put aside, so that adding it again starts from what is there.
    pub(crate) async fn remove(self: &Arc<Self>, label: FolderLabel) -> Result<(), DaemonError> {
        let mut changing = self.changing.lock().await;
        let paths = self.parts.paths.clone();
        let name = label.clone();
        let removed = tokio::task::spawn_blocking(move || config::remove_folder(&paths, &name)).await;
        removed.map_err(|_| fault("changing the configuration failed"))??;
        self.reload_locked(&mut changing).await?;
        put_aside(&self.parts.paths.state, FolderHash::of_label(&label));
        Ok(())
    }

    /// What the daemon may use.
    pub(crate) fn limits(&self) -> api::Limits {
        let limits = self.config().limits;
        api::Limits {
            schema: api::SCHEMA,
            upload: limits.upload,
            download: limits.download,
            transfers: limits.transfers as u64,
        }
    }

    /// Writes other limits into the configuration; they hold at once.
    pub(crate) async fn set_limits(self: &Arc<Self>, limits: config::Limits) -> Result<(), DaemonError> {
        let mut changing = self.changing.lock().await;
        let paths = self.parts.paths.clone();
        let written = tokio::task::spawn_blocking(move || config::set_limits(&paths, limits)).await;
        written.map_err(|_| fault("changing the configuration failed"))??;
        self.reload_locked(&mut changing).await
    }

    /// Adds a source to the configuration and starts it.
    pub(crate) async fn add_source(self: &Arc<Self>, added: api::AddSource) -> Result<(), DaemonError> {
        let mut changing = self.changing.lock().await;
        let paths = self.parts.paths.clone();
        let written = tokio::task::spawn_blocking(move || config::add_source(&paths, &added)).await;
        written.map_err(|_| fault("changing the configuration failed"))??;
        self.reload_locked(&mut changing).await
    }

    /// Ends a source and takes it out of the configuration. The files it brought stay; what is remembered of it goes.
    pub(crate) async fn remove_source(self: &Arc<Self>, name: String) -> Result<(), DaemonError> {
        let mut changing = self.changing.lock().await;
        // What it began at the service is ended while it is still known how.
        let ended = self.sources.cancel(&name).await;
        if let Err(error) = ended {
            tracing::debug!("a source that is removed did not run: {error}");
        }
        let (paths, of) = (self.parts.paths.clone(), name.clone());
        let written = tokio::task::spawn_blocking(move || config::remove_source(&paths, &of)).await;
        written.map_err(|_| fault("changing the configuration failed"))??;
        self.reload_locked(&mut changing).await?;
        Ok(self.sources.forget(&name).await?)
    }
}

/// Renames the files of a folder's database, replacing those put aside before.
fn put_aside(state: &Path, folder: FolderHash) {
    let directory = state.join("folders");
    let name = database_name(folder);
    let Ok(entries) = std::fs::read_dir(&directory) else { return };
    for entry in entries.flatten() {
        let file = entry.file_name();
        let Some(file) = file.to_str() else { continue };
        if file.starts_with(&name) && !file.contains(".removed") {
            let aside = file.replacen(&name, &format!("{name}.removed"), 1);
            if let Err(error) = std::fs::rename(entry.path(), directory.join(aside)) {
                tracing::warn!("a removed folder's database cannot be put aside: {error}");
            }
        }
    }
}
