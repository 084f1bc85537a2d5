//! A CID, read once.

use cid::multibase;

use super::hash::Hash;

/// The longest CID as text, in bytes.
const TEXT_MAX: usize = 512;
const CODEC_RAW: u64 = 0x55;
const CODEC_DAG_PB: u64 = 0x70;
const IDENTITY: u64 = 0x00;

/// What a CID says of the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The content is these bytes.
    Inline(Vec<u8>),
    /// The content has this hash.
    Raw(Hash),
    /// The root of a tree over the content has this hash. `old` says that the CID is of version 0.
    Tree { hash: Hash, old: bool },
    /// Something that is not understood here.
    Unknown(String),
}

/// A content identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentId {
    /// Code, length and digest of the hash.
    pub(crate) multihash: Vec<u8>,
    pub(crate) claim: Claim,
}

impl ContentId {
    /// Reads a CID of version 0 or 1, in any base; nothing may follow it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const BAD: &str = "it is not a CID";
        if text.len() > TEXT_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BAD);
        }
        let bytes = if text.len() == 46 && text.starts_with("Qm") {
            multibase::Base::Base58Btc.decode(text).map_err(|_| BAD)?
        } else {
            multibase::decode(text).map_err(|_| BAD)?.1
        };
        let mut rest = bytes.as_slice();
        let cid = cid::Cid::read_bytes(&mut rest).map_err(|_| BAD)?;
        if !rest.is_empty() {
            return Err(BAD);
        }
        let multihash = cid.hash();
        Ok(Self { claim: claim_of(&cid), multihash: multihash.to_bytes() })
    }
}

fn claim_of(cid: &cid::Cid) -> Claim {
    let (code, digest) = (cid.hash().code(), cid.hash().digest());
    let hash = Hash::of(code, digest.len());
    match (cid.codec(), hash) {
        (CODEC_RAW, _) if code == IDENTITY => Claim::Inline(digest.to_vec()),
        (CODEC_RAW, Some(hash)) => Claim::Raw(hash),
        (CODEC_DAG_PB, Some(hash)) => Claim::Tree { hash, old: cid.version() == cid::Version::V0 },
        (CODEC_RAW | CODEC_DAG_PB, None) => Claim::Unknown(format!("its hash function 0x{code:x} is not known here")),
        (codec, _) => Claim::Unknown(format!("its codec 0x{codec:x} is not that of a file")),
    }
}
