//! Names of objects, and the places of blobs in them.
//!
//! An object is what a store keeps under one name: one blob, or a *pack* of small ones that were written together. A name
//! is made for one upload (or one group of them) and never again, so it says by itself whether rows may still come: only
//! they could point there, and they do so within a bounded time after the name's birth or not at all. Once no row points
//! to a *settled* object, none ever will; no lock between uploads and removals is needed, on one machine or many.

use hcfs_model::CiphertextHash;

use super::WriteError;

/// The longest an upload may take from the birth of its object to its row.
const OWN_WINDOW: i64 = 24 * 3600;
/// The same for a pack, which is born when its blobs are whole.
const PACK_WINDOW: i64 = 600;
/// How much longer than its window an object is taken for unsettled: the clocks of two servers may differ by the window.
const SAFETY: i64 = 2;

/// A name that was made for one upload: shard, kind, birth in Unix seconds, and random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId(pub(crate) [u8; 16]);

/// Whether an object holds one blob or may hold several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One blob.
    Own,
    /// Blobs that were written together.
    Pack,
}

impl ObjectId {
    /// A name nothing has.
    pub(crate) fn new(kind: Kind, born: i64) -> Result<Self, WriteError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| WriteError::Random)?;
        bytes[1] = u8::from(kind == Kind::Pack);
        bytes[2..8].copy_from_slice(&born.to_be_bytes()[2..]);
        Ok(Self(bytes))
    }

    fn kind(self) -> Kind {
        if self.0[1] == 0 { Kind::Own } else { Kind::Pack }
    }

    fn born(self) -> i64 {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&self.0[2..8]);
        i64::from_be_bytes(bytes)
    }
}

/// The name of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ObjectName {
    /// Made for one upload.
    Id(ObjectId),
    /// The hash of the only blob in it: how the first layout named blobs. No row that comes later points to one.
    Hash(CiphertextHash),
}

impl ObjectName {
    /// The directory it lies in, of 256.
    pub(crate) fn shard(&self) -> u8 {
        match self {
            Self::Id(id) => id.0[0],
            Self::Hash(hash) => hash.0[0],
        }
    }

    /// 32 or 64 lower-case hexadecimal characters.
    pub(crate) fn to_hex(self) -> String {
        match self {
            Self::Id(id) => hex::encode(id.0),
            Self::Hash(hash) => hash.to_hex(),
        }
    }

    /// Reads [`ObjectName::to_hex`].
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let mut id = [0; 16];
        match hex::decode_to_slice(text, &mut id) {
            Ok(()) => Some(Self::Id(ObjectId(id))),
            Err(_) => CiphertextHash::from_hex(text).ok().map(Self::Hash),
        }
    }

    /// Its bytes, as a database holds them: 16 or 32.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Id(id) => &id.0,
            Self::Hash(hash) => &hash.0,
        }
    }

    /// Reads [`ObjectName::bytes`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let Ok(id) = bytes.try_into() {
            return Some(Self::Id(ObjectId(id)));
        }
        bytes.try_into().ok().map(|hash| Self::Hash(CiphertextHash(hash)))
    }

    /// Whether it may hold several blobs.
    pub(crate) fn is_pack(&self) -> bool {
        matches!(self, Self::Id(id) if id.kind() == Kind::Pack)
    }

    /// Whether a row may be made that points to it: its window is not over.
    pub(crate) fn takes_rows(&self, now: i64) -> bool {
        matches!(self, Self::Id(id) if now < id.born().saturating_add(window(id.kind())))
    }

    /// Whether no row can come any more: an object of this name without one is not needed, nor will it ever be.
    pub(crate) fn is_settled(&self, now: i64) -> bool {
        match self {
            Self::Id(id) => now >= id.born().saturating_add(SAFETY * window(id.kind())),
            Self::Hash(_) => true,
        }
    }
}

fn window(kind: Kind) -> i64 {
    match kind {
        Kind::Own => OWN_WINDOW,
        Kind::Pack => PACK_WINDOW,
    }
}

/// Where the bytes of a blob are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlobPlace {
    /// The object they lie in.
    pub(crate) object: ObjectName,
    /// The offset of the first one.
    pub(crate) at: u64,
    /// How many there are.
    pub(crate) length: u64,
}

impl BlobPlace {
    /// A blob that has an object to itself.
    pub(crate) fn whole(object: ObjectName, length: u64) -> Self {
        Self { object, at: 0, length }
    }

    /// The offset behind the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.at.saturating_add(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_forms_and_knows_its_time() {
        for kind in [Kind::Own, Kind::Pack] {
            let id = ObjectId::new(kind, 1_800_000_000).unwrap();
            assert_eq!((id.kind(), id.born()), (kind, 1_800_000_000));
            let name = ObjectName::Id(id);
            assert_eq!(ObjectName::from_hex(&name.to_hex()), Some(name));
            assert_eq!(ObjectName::from_bytes(name.bytes()), Some(name));
            let end = 1_800_000_000 + window(kind);
            assert!(name.takes_rows(end - 1) && !name.takes_rows(end));
            assert!(!name.is_settled(end) && name.is_settled(end + window(kind)));
        }
        let old = ObjectName::Hash(CiphertextHash([0xab; 32]));
        assert_eq!(ObjectName::from_hex(&old.to_hex()), Some(old));
        assert_eq!(ObjectName::from_bytes(old.bytes()), Some(old));
        assert!(!old.takes_rows(0) && old.is_settled(0) && !old.is_pack());
    }

    #[test]
    fn other_names_are_not_ours() {
        for text in ["", "README", &"A".repeat(32), &"0".repeat(31), &"g".repeat(64), &"0".repeat(63)] {
            assert_eq!(ObjectName::from_hex(text), None, "{text}");
        }
        assert_eq!(ObjectName::from_bytes(&[0; 17]), None);
    }
}
