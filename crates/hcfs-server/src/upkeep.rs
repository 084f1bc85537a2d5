//! What goes on besides requests: the leftovers of the last run, objects nobody needs, and upload sessions whose time is
//! over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::collect::CollectError;
use crate::metadata::{MetadataError, SessionId};
use crate::stores::Stores;

/// How often expired sessions and objects past their grace are looked for.
const INTERVAL: Duration = Duration::from_mins(10);
/// Every how many of these the whole blob store is looked through; the first time at the start.
const SWEEP: u64 = 144;

/// For how many seconds the change feeds tell of a removal: a client that was away for longer reads a listing.
const REMOVALS_KEPT: i64 = 90 * 24 * 3600;
/// How many old removals are dropped in one transaction.
const REMOVALS: u64 = 1000;

/// Brings what upload sessions received and their rows together, before the first request. A process that died between
/// the two leaves parts without a row, which go; a row whose parts are lost starts over.
pub(crate) async fn reconcile_sessions(stores: &Arc<Stores>) -> Result<(), CollectError> {
    stores.collector().sweep_sessions().await?;
    let receiving: BTreeSet<SessionId> = stores.metadata.receiving_sessions().await?.into_iter().collect();
    for id in stores.blobs.doubtful(receiving).await? {
        stores.metadata.forget_chunks(id).await?;
    }
    Ok(())
}

/// Ends the sessions whose time is over; how many there were.
async fn close_expired(stores: &Arc<Stores>) -> Result<usize, CollectError> {
    let expired = stores.metadata.expire_sessions(stores.clock.seconds()).await?;
    for id in &expired {
        stores.blobs.spool(*id).close();
        stores.remove_spool(*id).await;
    }
    Ok(expired.len())
}

/// Forgets the tokens, challenges and invitations whose time is over.
async fn forget_expired(stores: &Stores) -> Result<(), MetadataError> {
    let now = stores.clock.seconds();
    stores.metadata.expire_tokens(now).await?;
    stores.metadata.forget_spent(now).await
}

/// Looks after the stores from time to time, until `stop`; with `sweep`, also through all objects.
pub(crate) async fn run(stores: Arc<Stores>, sweep: bool, stop: CancellationToken) {
    let work = async {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0_u64.. {
            ticks.tick().await;
            if let Err(error) = once(&stores, sweep && round.is_multiple_of(SWEEP)).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot look after the stores; trying again");
            }
            if let Err(error) = forget_expired(&stores).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot forget expired tokens");
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

async fn once(stores: &Arc<Stores>, sweep: bool) -> Result<(), CollectError> {
    close_expired(stores).await?;
    let collector = stores.collector();
    if sweep {
        let (marked, repacked) = collector.sweep().await?;
        if marked + repacked > 0 {
            tracing::info!(marked, repacked, "looked through the blob store");
        }
    }
    while stores.metadata.forget_removals(stores.clock.seconds() - REMOVALS_KEPT, REMOVALS).await? == REMOVALS {}
    let removed = collector.remove_marked().await?;
    if removed > 0 {
        tracing::info!(removed, "removed objects that no file needs");
    }
    Ok(())
}
