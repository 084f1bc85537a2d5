//! The body of a file: whole or a range, held, cut or changed.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

use super::{Fault, Item, Shop};

/// Bytes of a piece.
const PIECE: usize = 256 * 1024;

/// The bytes of a file: given, or so many of a pattern, for files larger than memory should hold.
#[derive(Debug, Clone)]
pub enum Content {
    /// These.
    Given(Bytes),
    /// As many of the block, over and over.
    Repeated(Bytes, u64),
}

impl Content {
    /// So many bytes that repeat after a MiB.
    pub fn pattern(length: u64) -> Self {
        let mut state = 1_u64;
        let block: Vec<u8> = (0..1 << 17)
            .flat_map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 8).to_le_bytes()
            })
            .collect();
        Self::Repeated(block.into(), length)
    }

    /// How many.
    pub fn len(&self) -> u64 {
        match self {
            Self::Given(bytes) => bytes.len() as u64,
            Self::Repeated(_, length) => *length,
        }
    }

    /// The piece that starts at `offset`, up to `end`.
    fn piece(&self, offset: u64, end: u64) -> Bytes {
        let most = usize::try_from(end - offset).unwrap_or(PIECE).min(PIECE);
        match self {
            Self::Given(bytes) => {
                let from = usize::try_from(offset).unwrap();
                bytes.slice(from..from + most)
            }
            Self::Repeated(block, _) => {
                let from = usize::try_from(offset % block.len() as u64).unwrap();
                block.slice(from..(from + most).min(block.len()))
            }
        }
    }

    /// All of them, piece by piece.
    pub fn each_piece(&self, mut each: impl FnMut(&[u8])) {
        let mut offset = 0;
        while offset < self.len() {
            let piece = self.piece(offset, self.len());
            each(&piece);
            offset += piece.len() as u64;
        }
    }

    /// All of them.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::new();
        self.each_piece(|piece| all.extend_from_slice(piece));
        all
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Given(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Given(bytes.into())
    }
}

/// How a service sends files.
pub(super) struct Sending<'r> {
    pub(super) headers: &'r HeaderMap,
    pub(super) path: &'r str,
    /// Whether the service honours ranges at all.
    pub(super) ranges: bool,
}

/// The answer that brings a file.
pub(super) fn send(shop: &Shop, item: &Item, sending: &Sending<'_>) -> Response {
    let fault = shop.fault(sending.path);
    let content = match &fault {
        Some(Fault::OtherBytes) => {
            let other: Vec<u8> = item.content.to_vec().iter().map(|byte| !byte).collect();
            Arc::new(Content::from(other))
        }
        _ => Arc::new(item.content.clone()),
    };
    let known = sending.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some() && known == item.etag.as_deref() {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let length = content.len();
    let heeds = sending.ranges && item.ranges && !matches!(fault, Some(Fault::NoRange));
    let from = asked(sending.headers, item).filter(|_| heeds);
    if from.is_some_and(|from| from >= length) {
        let range = format!("bytes */{length}");
        return (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response();
    }
    let start = match (&fault, from) {
        (Some(Fault::OtherRange(later)), Some(from)) => from + later,
        (_, from) => from.unwrap_or(0),
    };
    let stop = match fault {
        Some(Fault::Cut(after)) => Some((start + after, Stop::Cut)),
        Some(Fault::Hold(after)) => Some((start + after, Stop::Hold)),
        _ => None,
    };
    let mut response = Response::new(body(shop.clone(), Arc::clone(&content), start, length, stop));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(item.kind));
    if item.length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length - start));
    }
    if let Some(etag) = &item.etag {
        headers.insert(header::ETAG, HeaderValue::from_str(etag).unwrap());
    }
    if sending.ranges && item.ranges {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    let disposition = item.disposition.clone().unwrap_or_else(|| format!("attachment; filename=\"{}\"", item.name));
    if !disposition.is_empty() {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_bytes(disposition.as_bytes()).unwrap());
    }
    if from.is_some() {
        let range = format!("bytes {start}-{}/{length}", length - 1);
        headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&range).unwrap());
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// Where the range that is asked for starts; none where its condition does not hold (RFC 9110 §13.1.5).
fn asked(headers: &HeaderMap, item: &Item) -> Option<u64> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let condition = text(header::IF_RANGE);
    if condition.is_some() && condition != item.etag.as_deref() {
        return None;
    }
    text(header::RANGE)?.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Cut,
    Hold,
}

fn body(shop: Shop, content: Arc<Content>, start: u64, end: u64, stop: Option<(u64, Stop)>) -> Body {
    let pieces = stream::unfold((start, stop), move |(offset, stop)| {
        let (shop, content) = (shop.clone(), Arc::clone(&content));
        async move {
            let mut stop = stop;
            if let Some((at, kind)) = stop.filter(|(at, _)| *at <= offset) {
                match kind {
                    Stop::Cut => return Some((Err(std::io::Error::other("cut")), (end, None))),
                    Stop::Hold => {
                        let mut released = shop.released.subscribe();
                        // The end of the services releases too.
                        let _ = released.changed().await;
                        assert!(at <= offset);
                        stop = None;
                    }
                }
            }
            if offset >= end {
                return None;
            }
            let until = stop.map_or(end, |(at, _)| at.min(end));
            let piece = content.piece(offset, until);
            shop.held().sent += piece.len() as u64;
            let next = offset + piece.len() as u64;
            Some((Ok(piece), (next, stop)))
        }
    });
    Body::from_stream(pieces)
}
