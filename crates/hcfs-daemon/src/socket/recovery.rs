//! The routes of one folder for what can be had back, and for why a path stands as it does.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use hcfs_api as api;
use hcfs_engine::{Explained, Trashed, Version};
use hcfs_model::{RelPath, RemoteEntry, SyncedEntry};
use serde::Deserialize;

use super::Served;
use super::answer::{Answer, Json, Params};
use super::folders::{Part, refused, rel_path, running};
use crate::view;

pub(super) fn routes() -> Router<Served> {
    Router::new()
        .route("/trash", get(trash).delete(empty))
        .route("/trash/{id}/restore", post(restore))
        .route("/history", get(history))
        .route("/explain", get(explain))
}

async fn trash(State(served): State<Served>, Path(folder): Path<String>, Params(part): Params<Part>) -> Answer {
    let all = running(&served, &folder).await?.trash().await.map_err(refused)?;
    // Entries go away by age, from the front: the place in the list stands for an id.
    let numbered: Vec<_> = all.iter().zip(1_u64..).collect();
    Ok(Json(part.of(&numbered, |(_, place)| *place, |(entry, _)| trashed(entry))).into_response())
}

async fn restore(State(served): State<Served>, Path((folder, id)): Path<(String, String)>) -> Answer {
    let restored = running(&served, &folder).await?.restore_trashed(id).await.map_err(refused)?;
    let path = restored.path.as_str().to_owned();
    Ok(Json(api::Restored { schema: api::SCHEMA, path, beside: restored.beside }).into_response())
}

async fn empty(State(served): State<Served>, Path(folder): Path<String>) -> Answer {
    let gone = running(&served, &folder).await?.empty_trash().await.map_err(refused)?;
    Ok(Json(api::Emptied { schema: api::SCHEMA, files: gone.files, bytes: gone.bytes }).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    path: String,
}

async fn history(State(served): State<Served>, Path(folder): Path<String>, Params(of): Params<Of>) -> Answer {
    let path = rel_path(&of.path)?;
    let versions = running(&served, &folder).await?.history(path.clone()).await.map_err(refused)?;
    let versions = versions.iter().map(version).collect();
    Ok(Json(api::History { schema: api::SCHEMA, path: text(&path), versions }).into_response())
}

async fn explain(State(served): State<Served>, Path(folder): Path<String>, Params(of): Params<Of>) -> Answer {
    let explained = running(&served, &folder).await?.explain(rel_path(&of.path)?).await.map_err(refused)?;
    Ok(Json(explanation(explained)).into_response())
}

fn text(path: &RelPath) -> String {
    path.as_str().to_owned()
}

fn trashed(entry: &Trashed) -> api::TrashedFile {
    api::TrashedFile { id: entry.id.clone(), path: text(&entry.path), at: view::millis(entry.at), size: entry.size }
}

fn version(version: &Version) -> api::Version {
    api::Version {
        place: version.place.as_str().to_owned(),
        path: text(&version.path),
        at: version.at.map(view::millis),
        size: version.size,
        revision: version.revision,
        trash_id: version.trash_id.clone(),
    }
}

fn explanation(explained: Explained) -> api::Explanation {
    let row = explained.row;
    api::Explanation {
        schema: api::SCHEMA,
        path: text(&explained.path),
        state: explained.state.as_str().to_owned(),
        reason: explained.reason,
        hint: explained.hint,
        next: explained.next.map(str::to_owned),
        local: row.local.map(|local| api::LocalVersion {
            size: local.fingerprint.size,
            modified_at: view::millis(local.fingerprint.mtime),
            hash: local.hash.to_hex(),
        }),
        remote: row.remote.map(|RemoteEntry { hash, size, revision, .. }| api::RemoteVersion {
            size,
            hash: hash.to_hex(),
            revision: revision.seq,
            revision_id: revision.id.to_hex(),
        }),
        synced: row.synced.map(|SyncedEntry { hash, size, revision, .. }| api::RemoteVersion {
            size,
            hash: hash.to_hex(),
            revision: revision.seq,
            revision_id: revision.id.to_hex(),
        }),
        problem: explained.problem.as_ref().map(view::problem),
        conflict: explained.conflict.as_ref().map(view::conflict),
        hold: explained.hold.as_ref().map(view::hold),
    }
}
