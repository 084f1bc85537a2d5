//! Customer documents: `GET /v2/storage/file/{id}`, and its listing.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::body::{Sending, send};
use super::{CREDENTIAL, Content, Item, Shop, json};

pub(super) fn routes() -> Router<Shop> {
    Router::new().route("/v2/storage/file", get(list)).route("/v2/storage/file/{id}", get(file))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "customerId")]
    customer: Option<String>,
    #[serde(rename = "meta.page", default)]
    page: usize,
    #[serde(rename = "meta.pageSize")]
    page_size: Option<usize>,
}

fn refused(headers: &HeaderMap) -> Option<Response> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    (token != Some(CREDENTIAL)).then(|| json(401, &json!({"error": "Unauthorized"})))
}

async fn file(
    State(shop): State<Shop>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refused(&headers) {
        return refused;
    }
    let Some(item) = shop.item(&id) else {
        return json(404, &json!({"error": format!("File not found: {id}")}));
    };
    if shop.held().denied.contains(&id) {
        return json(403, &json!({"error": format!("Access denied to file: {id}")}));
    }
    {
        let mut held = shop.held();
        if let Some(left) = held.locked.get_mut(&id).filter(|left| **left > 0) {
            *left -= 1;
            return json(423, &json!({"error": "File is locked and cannot be downloaded"}));
        }
    }
    let wants_json = headers.get(header::ACCEPT).is_some_and(|accept| accept == "application/json");
    let path = format!("/v2/storage/file/{id}");
    let mut response = if wants_json {
        let body = json!({"contentType": item.kind, "data": STANDARD.encode(item.content.to_vec())}).to_string();
        let wrapped = Item {
            content: Content::from(body.as_str()),
            kind: "application/json",
            disposition: Some(String::new()),
            ..item
        };
        send(&shop, &wrapped, &Sending { headers: &headers, path: &path, ranges: false })
    } else {
        send(&shop, &item, &Sending { headers: &headers, path: &path, ranges: true })
    };
    response.headers_mut().insert("x-file-id", id.parse().unwrap());
    if let Some(customer) = asked.customer {
        response.headers_mut().insert("x-customer-id", customer.parse().unwrap());
    }
    response
}

async fn list(State(shop): State<Shop>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    if let Some(refused) = refused(&headers) {
        return refused;
    }
    let size = asked.page_size.unwrap_or(50);
    let held = shop.held();
    let customer = asked.customer.unwrap_or_default();
    let items: Vec<_> = held
        .items
        .iter()
        .skip(asked.page * size)
        .take(size)
        .map(|(id, item)| {
            json!({"id": id, "customerId": customer, "name": item.name, "size": item.content.len(),
                   "contentType": item.kind})
        })
        .collect();
    json(200, &json!({"items": items, "meta": {"page": asked.page, "pageSize": size, "total": held.items.len()}}))
}
