//! Bodies that are exactly as long as they were promised to be.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};

use crate::remote::BodyStream;
use crate::{RemoteError, RemoteErrorKind};

/// Passes a body on, and ends it with an error at the first byte too many, or when it ends too early.
pub(crate) fn exactly<S>(inner: S, length: u64, object: Arc<str>) -> BodyStream
where
    S: Stream<Item = Result<Bytes, RemoteError>> + Send + Unpin + 'static,
{
    let start = Some((inner, length));
    stream::unfold(start, move |state| {
        let object = Arc::clone(&object);
        async move {
            let (mut inner, left) = state?;
            let item = inner.next().await;
            let error = |kind, message: &str| RemoteError::new(kind, &*object, message);
            match item {
                Some(Ok(bytes)) => match left.checked_sub(bytes.len() as u64) {
                    Some(left) => Some((Ok(bytes), Some((inner, left)))),
                    None => {
                        let message = "the body is longer than its file";
                        Some((Err(error(RemoteErrorKind::Inconsistent, message)), None))
                    }
                },
                Some(Err(failure)) => Some((Err(failure), None)),
                None if left > 0 => {
                    Some((Err(error(RemoteErrorKind::Unavailable, "the body ended before its end")), None))
                }
                None => None,
            }
        }
    })
    .boxed()
}
