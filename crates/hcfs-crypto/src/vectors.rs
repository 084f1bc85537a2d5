//! The published test vectors, for the tests of every module.

use hcfs_model::AccountAddress;
use serde_json::Value;

use crate::frame::BaseNonce;
use crate::phrase::EncryptionKey;

/// A hostile path of the vectors that no text can hold, and its bytes as other languages write them.
pub(crate) const LONE_SURROGATE: (&str, &[u8]) = (r"a\ud800b", b"a\xed\xa0\x80b");

/// The vectors of one section.
pub(crate) fn section(name: &str) -> Vec<Value> {
    let json = include_str!("../tests/vectors.json").replace(LONE_SURROGATE.0, "a\u{fffd}b");
    let mut all: Value = serde_json::from_str(&json).unwrap();
    serde_json::from_value(all[name].take()).unwrap()
}

/// The vectors of one section that are of this kind; never none.
pub(crate) fn of_kind(name: &str, kind: &str) -> Vec<Value> {
    let found: Vec<Value> = section(name).into_iter().filter(|vector| vector["kind"] == kind).collect();
    assert!(!found.is_empty(), "no {kind:?} in {name:?}");
    found
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).unwrap()
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

/// The plaintext a vector means: hex, or so many bytes that count from 0 to 250.
pub(crate) fn plaintext(vector: &Value) -> Vec<u8> {
    match text(&vector["plaintext"]) {
        "cycle251" => cycle(usize::try_from(vector["plaintext_len"].as_u64().unwrap()).unwrap()),
        hex => hex::decode(hex).unwrap(),
    }
}

pub(crate) fn cycle(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

/// The key of the blobs among the vectors.
pub(crate) fn key() -> EncryptionKey {
    EncryptionKey::from_bytes(&std::array::from_fn(|i| u8::try_from(i).unwrap()))
}

/// The base nonce of the blobs among the vectors.
pub(crate) fn nonce() -> BaseNonce {
    BaseNonce::from_bytes(std::array::from_fn(|i| u8::try_from(i).unwrap()))
}

pub(crate) fn alice() -> AccountAddress {
    AccountAddress::parse("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY").unwrap()
}
