//! The parsers of what services send, by themselves: for the fuzz targets, which see no private item.

use std::io;
use std::sync::Arc;

use hcfs_http::HeaderMap;

use crate::cid::id::ContentId;
use crate::name;
use crate::stage::{Form, decode::Decoder};

/// The content in a body that comes in pieces: JSON with base64, or what may be an archive. `None` for another form.
#[must_use]
pub fn content<'b>(is_json: bool, total: u64, pieces: impl IntoIterator<Item = &'b [u8]>) -> Option<Vec<u8>> {
    let form = if is_json { Form::Json } else { Form::PerhapsPacked(Arc::new(|_| true)) };
    let mut decoder = Decoder::new(form, 0, Some(total));
    let mut content = Vec::new();
    let mut keep = |bytes: &[u8]| -> io::Result<()> {
        content.extend_from_slice(bytes);
        Ok(())
    };
    for piece in pieces {
        decoder.push(piece, &mut keep).ok()?;
    }
    decoder.finish(&mut keep).ok()?;
    Some(content)
}

/// The file name of a `Content-Disposition`, as it came.
#[must_use]
pub fn disposition(headers: &HeaderMap) -> Option<String> {
    name::file_name(headers)
}

/// Whether a text is a content identifier.
#[must_use]
pub fn is_cid(text: &str) -> bool {
    ContentId::parse(text).is_ok()
}
