//! The server behind the folders: configured, or embedded.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use hcfs_api::ErrorCode;
use hcfs_crypto::phrase::AccountKey;
use hcfs_model::{AccountAddress, UnixNanos};
use hcfs_remote::Remote;
use zeroize::Zeroizing;

use super::login::Login;
use crate::config::{Config, ConfigError, Environment};
use crate::error::DaemonError;

/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where a server is and what opens it.
#[derive(Clone)]
pub struct ServerAt {
    /// Its base address.
    pub url: String,
    /// The account the token belongs to.
    pub account: AccountAddress,
    /// The token.
    pub token: Zeroizing<String>,
    /// Bytes a second to the server; 0 for no limit.
    pub upload: u64,
    /// Bytes a second from the server; 0 for no limit.
    pub download: u64,
}

/// A server that runs inside the program. The daemon does not know it: whoever puts the program together does.
#[async_trait]
pub trait EmbeddedServer: Send + Sync {
    /// Starts it on its data, and gives its address with a token of the account. Called again only after
    /// [`EmbeddedServer::shutdown`].
    async fn start(&self, data: &Path, account: &AccountAddress) -> Result<(String, Zeroizing<String>), BoxError>;

    /// Ends it; what it acknowledged is on disk. Returns when it has ended.
    async fn shutdown(&self);
}

/// Makes the client of a server. One is made for every folder.
#[async_trait]
pub trait Connect: Send + Sync {
    /// Logs in to the server at `url` with the account's key, and gives the token; `device` is what it is called there.
    async fn log_in(&self, url: &str, key: &AccountKey, device: &str) -> Result<Zeroizing<String>, BoxError>;

    /// What time it is by the clock of the server at `url`; `None` where it does not say.
    async fn time(&self, url: &str) -> Result<Option<UnixNanos>, BoxError>;

    /// The client.
    ///
    /// # Errors
    /// The address or the token cannot be one.
    fn connect(&self, server: &ServerAt) -> Result<Arc<dyn Remote>, BoxError>;
}

/// The server of a configuration: its address and token, or the embedded one once it runs.
pub(super) async fn find(
    config: &Config,
    account: AccountAddress,
    env: &Environment,
    data: &Path,
    embedded: Option<&dyn EmbeddedServer>,
    login: &Login<'_>,
) -> Result<ServerAt, DaemonError> {
    let (url, token) = match (&config.server.url, embedded) {
        (Some(url), _) => match &config.server.token {
            Some(place) => (url.clone(), place.token(env)?),
            None => (url.clone(), login.token(config, url, &account).await?),
        },
        (None, Some(embedded)) => embedded.start(data, &account).await.map_err(DaemonError::Embedded)?,
        (None, None) => {
            return Err(ConfigError::Unfit {
                message: "no server is configured, and this program has none of its own".into(),
                hint: "set url and token in [server]".into(),
                code: ErrorCode::Config,
            }
            .into());
        }
    };
    Ok(ServerAt { url, account, token, upload: config.limits.upload, download: config.limits.download })
}
