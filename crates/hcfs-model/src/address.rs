//! Account addresses in the SS58 form.

use std::fmt;

use blake2::{Blake2b512, Digest};

/// Why a text is not an account address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A character outside the base-58 alphabet.
    #[error("the address has a character that base58 does not know")]
    Base58,
    /// Not one prefix byte, 32 key bytes and two checksum bytes.
    #[error("the address has the wrong length")]
    Length,
    /// Another network's prefix.
    #[error("the address has prefix {0}, and 42 is expected")]
    Prefix(u8),
    /// A mistyped character.
    #[error("the address's checksum does not match: a character is mistyped")]
    Checksum,
}

/// An account's address: SS58 with prefix 42 over an sr25519 public key (protocol §1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountAddress {
    text: Box<str>,
    key: [u8; 32],
}

impl AccountAddress {
    /// The network prefix of HCFS accounts.
    pub const PREFIX: u8 = 42;

    /// The address of a public key.
    #[must_use]
    pub fn from_public_key(key: [u8; 32]) -> Self {
        let mut bytes = [0; 35];
        bytes[0] = Self::PREFIX;
        bytes[1..33].copy_from_slice(&key);
        let sum = checksum(&bytes[..33]);
        bytes[33..].copy_from_slice(&sum);
        Self { text: bs58::encode(bytes).into_string().into(), key }
    }

    /// Reads and checks an address.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mut bytes = [0; 64];
        let length = match bs58::decode(text).onto(&mut bytes[..]) {
            Ok(length) => length,
            Err(bs58::decode::Error::BufferTooSmall) => return Err(AddressError::Length),
            Err(_) => return Err(AddressError::Base58),
        };
        if length != 35 {
            return Err(AddressError::Length);
        }
        if bytes[0] != Self::PREFIX {
            return Err(AddressError::Prefix(bytes[0]));
        }
        if checksum(&bytes[..33]) != bytes[33..35] {
            return Err(AddressError::Checksum);
        }
        let mut key = [0; 32];
        key.copy_from_slice(&bytes[1..33]);
        Ok(Self::from_public_key(key))
    }

    /// The SS58 text: what salts content hashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The sr25519 public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.key
    }
}

/// The first two bytes of `BLAKE2b-512("SS58PRE" ‖ prefix ‖ key)`.
fn checksum(prefix_and_key: &[u8]) -> [u8; 2] {
    let mut hasher = Blake2b512::new();
    hasher.update(b"SS58PRE");
    hasher.update(prefix_and_key);
    let digest = hasher.finalize();
    [digest[0], digest[1]]
}

impl fmt::Display for AccountAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for AccountAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for AccountAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn reads_and_writes_the_known_development_account() {
        let alice = AccountAddress::parse(ALICE).unwrap();
        assert_eq!(alice.as_str(), ALICE);
        assert_eq!(hex::encode(alice.public_key()), "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d");
        assert_eq!(AccountAddress::from_public_key(*alice.public_key()), alice);
    }

    #[test]
    fn tells_a_typing_error_from_another_network() {
        let mistyped = ALICE.replace("utQY", "utQZ");
        assert_eq!(AccountAddress::parse(&mistyped), Err(AddressError::Checksum));
        assert_eq!(AccountAddress::parse("0OIl"), Err(AddressError::Base58));
        assert_eq!(AccountAddress::parse("5Grw"), Err(AddressError::Length));
        assert_eq!(AccountAddress::parse(&ALICE.repeat(3)), Err(AddressError::Length));
        let mut other = vec![0_u8];
        other.extend_from_slice(&[7; 32]);
        let sum = checksum(&other);
        other.extend_from_slice(&sum);
        assert_eq!(AccountAddress::parse(&bs58::encode(other).into_string()), Err(AddressError::Prefix(0)));
    }
}
