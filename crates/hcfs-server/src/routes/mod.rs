//! The routes of the protocol (§5).
//!
//! A handler checks what was sent, asks the stores, and answers; rules about revisions are the metadata store's. Work
//! that changes something goes on to its end when the client leaves.

mod account;
mod batch;
mod changes;
mod content;
mod delete;
mod download;
mod folder;
mod gateway;
mod health;
mod listing;
mod login;
mod names;
mod parts;
mod publication;
mod rename;
mod session;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::from_fn;
use axum::routing::{delete, get, post, put};
use hcfs_wire::ErrorCode;
use http::StatusCode;

use crate::answer::Failure;
use crate::exchange::note_route;
use crate::stores::Stores;

/// All routes.
pub(crate) fn router(stores: Arc<Stores>) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/auth/challenge", post(login::challenge))
        .route("/auth/login", post(login::login))
        .route("/auth/tokens", get(login::list))
        .route("/auth/tokens/{id}", delete(login::revoke))
        .route("/register_folder", post(folder::register))
        .route("/list_folders/{ss58}", get(folder::list))
        .route("/unregister_folder", delete(folder::unregister))
        .route("/upload", post(upload::upload))
        .route("/upload/session", post(session::open))
        .route("/upload/session/{id}", delete(session::close))
        .route("/upload/session/{id}/status", get(session::status))
        .route("/upload/session/{id}/chunk/{index}", put(session::chunk))
        .route("/upload/session/{id}/finalize", post(session::finalize))
        .route("/download/{ss58}/{folder_hash}/{file_id}", get(download::download))
        .route("/delete/{ss58}/{folder_hash}/{file_id}", delete(delete::delete))
        .route("/download/{ss58}/{file_id}", get(gateway::download))
        .route("/delete/{ss58}/{file_id}", delete(gateway::delete))
        .route("/public/download/{hash}", get(publication::download))
        .route("/publish/{ss58}/{folder_hash}/{file_id}", post(publication::publish).delete(publication::withdraw))
        .route("/publish/{ss58}/{file_id}", post(gateway::publish).delete(gateway::withdraw))
        .route("/delete_files", post(delete::delete_files))
        .route("/get_state/{ss58}/{folder_hash}", get(listing::get_state))
        .route("/changes/{ss58}/{folder_hash}", get(changes::changes))
        .route("/upload_batch", post(batch::upload))
        .route("/download_batch", post(batch::download))
        .route("/browse/{ss58}/{folder_hash}", get(names::browse))
        .route("/search_files/{ss58}", get(names::search))
        .route("/register_relative_paths/{ss58}/{folder_hash}", post(names::register_paths))
        .route("/list_folder_entries/{ss58}/{folder_hash}", get(names::folder_entries))
        .route("/rename_files", post(rename::rename))
        .route("/can_upload", post(account::can_upload))
        .route("/get_user_summary/{ss58}", get(account::summary))
        .route("/get_file_type_summary/{ss58}", get(names::file_types))
        .route("/get_source_summary/{ss58}", get(names::sources))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(note_route))
        // Every handler bounds its own body.
        .layer(DefaultBodyLimit::disable())
        .with_state(stores)
}

async fn unknown(request: Request) -> Failure {
    tracing::debug!(path = request.uri().path(), "unknown route");
    // Not `not_found`: to a client that code says that a file is gone.
    Failure::other(StatusCode::NOT_FOUND, "unknown_route", "this server has no such route")
}

async fn wrong_method() -> Failure {
    Failure::other(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route has no such method")
}

/// The failure of something that is not there.
fn missing(what: &str) -> Failure {
    Failure::new(ErrorCode::NotFound, format!("there is no such {what}"))
}
