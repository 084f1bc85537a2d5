//! Login with the account's key (an extension, [`crate::capability::LOGIN`]): `POST /auth/challenge`, then
//! `POST /auth/login` with an sr25519 signature, answered with a bearer token.

use std::fmt;

use hcfs_model::AccountAddress;
use schnorrkel::{PublicKey, Signature, signing_context};
use serde::{Deserialize, Serialize};

use crate::{SignatureError, encoding, limits};

/// The context in which Substrate's sr25519 keys sign.
const CONTEXT: &[u8] = b"substrate";

/// `POST /auth/challenge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeRequest {
    /// Who wants to log in.
    #[serde(alias = "user_id", with = "encoding::address")]
    pub ss58_address: AccountAddress,
}

/// The answer to `POST /auth/challenge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// What to sign besides the names; opaque, at most 256 bytes.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_TEXT }>")]
    pub challenge: String,
    /// What the server calls itself. A client signs only the name it connects to: with another one, the challenge was
    /// fetched elsewhere and handed on.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_TEXT }>")]
    pub server: String,
    /// Until when it can be used, in seconds since 1970.
    pub expires_at: i64,
}

/// `POST /auth/login`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Who logs in.
    #[serde(alias = "user_id", with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The challenge as it came.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_TEXT }>")]
    pub challenge: String,
    /// The account key's signature over [`login_text`].
    #[serde(with = "encoding::ints64")]
    pub signature: [u8; 64],
    /// What the token is called in lists, as the device's name.
    #[serde(default, deserialize_with = "encoding::text::<_, { limits::MAX_LABEL }>")]
    pub label: String,
    /// Lets an account in that the server does not know yet.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "encoding::text_option::<_, { limits::MAX_TEXT }>"
    )]
    pub invitation: Option<String>,
}

/// Without the signature and the invitation.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("ss58_address", &self.ss58_address).finish_non_exhaustive()
    }
}

/// The answer to `POST /auth/login`. Its token is the account's key to the server and shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedIn {
    /// The bearer token.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_TEXT }>")]
    pub token: String,
    /// Names the token in lists.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_TEXT }>")]
    pub token_id: String,
    /// When it ends by itself, in seconds since 1970; `None` for never.
    #[serde(default)]
    pub expires_at: Option<i64>,
}

/// Without the token.
impl fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedIn").field("token_id", &self.token_id).finish_non_exhaustive()
    }
}

/// The answer to `GET /auth/tokens`: the tokens of the account that asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// The oldest first.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::MAX_TOKENS }>")]
    pub tokens: Vec<TokenEntry>,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// Names it.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_TEXT }>")]
    pub id: String,
    /// What its owner called it.
    #[serde(default, deserialize_with = "encoding::message::<_, { limits::MAX_LABEL }>")]
    pub label: String,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// When it ends by itself, in seconds since 1970; `None` for never.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// Whether it is the one that asks.
    #[serde(default)]
    pub current: bool,
}

/// The answer to `DELETE /auth/tokens/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// The token's id.
    #[serde(deserialize_with = "encoding::text::<_, { limits::MAX_TEXT }>")]
    pub revoked: String,
}

/// What an account's key signs to log in. It stands in the brackets wallets put around free text, so that it can never
/// be a transaction.
#[must_use]
pub fn login_text(server: &str, account: &AccountAddress, challenge: &str) -> String {
    format!("<Bytes>I am logging in to the HCFS server {server} as {account} with the challenge {challenge}</Bytes>")
}

/// Checks a login's signature by the account's key, given the server's own name.
///
/// # Errors
/// The address is no sr25519 key, or the signature is not its own over this text.
pub fn verify_login(server: &str, login: &Login) -> Result<(), SignatureError> {
    let key = PublicKey::from_bytes(login.ss58_address.public_key()).map_err(|_| SignatureError::Account)?;
    let signature = Signature::from_bytes(&login.signature).map_err(|_| SignatureError::Mismatch)?;
    let text = login_text(server, &login.ss58_address, &login.challenge);
    key.verify(signing_context(CONTEXT).bytes(text.as_bytes()), &signature).map_err(|_| SignatureError::Mismatch)
}

#[cfg(test)]
mod tests {
    use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey};

    use super::*;

    fn signed(key: &Keypair, server: &str, challenge: &str) -> Login {
        let ss58_address = AccountAddress::from_public_key(key.public.to_bytes());
        let text = login_text(server, &ss58_address, challenge);
        let signature = key.sign(signing_context(CONTEXT).bytes(text.as_bytes())).to_bytes();
        Login { ss58_address, challenge: challenge.to_owned(), signature, label: String::new(), invitation: None }
    }

    #[test]
    fn a_signature_holds_for_one_server_account_and_challenge() {
        let key = |seed| MiniSecretKey::from_bytes(&[seed; 32]).unwrap().expand_to_keypair(ExpansionMode::Ed25519);
        let login = signed(&key(1), "sync.example.org", "ab12");
        verify_login("sync.example.org", &login).unwrap();
        assert_eq!(verify_login("other.example.org", &login), Err(SignatureError::Mismatch));
        let other = Login { challenge: "ab13".to_owned(), ..login.clone() };
        assert_eq!(verify_login("sync.example.org", &other), Err(SignatureError::Mismatch));
        let other = Login { ss58_address: signed(&key(2), "", "").ss58_address, ..login.clone() };
        assert_eq!(verify_login("sync.example.org", &other), Err(SignatureError::Mismatch));
        let other = Login { ss58_address: AccountAddress::from_public_key([0xff; 32]), ..login.clone() };
        assert_eq!(verify_login("sync.example.org", &other), Err(SignatureError::Account));
        let other = Login { signature: [0; 64], ..login };
        assert_eq!(verify_login("sync.example.org", &other), Err(SignatureError::Mismatch));
    }

    #[test]
    fn secrets_are_not_printed() {
        let key = MiniSecretKey::from_bytes(&[1; 32]).unwrap().expand_to_keypair(ExpansionMode::Ed25519);
        let mut login = signed(&key, "sync.example.org", "ab12");
        login.invitation = Some("secret".to_owned());
        assert!(!format!("{login:?}").contains("secret"));
        let token = LoggedIn { token: "secret".to_owned(), token_id: "1".to_owned(), expires_at: None };
        assert!(!format!("{token:?}").contains("secret"));
    }
}
