//! The recovery phrase: the one secret a user keeps, from which everything else is derived (protocol §1).
//!
//! A phrase is 24 English BIP-39 words; phrases of 12 words, made by other clients, are read too. The BIP-39 passphrase
//! is always empty. Deliberately absent: other languages and other word counts.

mod keys;

use bip39::{Language, Mnemonic};
use hcfs_model::{AccountAddress, FolderLabel};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

pub use keys::{AccountKey, EncryptionKey, FolderKeys, SigningKey};

use crate::random::{self, RandomError};

/// Why a text is not a recovery phrase. Never holds one of its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Neither 12 nor 24 words.
    #[error("the phrase has {found} words, and 24 (or 12) are expected")]
    WordCount {
        /// How many words there are.
        found: usize,
    },
    /// A word that is not in the English BIP-39 list.
    #[error("word {position} of the phrase is not in the list of words")]
    UnknownWord {
        /// Which word, counted from 1.
        position: usize,
    },
    /// Every word is in the list, but they do not belong together.
    #[error("the phrase's checksum does not match")]
    Checksum,
}

impl PhraseError {
    /// What to do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::WordCount { .. } => "enter the words of one phrase, separated by spaces",
            Self::UnknownWord { .. } => "look for a typing error in that word",
            Self::Checksum => "look for a word taken for another one, or for two words that changed places",
        }
    }
}

/// A recovery phrase.
///
/// Wiped when dropped, without `Debug` and `Clone`:
/// ```compile_fail,E0277
/// fn leak(phrase: &hcfs_crypto::phrase::MasterPhrase) -> String {
///     format!("{phrase:?}")
/// }
/// ```
pub struct MasterPhrase(Box<Mnemonic>);

impl MasterPhrase {
    /// A new phrase of 24 words, from 256 random bits.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        let mut entropy = Zeroizing::new([0; 32]);
        random::fill(&mut *entropy)?;
        Ok(Self::from_entropy(&entropy))
    }

    /// Reads 12 or 24 words, whatever their case and the white space between them.
    ///
    /// # Errors
    /// The number of words, the position of a word that is not in the list, or a checksum that does not match.
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let found = text.split_whitespace().count();
        if !matches!(found, 12 | 24) {
            return Err(PhraseError::WordCount { found });
        }
        let mut lower = Zeroizing::new(text.to_owned());
        lower.make_ascii_lowercase();
        match Mnemonic::parse_in_normalized(Language::English, &lower) {
            Ok(mnemonic) => Ok(Self(Box::new(mnemonic))),
            Err(bip39::Error::UnknownWord(index)) => Err(PhraseError::UnknownWord { position: index + 1 }),
            Err(_) => Err(PhraseError::Checksum),
        }
    }

    /// The words, lower case, separated by one space.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        // Room for 24 words of at most 8 letters: a string that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(24 * 9));
        for word in self.0.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// The address of the account this phrase makes by itself, the Substrate way: for use where none is configured.
    #[must_use]
    pub fn account(&self) -> AccountAddress {
        self.account_key().account()
    }

    /// The key of that account.
    #[must_use]
    pub fn account_key(&self) -> AccountKey {
        AccountKey::from_mini_secret(&self.mini_secret())
    }

    /// The keys of the folder with this label.
    #[must_use]
    pub fn folder_keys(&self, label: &FolderLabel) -> FolderKeys {
        FolderKeys::from_folder_phrase(&self.folder_phrase(label.as_str()))
    }

    /// The phrase of a folder: its entropy is `SHA-256(master seed[0..32] ‖ label)`.
    fn folder_phrase(&self, label: &str) -> Self {
        let seed = self.seed();
        let mut hasher = Sha256::new();
        hasher.update(&seed[..32]);
        hasher.update(label.as_bytes());
        let mut entropy = Zeroizing::new([0; 32]);
        entropy.copy_from_slice(&hasher.finalize());
        Self::from_entropy(&entropy)
    }

    /// The BIP-39 seed, under an empty passphrase.
    fn seed(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0.to_seed_normalized(""))
    }

    /// PBKDF2 over the entropy, not over the words as BIP-39 has it.
    fn mini_secret(&self) -> Zeroizing<[u8; 32]> {
        let entropy = Zeroizing::new(self.0.to_entropy());
        let mut secret = Zeroizing::new([0; 64]);
        pbkdf2::pbkdf2_hmac::<Sha512>(&entropy, b"mnemonic", 2048, &mut *secret);
        let mut mini = Zeroizing::new([0; 32]);
        mini.copy_from_slice(&secret[..32]);
        mini
    }

    #[expect(clippy::expect_used, reason = "32 bytes are an entropy BIP-39 knows")]
    fn from_entropy(entropy: &[u8; 32]) -> Self {
        Self(Box::new(Mnemonic::from_entropy_in(Language::English, entropy).expect("256 bits of entropy")))
    }
}

#[cfg(test)]
mod tests;
