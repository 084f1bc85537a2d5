//! The envelope every JSON answer comes in, apart from the few the protocol names (§4).

use std::fmt;
use std::marker::PhantomData;

use hcfs_model::{Revision, RevisionId};
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::{ErrorCode, encoding, limits};

/// An answer: exactly one of three variants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Envelope<T> {
    /// The request was carried out.
    Success(T),
    /// Another revision is current.
    Conflict(ConflictBody),
    /// The request was refused or failed.
    Error(ErrorBody),
}

/// Why a request was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What to switch on.
    pub error: ErrorCode,
    /// What to show; its wording is no contract.
    #[serde(default, deserialize_with = "encoding::message::<_, { limits::MAX_MESSAGE }>")]
    pub message: String,
}

/// The revision that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictBody {
    /// `conflict` or `upload_conflict`.
    pub error: ErrorCode,
    /// What to show; its wording is no contract.
    #[serde(default, deserialize_with = "encoding::message::<_, { limits::MAX_MESSAGE }>")]
    pub message: String,
    /// The current revision's id; absent where no file is meant, as in a folder registered twice.
    #[serde(default, with = "encoding::ints_option")]
    pub current_revision_id: Option<RevisionId>,
    /// The current revision's sequence number.
    #[serde(default)]
    pub current_revision_seq: Option<u64>,
}

impl ConflictBody {
    /// A conflict with the current revision, or with none.
    #[must_use]
    pub fn new(message: &str, current: Option<Revision>) -> Self {
        Self {
            error: ErrorCode::Conflict,
            message: message.to_owned(),
            current_revision_id: current.map(|current| current.id),
            current_revision_seq: current.map(|current| current.seq),
        }
    }

    /// The current revision, where both halves of it were sent.
    #[must_use]
    pub fn current(&self) -> Option<Revision> {
        Some(Revision { seq: self.current_revision_seq?, id: self.current_revision_id? })
    }
}

/// The body of a 402, which comes without an envelope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaBody {
    /// A code, where one was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorCode>,
    /// What to show.
    #[serde(default, deserialize_with = "encoding::message::<_, { limits::MAX_MESSAGE }>")]
    pub message: String,
    /// What the account has, in cents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_cents: Option<i64>,
    /// What the request would have cost, in cents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_cents: Option<i64>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Envelope<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor(PhantomData))
    }
}

struct EnvelopeVisitor<T>(PhantomData<T>);

#[derive(Deserialize)]
enum Key {
    Success,
    Conflict,
    Error,
    #[serde(other)]
    Unknown,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for EnvelopeVisitor<T> {
    type Value = Envelope<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with exactly one of Success, Conflict and Error")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key()? {
            let variant = match key {
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                _ if found.is_some() => return Err(de::Error::custom("the envelope has two variants")),
                Key::Success => Envelope::Success(map.next_value()?),
                Key::Conflict => Envelope::Conflict(map.next_value()?),
                Key::Error => Envelope::Error(map.next_value()?),
            };
            found = Some(variant);
        }
        found.ok_or_else(|| de::Error::custom("the envelope has none of Success, Conflict and Error"))
    }
}
