//! Plain files over HTTP.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Shop;
use super::body::{Sending, send};

pub(super) fn routes() -> Router<Shop> {
    Router::new().route("/files/{*id}", get(file))
}

async fn file(State(shop): State<Shop>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let Some(item) = shop.item(&id) else { return (StatusCode::NOT_FOUND, "no such file").into_response() };
    send(&shop, &item, &Sending { headers: &headers, path: &format!("/files/{id}"), ranges: true })
}
