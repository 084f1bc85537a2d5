//! Paths relative to a folder's root, as the protocol names files.

use std::borrow::Borrow;
use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// Why a text is not a relative path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path has no characters.
    #[error("the path is empty")]
    Empty,
    /// The path starts at the file system's root.
    #[error("the path starts with a slash")]
    Absolute,
    /// A segment between two slashes is empty, or the path ends with a slash.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("the path has a \".\" or \"..\" segment")]
    DotSegment,
    /// The path holds a backslash, which other systems read as a separator.
    #[error("the path has a backslash")]
    Backslash,
    /// The path holds a NUL byte.
    #[error("the path has a NUL byte")]
    Nul,
    /// The path lies in `.hcfs/`, the folder's own state.
    #[error("the path lies in the folder's own state directory")]
    Reserved,
    /// The path is longer than [`RelPath::MAX_BYTES`].
    #[error("the path is longer than 4096 bytes")]
    TooLong,
    /// The path is not Unicode.
    #[error("the path is not valid UTF-8")]
    NotUtf8,
}

/// A path relative to a folder's root: POSIX separators, Unicode NFC, no leading slash, no backslash, no NUL, no
/// empty, `.` or `..` segment, and never inside `.hcfs/` (protocol §2).
///
/// The order is byte order of the text, the same in memory and in SQLite.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Box<str>);

impl RelPath {
    /// The longest accepted path, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 4096;
    /// The directory of the folder's own state, never synced.
    pub const STATE_DIR: &'static str = ".hcfs";

    /// Checks `text` and brings it to NFC.
    ///
    /// # Errors
    /// The first rule the text breaks.
    pub fn new(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(PathError::TooLong);
        }
        if text.starts_with('/') {
            return Err(PathError::Absolute);
        }
        if text.contains('\\') {
            return Err(PathError::Backslash);
        }
        if text.contains('\0') {
            return Err(PathError::Nul);
        }
        for segment in text.split('/') {
            match segment {
                "" => return Err(PathError::EmptySegment),
                "." | ".." => return Err(PathError::DotSegment),
                _ => {}
            }
        }
        // Compared without case: on a file system that folds it, `.HCFS` is the same directory.
        let first = text.split('/').next().unwrap_or_default();
        if first.eq_ignore_ascii_case(Self::STATE_DIR) {
            return Err(PathError::Reserved);
        }
        if unicode_normalization::is_nfc(text) {
            return Ok(Self(text.into()));
        }
        let composed: String = text.nfc().collect();
        if composed.len() > Self::MAX_BYTES {
            return Err(PathError::TooLong);
        }
        Ok(Self(composed.into()))
    }

    /// Reads a path from bytes that must be UTF-8.
    ///
    /// # Errors
    /// [`PathError::NotUtf8`], or the first rule the text breaks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        Self::new(std::str::from_utf8(bytes).map_err(|_| PathError::NotUtf8)?)
    }

    /// The text of the path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The directory this path lies in; `None` at the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// The segments from the root down.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The directories above this path, the deepest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// This path with one more segment.
    ///
    /// # Errors
    /// The rule that `segment` breaks.
    pub fn join(&self, segment: &str) -> Result<Self, PathError> {
        Self::new(&format!("{}/{segment}", self.0))
    }

    /// The same directory with another last segment.
    ///
    /// # Errors
    /// The rule that `name` breaks.
    pub fn with_name(&self, name: &str) -> Result<Self, PathError> {
        match self.0.rsplit_once('/') {
            Some((parent, _)) => Self::new(&format!("{parent}/{name}")),
            None => Self::new(name),
        }
    }

    /// Whether this path lies below `directory`, at any depth.
    #[must_use]
    pub fn is_below(&self, directory: &Self) -> bool {
        self.0.len() > directory.0.len()
            && self.0.as_bytes()[directory.0.len()] == b'/'
            && self.0.starts_with(&*directory.0)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for RelPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for RelPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_leave_the_root_or_enter_the_state_directory() {
        for (text, error) in [
            ("", PathError::Empty),
            ("/a", PathError::Absolute),
            ("a//b", PathError::EmptySegment),
            ("a/", PathError::EmptySegment),
            ("../a", PathError::DotSegment),
            ("a/./b", PathError::DotSegment),
            ("a\\b", PathError::Backslash),
            ("a\0b", PathError::Nul),
            (".hcfs/x", PathError::Reserved),
            (".HCFS", PathError::Reserved),
        ] {
            assert_eq!(RelPath::new(text), Err(error), "{text:?}");
        }
        assert_eq!(RelPath::new(&"a".repeat(4097)), Err(PathError::TooLong));
        assert_eq!(RelPath::from_bytes(b"a\xff"), Err(PathError::NotUtf8));
        assert!(RelPath::new("a/.hcfs").is_ok());
        assert!(RelPath::new("...").is_ok());
    }

    #[test]
    fn is_nfc_whatever_came_in() {
        assert_eq!(RelPath::new("e\u{301}").unwrap(), RelPath::new("\u{e9}").unwrap());
    }

    #[test]
    fn knows_its_place() {
        let path = RelPath::new("a/b/c").unwrap();
        assert_eq!(path.name(), "c");
        assert_eq!(path.ancestors().map(|p| p.to_string()).collect::<Vec<_>>(), ["a/b", "a"]);
        assert!(path.is_below(&RelPath::new("a").unwrap()));
        assert!(!RelPath::new("ab/c").unwrap().is_below(&RelPath::new("a").unwrap()));
        assert!(!path.is_below(&path));
        assert_eq!(path.with_name("d").unwrap().as_str(), "a/b/d");
        assert_eq!(path.with_name("d/../e"), Err(PathError::DotSegment));
    }
}
