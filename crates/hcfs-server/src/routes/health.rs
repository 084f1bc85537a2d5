//! Whether the server runs, and what it can do.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hcfs_wire::{BatchLimits, Health, capability};

use tokio::time::Instant;

use crate::answer::{Answer, success};
use crate::stores::Stores;

/// What this server does beyond the protocol.
const CAPABILITIES: [&str; 6] = [
    capability::BATCH_DOWNLOAD,
    capability::BATCH_UPLOAD,
    capability::CHANGE_FEED,
    capability::CONDITIONAL_DELETE,
    capability::PUBLISH,
    capability::STATE_ETAG,
];

/// For how long a good answer of both stores stands.
const READY_INTERVAL: Duration = Duration::from_secs(1);

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

/// Both stores answer too. Everybody may ask, so they are asked once a second at most.
pub(super) async fn ready(State(stores): State<Arc<Stores>>) -> Answer {
    let mut last = stores.last_ready.lock().await;
    if last.is_none_or(|last| last.elapsed() >= READY_INTERVAL) {
        stores.metadata.ping().await?;
        stores.blobs.ping().await?;
        *last = Some(Instant::now());
    }
    Ok("ok".into_response())
}
