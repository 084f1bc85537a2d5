//! Health, and the registry of folders.

use std::sync::{Arc, PoisonError};

use hcfs_http::{Method, Request, answered_at};
use hcfs_model::{FolderHash, FolderLabel, UnixNanos};
use hcfs_wire::{
    FolderEntry, Health, ListFolders, RegisterFolder, Registered, Row, UnregisterFolder, Unregistered, limits,
    parse_json, read_answer,
};
use tokio::time::Instant;

use super::{Ask, HcfsRemote};
use crate::{FolderSummary, RemoteError, RemoteErrorKind};

impl HcfsRemote {
    /// Asks the server about itself, and keeps the answer. No token is sent.
    pub(super) async fn fetch_health(&self) -> Result<Arc<Health>, RemoteError> {
        let (health, _) = self.ask_health().await?;
        let health = Arc::new(health);
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&health)));
        Ok(health)
    }

    /// What the server says of itself, and when it said so by its own clock.
    pub(super) async fn ask_health(&self) -> Result<(Health, Option<UnixNanos>), RemoteError> {
        let object = "health of the server";
        let ask = Ask {
            request: Request::get(self.url(&["health"], object)?),
            object: object.into(),
            changes: false,
            limit: limits::MAX_SMALL_BODY,
        };
        let answer = self.answer(&ask).await?;
        // Written with and without an envelope.
        let bare = parse_json::<Health>(&answer.body, ask.limit).ok().filter(|_| answer.status.is_success());
        let health = match bare {
            Some(health) => health,
            None => read_answer(answer.status.as_u16(), &answer.body, ask.limit)
                .map_err(|failure| ask.failed(failure, &answer.headers))?,
        };
        Ok((health, answered_at(&answer.headers)))
    }

    pub(super) async fn register(&self, label: &FolderLabel, device: &str) -> Result<(), RemoteError> {
        let folder = FolderHash::of_label(label);
        let body = RegisterFolder {
            ss58_address: self.account.clone(),
            folder_hash: folder,
            label: label.as_str().to_owned(),
            device_name: Some(device.to_owned()),
        };
        let ask = self
            .ask(Method::POST, &["register_folder"], format!("registration of folder {folder}"))?
            .json(&body)?
            .idempotent();
        match self.payload::<Registered>(ask).await {
            // Another device was first.
            Err(error) if matches!(error.kind, RemoteErrorKind::Conflict { .. }) => Ok(()),
            answer => answer.map(drop),
        }
    }

    pub(super) async fn list_folders(&self) -> Result<Vec<FolderSummary>, RemoteError> {
        let account = self.account.to_string();
        let ask = self.ask(Method::GET, &["list_folders", &account], "list of folders".to_owned())?;
        let ask = ask.at_most(limits::MAX_PAGE_BODY);
        let object = Arc::clone(&ask.object);
        let list: ListFolders<Row<FolderEntry>> = self.payload(ask).await?;
        self.check_account(&list.base_address, &object)?;
        let folders = list.folders.into_iter().filter_map(|row| match row {
            Row::Read(entry) => Some(entry.into()),
            // Gateway buckets stand in the same list, and are no folders of ours.
            Row::Broken(broken) => {
                tracing::debug!(reason = broken.reason, "a listed folder cannot be read");
                None
            }
        });
        Ok(folders.collect())
    }

    pub(super) async fn unregister(&self, folder: FolderHash) -> Result<u64, RemoteError> {
        let body = UnregisterFolder { ss58_address: self.account.clone(), folder_hash: folder };
        let ask = self
            .ask(Method::DELETE, &["unregister_folder"], format!("removal of folder {folder}"))?
            .json(&body)?
            .changing();
        self.payload::<Unregistered>(ask).await.map(|answer| answer.files_deleted)
    }
}
