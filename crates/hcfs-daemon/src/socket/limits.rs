//! What the daemon may use, shown and changed.

use axum::extract::State;
use axum::response::IntoResponse;
use hcfs_api::Limits;

use super::Served;
use super::answer::{Answer, Failure, Json};
use crate::config;

pub(super) async fn show(State(served): State<Served>) -> Answer {
    Ok(Json(served.supervisor.limits()).into_response())
}

/// Answers with the limits that hold now: the environment may override what was written.
pub(super) async fn set(State(served): State<Served>, Json(wanted): Json<Limits>) -> Answer {
    let transfers =
        usize::try_from(wanted.transfers).ok().filter(|_| (1..=Limits::TRANSFERS_MAX).contains(&wanted.transfers));
    let Some(transfers) = transfers else {
        let message = format!("{} files cannot be in flight at once", wanted.transfers);
        return Err(Failure::bad_request(message, "give a number from 1 to 64"));
    };
    let limits = config::Limits { upload: wanted.upload, download: wanted.download, transfers };
    served.supervisor.set_limits(limits).await?;
    show(State(served)).await
}
