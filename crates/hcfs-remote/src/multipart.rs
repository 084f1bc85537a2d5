//! The body of `POST /upload`: the manifest, then the blob (protocol §5).

use std::io;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use hcfs_http::{Body, HeaderValue};
use hcfs_wire::Manifest;

/// The body and its `Content-Type`. The blob is not copied.
pub(crate) fn upload(manifest: &Manifest, blob: Bytes) -> Result<(Body, HeaderValue), String> {
    // No blob holds its own hash, so this never stands inside one; and no random bytes are needed.
    let boundary = format!("hcfs-{}", manifest.ciphertext_hash);
    let json = serde_json::to_string(manifest).map_err(|error| error.to_string())?;
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"manifest\"\r\nContent-Type: application/json\r\n\r\n\
         {json}\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"ciphertext\"; filename=\"ciphertext\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let parts = [Bytes::from(head), blob, Bytes::from(tail)];
    let length = parts.iter().map(|part| part.len() as u64).sum();
    let body = Body::stream(Some(length), move || stream::iter(parts.clone().map(io::Result::Ok)).boxed());
    let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
        .map_err(|error| error.to_string())?;
    Ok((body, content_type))
}
