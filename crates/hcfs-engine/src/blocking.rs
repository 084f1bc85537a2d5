//! Work that blocks a thread: disk and ciphers.

/// Runs `work` on a thread that may block, and gives its result.
///
/// Dropping the future does not stop work that has begun; whatever it returns is dropped.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is shutting down cancels the work; nobody polls this future again.
            Err(_) => std::future::pending().await,
        },
    }
}
