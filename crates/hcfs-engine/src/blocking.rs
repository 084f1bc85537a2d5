//! Work that blocks a thread: disk and ciphers.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::machine::Machine;

/// Has `work` done where it may block, and gives its result.
///
/// Dropping the future does not stop work that has begun; whatever it returns is dropped.
pub(crate) async fn blocking<T: Send + 'static>(
    machine: Arc<dyn Machine>,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, result) = oneshot::channel();
    machine.work(Box::new(move || {
        // Nobody may wait for it any more.
        let _ = done.send(catch_unwind(AssertUnwindSafe(work)));
    }));
    match result.await {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => resume_unwind(panic),
        // Only the end of the folder leaves work undone; nobody polls this future again.
        Err(_) => std::future::pending().await,
    }
}
