//! Entity tags: of a folder's whole state, and of one revision.

use std::fmt;

use hcfs_model::RevisionId;

/// Why a header is not an entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header is not a strong entity tag of at most 128 visible characters")]
pub struct TagError;

/// The tag of a folder's state. Opaque to a client; a server makes it from the folder's change counter.
///
/// The same tag stands for the same rows; every page of one listing carries the same, or the listing is skewed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateTag(Box<str>);

impl StateTag {
    /// The longest accepted tag, in bytes without its quotes.
    pub const MAX_BYTES: usize = 128;

    /// The tag of a change counter.
    #[must_use]
    pub fn of_counter(counter: u64) -> Self {
        Self(counter.to_string().into())
    }

    /// Reads the value of an `ETag` or `If-None-Match` header with one strong tag.
    ///
    /// # Errors
    /// A weak tag, a list, `*`, no quotes, or a character that is not visible ASCII.
    pub fn parse(header: &str) -> Result<Self, TagError> {
        unquote(header, Self::MAX_BYTES).map(|text| Self(text.into()))
    }

    /// A tag that was kept, without its quotes.
    ///
    /// # Errors
    /// As [`StateTag::parse`].
    pub fn from_text(text: &str) -> Result<Self, TagError> {
        Self::parse(&format!("\"{text}\""))
    }

    /// The text of the tag, without quotes, to keep it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// With quotes: the value of the header.
impl fmt::Display for StateTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// The value of an `If-Match` header that names one revision.
#[must_use]
pub fn revision_tag(id: RevisionId) -> String {
    format!("\"{id}\"")
}

/// Reads an `If-Match` header that names one revision.
///
/// # Errors
/// Anything but one strong tag of 64 hexadecimal characters.
pub fn parse_revision_tag(header: &str) -> Result<RevisionId, TagError> {
    RevisionId::from_hex(unquote(header, 64)?).map_err(|_| TagError)
}

fn unquote(header: &str, max: usize) -> Result<&str, TagError> {
    let text = header.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or(TagError)?;
    let visible = text.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
    if !text.is_empty() && text.len() <= max && visible { Ok(text) } else { Err(TagError) }
}
