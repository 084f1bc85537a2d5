//! What the supervisor shows: the status, and every folder as it is at the moment of asking.

use std::time::Instant;

use hcfs_api as api;
use hcfs_api::ApiError;
use hcfs_model::FolderLabel;

use super::keeper::unstarted;
use super::{Shown, Supervisor, locked, no_folder};
use crate::config::{FolderConfig, SourceConfig};

impl Supervisor {
    pub(crate) fn status(&self) -> api::Status {
        let folders = self.folders();
        let rates = total_rates(&folders);
        let shown = self.shown();
        let account = shown.open.as_ref().map(|open| open.server.account.clone());
        let account = account.or_else(|| shown.config.server.account.clone());
        api::Status {
            schema: api::SCHEMA,
            daemon: api::DaemonStatus {
                version: self.parts.version.clone(),
                pid: std::process::id(),
                started_at: self.started_at,
                uptime_seconds: self.started.elapsed().as_secs(),
                device: shown.config.device.clone(),
                locked: shown.open.is_none(),
            },
            server: api::ServerStatus {
                url: shown
                    .open
                    .as_ref()
                    .map(|open| open.server.url.clone())
                    .or_else(|| shown.config.server.url.clone()),
                embedded: shown.config.server.url.is_none(),
                reachable: reachable(&folders),
                account: account.map(|account| account.as_str().to_owned()),
                version: shown.said.version.clone(),
                capabilities: shown.said.capabilities.clone(),
            },
            idle: api::Status::all_idle(&folders),
            totals: api::Totals::of(&folders),
            folders,
            sources: self.sources.list(&shown.config),
            rates,
        }
    }

    /// The clock's time.
    pub(crate) fn now(&self) -> api::UnixMillis {
        crate::view::millis(self.parts.clock.now())
    }

    /// Every configured folder, in label order.
    pub(crate) fn folders(&self) -> Vec<api::Folder> {
        let now = Instant::now();
        let shown = self.shown();
        shown.config.folders.iter().map(|(label, config)| show_one(&shown, label, config, now)).collect()
    }

    pub(crate) fn folder(&self, label: &FolderLabel) -> Result<api::Folder, ApiError> {
        let shown = self.shown();
        let config = shown.config.folders.get(label).ok_or_else(|| no_folder(label))?;
        Ok(show_one(&shown, label, config, Instant::now()))
    }

    /// Every configured source, in the order of names.
    pub(crate) fn source_list(&self) -> Vec<api::Source> {
        let config = self.config();
        self.sources.list(&config)
    }

    pub(crate) fn source(&self, name: &str) -> Result<api::Source, ApiError> {
        Ok(self.sources.show(name, &self.source_config(name)?))
    }

    pub(crate) fn source_config(&self, name: &str) -> Result<SourceConfig, ApiError> {
        self.shown().config.sources.get(name).cloned().ok_or_else(|| {
            let message = format!("there is no source \"{}\"", name.escape_debug());
            ApiError::new(api::ErrorCode::NoSource, message, "see `hcfs source list`")
        })
    }

    /// Asks the server now.
    ///
    /// # Errors
    /// The keys are closed.
    pub(crate) async fn test_server(&self) -> Result<api::ServerTest, ApiError> {
        let Some(open) = self.shown().open.clone() else { return Err(locked()) };
        let connect = self.parts.connect.as_ref();
        Ok(crate::doctor::test_server(connect, &open.server.url, Some(&open.server), &*self.parts.clock).await)
    }

    pub(crate) fn account(&self) -> api::Account {
        let shown = self.shown();
        let account = shown.open.as_ref().map(|open| open.server.account.clone());
        api::Account {
            schema: api::SCHEMA,
            account: account.or_else(|| shown.config.server.account.clone()).map(|account| account.as_str().to_owned()),
            device: shown.config.device.clone(),
            locked: shown.open.is_none(),
        }
    }
}

fn show_one(shown: &Shown, label: &FolderLabel, config: &FolderConfig, now: Instant) -> api::Folder {
    match shown.folders.get(label) {
        Some(keeper) => keeper.show(now),
        None if shown.open.is_some() => unstarted(label, config, api::FolderState::Starting, None),
        None => unstarted(label, config, api::FolderState::Locked, shown.locked.clone()),
    }
}

/// What the folders' last attempts say of the server; nothing before the first.
fn reachable(folders: &[api::Folder]) -> Option<bool> {
    if folders.iter().any(|folder| folder.state == api::FolderState::Offline) {
        return Some(false);
    }
    let answered = |folder: &api::Folder| folder.cycles > 0 || folder.state == api::FolderState::Unauthorised;
    folders.iter().any(answered).then_some(true)
}

fn total_rates(folders: &[api::Folder]) -> api::Rates {
    let (up, down) = folders.iter().fold((0, 0), |(up, down), folder| (up + folder.rates.up, down + folder.rates.down));
    // Folders move side by side: the last one to be done says when all are.
    let waiting = folders.iter().filter(|folder| folder.counts.pending_up + folder.counts.pending_down > 0);
    let left: Option<Vec<u64>> = waiting.map(|folder| folder.rates.seconds_left).collect();
    api::Rates { up, down, seconds_left: left.and_then(|left| left.into_iter().max()) }
}
