//! The registry of folders.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use hcfs_model::FolderLabel;
use hcfs_wire::{FolderEntry, ListFolders, RegisterFolder, Registered, UnregisterFolder, Unregistered, limits};

use super::missing;
use crate::answer::{Answer, Failure, success};
use crate::body::read_json;
use crate::caller::{Caller, Segments};
use crate::metadata::FolderKey;
use crate::stores::Stores;

/// Registers a folder; a second registration changes the label and the device.
pub(super) async fn register(State(stores): State<Arc<Stores>>, caller: Caller, body: Body) -> Answer {
    let request: RegisterFolder = read_json(body, limits::MAX_SMALL_BODY).await?;
    caller.must_be(&request.ss58_address)?;
    FolderLabel::new(&request.label).map_err(|error| Failure::invalid(error.to_string()))?;
    let key = FolderKey { account: request.ss58_address, folder: request.folder_hash };
    stores.metadata.register(key, request.label, request.device_name, stores.clock.seconds()).await?;
    Ok(success(Registered { status: "registered".to_owned() }))
}

pub(super) async fn list(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments(ss58): Segments<String>,
) -> Answer {
    let account = caller.account(&ss58)?;
    let rows = stores.metadata.folders(account.clone()).await?;
    let folders = rows
        .into_iter()
        .map(|row| FolderEntry {
            label: row.label,
            folder_hash: row.hash,
            file_count: row.file_count,
            total_bytes: row.total_bytes,
            created_at: row.created_at,
            updated_at: row.updated_at,
            device_name: row.device_name.unwrap_or_default(),
            member_count: None,
        })
        .collect();
    Ok(success(ListFolders { base_address: account, folders }))
}

/// Removes a folder with its files.
pub(super) async fn unregister(State(stores): State<Arc<Stores>>, caller: Caller, body: Body) -> Answer {
    let request: UnregisterFolder = read_json(body, limits::MAX_SMALL_BODY).await?;
    caller.must_be(&request.ss58_address)?;
    let key = FolderKey { account: request.ss58_address, folder: request.folder_hash };
    let work = {
        let stores = Arc::clone(&stores);
        async move {
            let removed = stores.metadata.unregister(key, stores.clock.seconds()).await?;
            removed.ok_or_else(|| missing("folder"))
        }
    };
    let files_deleted = stores.to_the_end(work).await?;
    Ok(success(Unregistered { status: "unregistered".to_owned(), files_deleted }))
}
