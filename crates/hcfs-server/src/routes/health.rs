//! Whether the server runs, and what it can do.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hcfs_wire::{BatchLimits, Health, capability};

use crate::answer::{Answer, success};
use crate::stores::Stores;

/// What this server does beyond the protocol.
const CAPABILITIES: [&str; 5] = [
    capability::BATCH_DOWNLOAD,
    capability::BATCH_UPLOAD,
    capability::CHANGE_FEED,
    capability::CONDITIONAL_DELETE,
    capability::STATE_ETAG,
];

pub(super) async fn health(State(stores): State<Arc<Stores>>) -> Response {
    let mut capabilities = CAPABILITIES.to_vec();
    if stores.access.logins.is_some() {
        capabilities.push(capability::LOGIN);
    }
    success(Health {
        status: "healthy".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: capabilities.into_iter().map(str::to_owned).collect(),
        batch: Some(BatchLimits::USUAL),
    })
}

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok"
}

/// Both stores answer too.
pub(super) async fn ready(State(stores): State<Arc<Stores>>) -> Answer {
    stores.metadata.ping().await?;
    stores.blobs.ping().await?;
    Ok("ok".into_response())
}
