//! What goes on besides requests: the leftovers of the last run, and upload sessions whose time is over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::blobs::{self, WriteError};
use crate::metadata::{MetadataError, SessionId};
use crate::stores::Stores;

/// How often expired upload sessions are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(10);

/// Brings the files of upload sessions and their rows together, before the first request. A process that died between
/// the two leaves a file without a row, which goes; a row whose file is gone starts over.
pub(crate) async fn reconcile_sessions(stores: &Arc<Stores>) -> Result<(), blobs::SweepError> {
    let store = Arc::clone(&stores.blobs);
    let spooled = tokio::task::spawn_blocking(move || store.spooled())
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(WriteError::from)?;
    let spooled: BTreeSet<SessionId> = spooled.into_iter().collect();
    let receiving: BTreeSet<SessionId> = stores.metadata.receiving_sessions().await?.into_iter().collect();
    for id in spooled.difference(&receiving) {
        stores.blobs.remove_spool(*id).await?;
    }
    for id in receiving.difference(&spooled) {
        stores.metadata.forget_chunks(*id).await?;
    }
    Ok(())
}

/// Ends the sessions whose time is over; how many there were.
pub(crate) async fn close_expired(stores: &Arc<Stores>) -> Result<usize, MetadataError> {
    let expired = stores.metadata.expire_sessions(stores.clock.seconds()).await?;
    for id in &expired {
        stores.blobs.spool(*id).close();
        stores.remove_spool(*id).await;
    }
    Ok(expired.len())
}

/// Sweeps blobs without rows once, then ends expired sessions from time to time, until `stop`.
pub(crate) async fn run(stores: Arc<Stores>, stop: CancellationToken) {
    let work = async {
        match blobs::sweep(&stores.blobs, stores.metadata.as_ref()).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed blobs that no file points to"),
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot look for unused blobs"),
        }
        let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = close_expired(&stores).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot end expired upload sessions");
            }
        }
    };
    stop.run_until_cancelled(work).await;
}
