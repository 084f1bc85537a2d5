//! Decentralised storage: `POST /api/v1/get?arg={CID}` with `Authorization: Bearer …`.

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::body::{Sending, send};
use super::{CREDENTIAL, Content, Item, Shop, json};

pub(super) fn routes() -> Router<Shop> {
    Router::new().route("/api/v1/get", post(get))
}

#[derive(Deserialize)]
struct Asked {
    arg: String,
}

async fn get(State(shop): State<Shop>, Query(Asked { arg }): Query<Asked>, headers: HeaderMap) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if token != Some(&format!("Bearer {CREDENTIAL}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Some(item) = shop.item(&arg) else {
        return json(500, &json!({"error": "merkledag: not found"}));
    };
    // The document knows no name.
    let item = Item { disposition: Some(item.disposition.unwrap_or_default()), ..item };
    send(&shop, &item, &Sending { headers: &headers, path: "/api/v1/get", ranges: true })
}

/// The CID of a single raw block: version 1, codec raw, SHA-256.
pub fn raw_cid(content: &[u8]) -> String {
    raw_cid_of(&Content::from(content.to_vec()))
}

/// As [`raw_cid`], of any content.
pub fn raw_cid_of(content: &Content) -> String {
    let mut hasher = Sha256::new();
    content.each_piece(|piece| hasher.update(piece));
    let mut bytes = vec![0x01, 0x55, 0x12, 0x20];
    bytes.extend_from_slice(&hasher.finalize());
    let alphabet = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::from("b");
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(alphabet[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(alphabet[(held << (5 - bits) & 31) as usize]));
    }
    text
}

/// A tar archive of one regular file, as `get` of Kubo streams it.
pub fn tar_of(name: &str, content: &[u8]) -> Vec<u8> {
    let mut head = [0_u8; 512];
    let mut put = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = head.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}
