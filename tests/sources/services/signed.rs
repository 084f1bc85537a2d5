//! Organisation files: the signed address with the key, then the file at another host without it.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;

use super::body::{Sending, send};
use super::{CREDENTIAL, Item, Shop, json};

/// The addresses that were signed.
pub(crate) struct Signed {
    /// The other host.
    pub(crate) downloads: String,
    /// For how many seconds an address holds.
    pub(crate) lifetime: i64,
    /// What is said of the size, instead of the truth.
    pub(crate) said_size: Option<u64>,
    /// Token to file and time of expiry.
    pub(crate) valid: BTreeMap<String, (String, i64)>,
    count: u64,
}

impl Default for Signed {
    fn default() -> Self {
        Self { downloads: String::new(), lifetime: 3600, said_size: None, valid: BTreeMap::new(), count: 0 }
    }
}

pub(super) fn routes() -> Router<Shop> {
    Router::new().route("/v1/organizations/{org}/files/{file}/content", get(content))
}

pub(super) fn download_routes() -> Router<Shop> {
    Router::new().route("/v1/organizations/{org}/files/{file}/download", get(download))
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn failure(status: u16, code: &str, message: &str) -> Response {
    let error = json!({
        "code": code, "message": message, "system_message": message, "type": "client_error", "status": status,
        "details": {}, "trace_id": "2fbbf3b6-51a1-4f1b-88e2-c00e8b52fbb8", "timestamp": "2025-11-02T08:21:45Z"
    });
    json(status, &json!({"success": false, "error": error}))
}

async fn content(State(shop): State<Shop>, Path((org, file)): Path<(String, String)>, headers: HeaderMap) -> Response {
    if headers.get("x-api-key").and_then(|key| key.to_str().ok()) != Some(CREDENTIAL) {
        return failure(401, "UNAUTHORIZED", "The API key is missing or invalid.");
    }
    let Some(item) = shop.item(&file) else {
        return failure(404, "FILE_NOT_FOUND", "The file does not exist or has been deleted.");
    };
    let mut held = shop.held();
    let signed = &mut held.signed;
    signed.count += 1;
    let (token, expires) = (format!("signed-token-{}", signed.count), now() + signed.lifetime);
    signed.valid.insert(token.clone(), (file.clone(), expires));
    let url =
        format!("{}/v1/organizations/{org}/files/{file}/download?token={token}&expires={expires}", signed.downloads);
    json(
        200,
        &json!({
            "file_id": file, "filename": item.name, "mime_type": item.kind,
            "file_size": signed.said_size.unwrap_or(item.content.len()), "download_url": url
        }),
    )
}

#[derive(Deserialize)]
struct Asked {
    token: String,
    expires: i64,
}

async fn download(
    State(shop): State<Shop>,
    Path((org, file)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let holds = shop.held().signed.valid.get(&asked.token) == Some(&(file.clone(), asked.expires));
    if !holds || asked.expires <= now() {
        return failure(401, "TOKEN_INVALID", "The download link has expired or is invalid.");
    }
    let Some(item) = shop.item(&file) else {
        return failure(404, "FILE_NOT_FOUND", "The file does not exist or has been deleted.");
    };
    let item = Item { disposition: Some(format!("inline; filename=\"{}\"", item.name)), ..item };
    let path = format!("/v1/organizations/{org}/files/{file}/download");
    let mut response = send(&shop, &item, &Sending { headers: &headers, path: &path, ranges: true });
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    response
}
