//! How bytes, ids and texts stand in JSON: integers or hexadecimal on the way in, one form on the way out, every
//! length bounded before anything is kept.

use std::fmt;
use std::marker::PhantomData;

use hcfs_model::{CiphertextHash, FileId, RevisionId, SaltedHash};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;

/// An id of 32 bytes.
pub(crate) trait Id32: Copy {
    fn from_bytes(bytes: [u8; 32]) -> Self;
    fn bytes(self) -> [u8; 32];
}

macro_rules! id32 {
    ($($name:ident),*) => {
        $(impl Id32 for $name {
            fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            fn bytes(self) -> [u8; 32] {
                self.0
            }
        })*
    };
}

id32!(FileId, SaltedHash, RevisionId, CiphertextHash);

impl Id32 for [u8; 32] {
    fn from_bytes(bytes: [u8; 32]) -> Self {
        bytes
    }

    fn bytes(self) -> [u8; 32] {
        self
    }
}

/// Reads exactly `N` bytes, from an array of integers or from hexadecimal text.
struct Fixed<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for Fixed<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {N} integers, or {} hexadecimal characters", 2 * N)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let mut bytes = [0; N];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(E::invalid_length(text.len(), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut bytes = [0; N];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(index, &self))?;
        }
        match seq.next_element::<u8>()? {
            None => Ok(bytes),
            Some(_) => Err(de::Error::invalid_length(N + 1, &self)),
        }
    }
}

fn fixed<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    deserializer.deserialize_any(Fixed::<N>)
}

/// An id, written as an array of integers.
pub(crate) mod ints {
    use super::{Deserializer, Id32, Serializer, fixed};

    pub(crate) fn serialize<T: Id32, S: Serializer>(id: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(id.bytes())
    }

    pub(crate) fn deserialize<'de, T: Id32, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        fixed(deserializer).map(T::from_bytes)
    }
}

/// An id or `null`, written as an array of integers.
pub(crate) mod ints_option {
    use super::{Deserialize, Deserializer, Id32, Serializer};

    struct Ints<T>(T);

    impl<'de, T: Id32> Deserialize<'de> for Ints<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            super::ints::deserialize(deserializer).map(Self)
        }
    }

    pub(crate) fn serialize<T: Id32, S: Serializer>(id: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_seq(id.bytes()),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T: Id32, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        Ok(Option::<Ints<T>>::deserialize(deserializer)?.map(|Ints(id)| id))
    }
}

/// A signature, written as an array of integers.
pub(crate) mod ints64 {
    use super::{Deserializer, Serializer, fixed};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
        fixed(deserializer)
    }
}

/// An id, written as hexadecimal text.
pub(crate) mod hex_text {
    use super::{Deserializer, Id32, Serializer, fixed};

    pub(crate) fn serialize<T: Id32, S: Serializer>(id: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(id.bytes()))
    }

    pub(crate) fn deserialize<'de, T: Id32, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        fixed(deserializer).map(T::from_bytes)
    }
}

/// An id or `null`, written as hexadecimal text.
pub(crate) mod hex_option {
    use super::{Deserialize, Deserializer, Id32, Serializer};

    struct Hex<T>(T);

    impl<'de, T: Id32> Deserialize<'de> for Hex<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            super::hex_text::deserialize(deserializer).map(Self)
        }
    }

    pub(crate) fn serialize<T: Id32, S: Serializer>(id: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => super::hex_text::serialize(id, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T: Id32, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        Ok(Option::<Hex<T>>::deserialize(deserializer)?.map(|Hex(id)| id))
    }
}

/// A value with a checked text form, written and read as that text.
macro_rules! text_form {
    ($(#[$doc:meta])* $name:ident, $type:ty, $what:literal, $max:expr, $read:expr) => {
        $(#[$doc])*
        pub(crate) mod $name {
            use serde::de::{self, Deserializer, Visitor};
            use serde::ser::Serializer;
            use std::fmt;

            struct Text;

            impl Visitor<'_> for Text {
                type Value = $type;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str($what)
                }

                fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                    if text.len() > $max {
                        return Err(E::invalid_length(text.len(), &self));
                    }
                    $read(text).map_err(E::custom)
                }
            }

            pub(crate) fn serialize<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(value)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                deserializer.deserialize_str(Text)
            }
        }
    };
}

