//! The token of a server for which none is configured: the account logs in with its key, and the token is kept.
//!
//! It is kept for one address and one account. Before it is used again the server is asked whether it still knows it;
//! a server that cannot be reached leaves it as it is.

use std::path::{Path, PathBuf};

use hcfs_api::{ErrorCode, Paths};
use hcfs_crypto::phrase::MasterPhrase;
use hcfs_model::AccountAddress;
use hcfs_remote::RemoteErrorKind;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::backend::{Connect, ServerAt};
use crate::config::{Config, ConfigError};
use crate::error::DaemonError;
use crate::secret::write_private;

/// What a login needs.
pub(super) struct Login<'a> {
    pub(super) phrase: &'a MasterPhrase,
    pub(super) connect: &'a dyn Connect,
    /// Where the token is kept.
    pub(super) kept: PathBuf,
}

/// The file of a token.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Kept {
    url: String,
    account: String,
    token: String,
}

impl Login<'_> {
    /// The token kept for this server, if it is still good, or else a new one.
    pub(super) async fn token(
        &self,
        config: &Config,
        url: &str,
        account: &AccountAddress,
    ) -> Result<Zeroizing<String>, DaemonError> {
        if *account != self.phrase.account() {
            return Err(ConfigError::Unfit {
                message: "`server.token` is missing, and the recovery phrase has not the key of `server.account`"
                    .into(),
                hint: "say where the token is: token = \"file:/PATH\"".into(),
                code: ErrorCode::Config,
            }
            .into());
        }
        if let Some(token) = read(&self.kept, url, account)
            && self.is_good(url, account, &token).await
        {
            return Ok(token);
        }
        let token = self.connect.log_in(url, &self.phrase.account_key(), &config.device).await;
        let token = token.map_err(DaemonError::Login)?;
        keep(&self.kept, url, account, &token).map_err(|error| DaemonError::Login(error.into()))?;
        tracing::info!("logged in to the server; the token is kept in the state directory");
        Ok(token)
    }

    /// Whether the server still knows a token; only its own word says that it does not.
    async fn is_good(&self, url: &str, account: &AccountAddress, token: &Zeroizing<String>) -> bool {
        let at =
            ServerAt { url: url.to_owned(), account: account.clone(), token: token.clone(), upload: 0, download: 0 };
        match self.connect.connect(&at) {
            Ok(remote) => !matches!(remote.folders().await, Err(error) if error.kind == RemoteErrorKind::Unauthorized),
            Err(_) => false,
        }
    }
}

/// The token that an earlier login left, if it is this account's for this server.
pub(crate) fn kept_token(paths: &Paths, url: &str, account: &AccountAddress) -> Option<Zeroizing<String>> {
    read(&paths.login_token(), url, account)
}

/// The token in a file, if it is this account's for this server. What cannot be read is as good as none.
fn read(path: &Path, url: &str, account: &AccountAddress) -> Option<Zeroizing<String>> {
    let text = Zeroizing::new(std::fs::read(path).ok()?);
    let kept: Kept = serde_json::from_slice(&text).ok()?;
    (kept.url == url && kept.account == account.as_str()).then(|| Zeroizing::new(kept.token.clone()))
}

/// Puts a token in the place of the one before.
fn keep(path: &Path, url: &str, account: &AccountAddress, token: &Zeroizing<String>) -> std::io::Result<()> {
    let kept = Kept { url: url.to_owned(), account: account.as_str().to_owned(), token: token.to_string() };
    let text = Zeroizing::new(serde_json::to_vec(&kept)?);
    let staged = path.with_extension("new");
    match std::fs::remove_file(&staged) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write_private(&staged, &text)?;
    std::fs::rename(&staged, path)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use async_trait::async_trait;
    use hcfs_crypto::phrase::AccountKey;
    use hcfs_remote::Remote;
    use hcfs_remote::memory::{MemoryRemote, MemoryServer};

    use super::super::backend::BoxError;
    use super::*;

    /// Gives tokens with a number, and knows them or not.
    struct Desk {
        given: AtomicUsize,
        knows: AtomicBool,
        server: MemoryServer,
    }

    #[async_trait]
    impl Connect for Desk {
        async fn log_in(&self, _url: &str, _key: &AccountKey, _device: &str) -> Result<Zeroizing<String>, BoxError> {
            Ok(Zeroizing::new(format!("token-{}", self.given.fetch_add(1, Ordering::Relaxed))))
        }

        async fn time(&self, _url: &str) -> Result<Option<hcfs_model::UnixNanos>, BoxError> {
            Ok(None)
        }

        fn connect(&self, _server: &ServerAt) -> Result<Arc<dyn Remote>, BoxError> {
            if self.knows.load(Ordering::Relaxed) {
                Ok(Arc::new(MemoryRemote::new(&self.server)))
            } else {
                Err("no".into())
            }
        }
    }

    #[tokio::test]
    async fn a_token_is_kept_for_its_server_and_account_while_it_is_good() {
        use std::os::unix::fs::PermissionsExt as _;

        let phrase = MasterPhrase::parse(&format!("{} art", ["abandon"; 23].join(" "))).unwrap();
        let account = phrase.account();
        let desk = Desk {
            given: AtomicUsize::new(0),
            knows: AtomicBool::new(true),
            server: MemoryServer::new(account.clone()),
        };
        let directory = tempfile::TempDir::new().unwrap();
        let kept = directory.path().join("token");
        let login = Login { phrase: &phrase, connect: &desk, kept: kept.clone() };
        let config = Config::defaults();
        let token = async |url: &str| login.token(&config, url, &account).await.unwrap().to_string();
        assert_eq!(token("https://a").await, "token-0");
        assert_eq!(token("https://a").await, "token-0", "kept");
        assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(token("https://b").await, "token-1", "another server");
        assert_eq!(token("https://a").await, "token-2");
        desk.knows.store(false, Ordering::Relaxed);
        assert_eq!(token("https://a").await, "token-3", "no longer known");
        std::fs::write(&kept, "garbage").unwrap();
        assert_eq!(token("https://a").await, "token-4");

        let other = AccountAddress::from_public_key([7; 32]);
        let refused = login.token(&config, "https://a", &other).await;
        assert!(matches!(refused, Err(DaemonError::Config(_))), "the phrase has not its key");
    }
}
