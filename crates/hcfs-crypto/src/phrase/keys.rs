//! The account's key, and the keys of one folder: both of these are made of the same 32 bytes, as the protocol has it.

use ed25519_dalek::Signer;
use hcfs_model::AccountAddress;
use schnorrkel::{ExpansionMode, MiniSecretKey};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::MasterPhrase;

/// The key that seals a folder's files and paths (XChaCha20-Poly1305).
///
/// Wiped when dropped, without `Debug` and `Clone`:
/// ```compile_fail,E0277
/// fn leak(key: &hcfs_crypto::phrase::EncryptionKey) -> String {
///     format!("{key:?}")
/// }
/// ```
// Boxed, so that moving the key leaves no copy behind on the stack.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EncryptionKey(Box<[u8; 32]>);

impl EncryptionKey {
    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Box::new(*bytes))
    }

    /// The bytes of the key.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The key that signs a folder's manifests and renames (Ed25519).
///
/// Wiped when dropped, without `Debug` and `Clone`:
/// ```compile_fail,E0277
/// fn leak(key: &hcfs_crypto::phrase::SigningKey) -> String {
///     format!("{key:?}")
/// }
/// ```
pub struct SigningKey(Box<ed25519_dalek::SigningKey>);

impl SigningKey {
    /// The key of a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Box::new(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// The signature of a text, 64 bytes.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.0.sign(text).to_bytes()
    }

    /// The public key that goes with every signature (`signing_key` in a manifest).
    #[must_use]
    pub fn verifying_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
}

/// The key an account logs in with (sr25519, as Substrate's keys are).
///
/// Wiped when dropped, without `Debug` and `Clone`:
/// ```compile_fail,E0277
/// fn leak(key: &hcfs_crypto::phrase::AccountKey) -> String {
///     format!("{key:?}")
/// }
/// ```
pub struct AccountKey {
    // The library wipes it when it is dropped.
    secret: Box<schnorrkel::SecretKey>,
    public: schnorrkel::PublicKey,
}

impl AccountKey {
    /// The key of a mini secret, in the Ed25519 expansion that Substrate uses.
    #[expect(clippy::expect_used, reason = "any 32 bytes are a mini secret")]
    pub(super) fn from_mini_secret(mini_secret: &[u8; 32]) -> Self {
        let mini = Zeroizing::new(MiniSecretKey::from_bytes(mini_secret).expect("32 bytes"));
        let secret = Box::new(mini.expand(ExpansionMode::Ed25519));
        let public = secret.to_public();
        Self { secret, public }
    }

    /// The account's address.
    #[must_use]
    pub fn account(&self) -> AccountAddress {
        AccountAddress::from_public_key(self.public.to_bytes())
    }

    /// The signature of a text in the context `substrate`, 64 bytes.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.secret.sign_simple(b"substrate", text, &self.public).to_bytes()
    }
}

/// The keys of a folder.
pub struct FolderKeys {
    /// Seals files and paths.
    pub encryption: EncryptionKey,
    /// Signs manifests and renames.
    pub signing: SigningKey,
}

impl FolderKeys {
    /// The keys of a folder's own phrase: the first 32 bytes of its seed serve as both (protocol §1).
    ///
    /// A folder's phrase is derived from the master phrase and its label: see [`MasterPhrase::folder_keys`].
    #[must_use]
    pub fn from_folder_phrase(phrase: &MasterPhrase) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&phrase.seed()[..32]);
        Self { encryption: EncryptionKey::from_bytes(&secret), signing: SigningKey::from_seed(&secret) }
    }
}