text_form!(
    /// An account address.
    address,
    hcfs_model::AccountAddress,
    "an SS58 address",
    128,
    hcfs_model::AccountAddress::parse
);
text_form!(
    /// A folder's hash.
    folder,
    hcfs_model::FolderHash,
    "a folder's hash of 16 lower-case hexadecimal characters",
    16,
    hcfs_model::FolderHash::from_hex
);

/// Reads text of at most `MAX` bytes.
struct Text<const MAX: usize>;

impl<const MAX: usize> Visitor<'_> for Text<MAX> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text of at most {MAX} bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.len() > MAX { Err(E::invalid_length(text.len(), &self)) } else { Ok(text.to_owned()) }
    }
}

struct BoundedText<const MAX: usize>(String);

impl<'de, const MAX: usize> Deserialize<'de> for BoundedText<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text::<MAX>).map(Self)
    }
}

pub(crate) fn text<'de, D: Deserializer<'de>, const MAX: usize>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(Text::<MAX>)
}

pub(crate) fn text_option<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(Option::<BoundedText<MAX>>::deserialize(deserializer)?.map(|BoundedText(text)| text))
}

/// Text that a server means for people: cut instead of refused, and without control characters, so that it can go to
/// a terminal.
pub(crate) fn message<'de, D: Deserializer<'de>, const MAX: usize>(deserializer: D) -> Result<String, D::Error> {
    struct Message<const MAX: usize>;

    impl<const MAX: usize> Visitor<'_> for Message<MAX> {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(printable(text, MAX))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(String::new())
        }
    }

    deserializer.deserialize_any(Message::<MAX>)
}

/// The first `max` bytes of a text, with control characters made blanks.
pub(crate) fn printable(text: &str, max: usize) -> String {
    let end = text.floor_char_boundary(max);
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Bytes of any length up to `MAX`, from an array of integers, hexadecimal text, or `null` for none.
pub(crate) fn blob<'de, D: Deserializer<'de>, const MAX: usize>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    struct Blob<const MAX: usize>;

    impl<'de, const MAX: usize> Visitor<'de> for Blob<MAX> {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} bytes")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            if text.len() > 2 * MAX {
                return Err(E::invalid_length(text.len() / 2, &self));
            }
            hex::decode(text).map_err(|_| E::custom("bytes are not hexadecimal text"))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = seq.next_element()? {
                if bytes.len() == MAX {
                    return Err(de::Error::invalid_length(MAX + 1, &self));
                }
                bytes.push(byte);
            }
            Ok(bytes)
        }
    }

    deserializer.deserialize_any(Blob::<MAX>)
}

struct List<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = seq.next_element()? {
            if list.len() == MAX {
                return Err(de::Error::invalid_length(MAX + 1, &self));
            }
            list.push(entry);
        }
        Ok(list)
    }
}

/// A list of at most `MAX` entries.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(List::<T, MAX>(PhantomData))
}

/// A list of at most `MAX` texts of at most `EACH` bytes.
pub(crate) fn texts<'de, D: Deserializer<'de>, const MAX: usize, const EACH: usize>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let list = deserializer.deserialize_seq(List::<BoundedText<EACH>, MAX>(PhantomData))?;
    Ok(list.into_iter().map(|BoundedText(text)| text).collect())
}

/// As [`texts`], or `null`.
pub(crate) fn texts_option<'de, D: Deserializer<'de>, const MAX: usize, const EACH: usize>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    struct Texts<const MAX: usize, const EACH: usize>(Vec<String>);

    impl<'de, const MAX: usize, const EACH: usize> Deserialize<'de> for Texts<MAX, EACH> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            texts::<D, MAX, EACH>(deserializer).map(Self)
        }
    }

    Ok(Option::<Texts<MAX, EACH>>::deserialize(deserializer)?.map(|Texts(list)| list))
}
