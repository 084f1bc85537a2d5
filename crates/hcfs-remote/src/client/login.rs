//! Logging in with the account's key, where the server offers it.

use hcfs_http::{BaseUrl, Client, Request, RetryPolicy};
use hcfs_model::{AccountAddress, UnixNanos};
use hcfs_wire::{Challenge, ChallengeRequest, LoggedIn, Login, capability, limits, login_text};
use zeroize::Zeroizing;

use super::{Ask, HcfsRemote, Token};
use crate::{RemoteError, RemoteErrorKind};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The server does not announce logins.
    #[error("the server gives no tokens to accounts that log in")]
    NotOffered,
    /// The server calls itself something else than what it was reached by: what it wants signed may be meant for another.
    #[error("the server calls itself \"{named}\", and was reached as \"{reached}\"")]
    OtherName {
        /// What it calls itself.
        named: String,
        /// Host and port it was reached by.
        reached: String,
    },
    /// A request failed, or the login was refused.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

impl LoginError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotOffered => "ask whoever runs the server for a token, and say where it is: token = \"file:/PATH\"",
            Self::OtherName { .. } => "use the address the server is meant to have, or correct its --name",
            Self::Remote(error) if error.kind == RemoteErrorKind::Forbidden => {
                "ask whoever runs the server to let the account in"
            }
            Self::Remote(error) => error.hint(),
        }
    }
}

impl HcfsRemote {
    /// Logs in to the server at `base` and gives the token. `sign` is the account key's signature of a text; `device`
    /// is what the token is called in lists.
    ///
    /// # Errors
    /// The server offers no logins, calls itself by another name, or refuses.
    pub async fn log_in(
        http: Client,
        base: BaseUrl,
        account: AccountAddress,
        device: &str,
        sign: impl Fn(&[u8]) -> [u8; 64] + Send,
    ) -> Result<Zeroizing<String>, LoginError> {
        let reached = name(&base);
        let nobody = Self::new(http, base, account, Token::none()).with_policy(RetryPolicy::default());
        if !nobody.fetch_health().await?.has(capability::LOGIN) {
            return Err(LoginError::NotOffered);
        }
        let request = ChallengeRequest { ss58_address: nobody.account.clone() };
        let ask = nobody.ask_openly("challenge", "challenge for a login")?.json(&request)?.idempotent();
        let challenge: Challenge = nobody.payload(ask).await?;
        if !challenge.server.eq_ignore_ascii_case(&reached) {
            return Err(LoginError::OtherName { named: challenge.server.escape_debug().to_string(), reached });
        }
        let text = login_text(&challenge.server, &nobody.account, &challenge.challenge);
        let login = Login {
            ss58_address: nobody.account.clone(),
            challenge: challenge.challenge,
            signature: sign(text.as_bytes()),
            label: device.to_owned(),
            invitation: None,
        };
        let ask = nobody.ask_openly("login", "login")?.json(&login)?;
        let logged_in: LoggedIn = nobody.payload(ask).await?;
        Ok(Zeroizing::new(logged_in.token))
    }

    /// What time it is by the clock of the server at `base`; `None` where it does not say. Needs no account.
    ///
    /// # Errors
    /// The server cannot be reached, or what answers is none.
    pub async fn time(http: Client, base: BaseUrl) -> Result<Option<UnixNanos>, RemoteError> {
        // The request names nobody.
        let nobody = Self::new(http, base, AccountAddress::from_public_key([0; 32]), Token::none());
        Ok(nobody.with_policy(RetryPolicy::ONCE).ask_health().await?.1)
    }

    /// A request that needs no token.
    fn ask_openly(&self, endpoint: &str, object: &str) -> Result<Ask, RemoteError> {
        let url = self.url(&["auth", endpoint], object)?;
        Ok(Ask { request: Request::post(url), object: object.into(), changes: false, limit: limits::MAX_SMALL_BODY })
    }
}

/// What a server at this address is to call itself: the host, and the port if it is not the usual one.
fn name(base: &BaseUrl) -> String {
    let origin = base.origin();
    match (origin.is_https(), origin.port()) {
        (true, 443) | (false, 80) => origin.host().to_owned(),
        (_, port) => format!("{}:{port}", origin.host()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_port_where_it_is_not_the_usual_one() {
        for (base, expected) in [
            ("https://Sync.example.org/api", "sync.example.org"),
            ("https://sync.example.org:443", "sync.example.org"),
            ("https://sync.example.org:8443", "sync.example.org:8443"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost", "localhost"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(name(&BaseUrl::parse(base).unwrap()).eq_ignore_ascii_case(expected), "{base}");
        }
    }
}
