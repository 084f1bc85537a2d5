//! Ids and hashes as types of their own, so that one is never taken for another.

use std::fmt;

use sha2::{Digest, Sha256};

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal characters")]
pub struct IdError {
    /// How many characters the id has.
    pub expected: usize,
}

macro_rules! hash32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Reads 64 hexadecimal characters, of either case.
            ///
            /// # Errors
            /// Another length or another character.
            pub fn from_hex(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError { expected: 64 })?;
                Ok(Self(bytes))
            }

            /// 64 lower-case hexadecimal characters.
            #[must_use]
            pub fn to_hex(self) -> String {
                hex::encode(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(&self.0[..4]))
            }
        }
    };
}

hash32! {
    /// A file's name on the server: the BLAKE3 hash of its relative path (`path_hash`, protocol §2).
    ///
    /// Taken from the listing where there is one: other clients hash names that are not NFC.
    FileId
}
hash32! {
    /// `BLAKE3(ss58 ‖ plaintext)`: what decides whether two contents are equal (protocol §2).
    SaltedHash
}
hash32! {
    /// The server's name for one version of a file.
    RevisionId
}
hash32! {
    /// BLAKE3 of a whole blob.
    CiphertextHash
}

impl FileId {
    /// The id of the file at a path, given the path's bytes.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        Self(*blake3::hash(path.as_bytes()).as_bytes())
    }
}

/// A folder's name on the server: the first 16 lower-case hexadecimal characters of `SHA-256(label)` (protocol §1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderHash([u8; 8]);

impl FolderHash {
    /// The hash of a label.
    #[must_use]
    pub fn of_label(label: &FolderLabel) -> Self {
        let digest = Sha256::digest(label.as_str().as_bytes());
        let mut head = [0; 8];
        head.copy_from_slice(&digest[..8]);
        Self(head)
    }

    /// Reads 16 lower-case hexadecimal characters.
    ///
    /// # Errors
    /// Another length, another character, or upper case.
    pub fn from_hex(text: &str) -> Result<Self, IdError> {
        let error = IdError { expected: 16 };
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(error);
        }
        let mut bytes = [0; 8];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| error)?;
        Ok(Self(bytes))
    }

    /// 16 lower-case hexadecimal characters.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for FolderHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for FolderHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a folder label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// No characters.
    #[error("the label is empty")]
    Empty,
    /// More than [`FolderLabel::MAX_BYTES`].
    #[error("the label is longer than 255 bytes")]
    TooLong,
    /// A control character, or a slash, which would break the routes and the log.
    #[error("the label has a control character or a slash")]
    Character,
}

/// The name a user gave a folder; the same on every device, and the seed of the folder's keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderLabel(Box<str>);

impl FolderLabel {
    /// The longest label, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks a label. Its bytes are kept as they are: they are hashed.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(text: &str) -> Result<Self, LabelError> {
        if text.is_empty() {
            return Err(LabelError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(LabelError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c == '/') {
            return Err(LabelError::Character);
        }
        Ok(Self(text.into()))
    }

    /// The text of the label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FolderLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_hash_of_the_published_label() {
        let label = FolderLabel::new("default").unwrap();
        assert_eq!(FolderHash::of_label(&label).to_hex(), "37a8eec1ce19687d");
    }

    #[test]
    fn ids_refuse_other_lengths_and_characters() {
        assert!(FileId::from_hex(&"ab".repeat(32)).is_ok());
        assert!(FileId::from_hex(&"ab".repeat(31)).is_err());
        assert!(FileId::from_hex(&"zz".repeat(32)).is_err());
        assert!(FolderHash::from_hex("37a8eec1ce19687d").is_ok());
        assert!(FolderHash::from_hex("37A8eec1ce19687d").is_err());
        assert!(FolderHash::from_hex("37a8eec1ce19687").is_err());
    }

    #[test]
    fn labels_refuse_what_would_break_a_route_or_the_log() {
        for text in ["", "a/b", "a\nb", &"x".repeat(256)] {
            assert!(FolderLabel::new(text).is_err(), "{text:?}");
        }
        assert!(FolderLabel::new("Photos 2026 ü").is_ok());
    }
}
