//! Downloads of files.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, Method};

use super::content::{self, Shown};
use crate::answer::Answer;
use crate::caller::{Caller, Segments};
use crate::stores::Stores;

pub(super) async fn download(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, folder_hash, file_id)): Segments<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let key = caller.file(&ss58, &folder_hash, &file_id)?;
    content::answer(&stores, Shown::File(key), &method, &headers).await
}
