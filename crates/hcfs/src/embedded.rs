//! The server inside the program, for those who configured none.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use hcfs_cli::AccountAddress;
use hcfs_daemon::{BoxError, EmbeddedServer};
use hcfs_server::{RunningServer, Server, ServerConfig, Storage, tokens};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// The server inside the program: on loopback, at the same port as last time if that is free, so that other devices of
/// this machine find it again.
#[derive(Default)]
pub(crate) struct Embedded {
    running: Mutex<Option<RunningServer>>,
}

#[async_trait]
impl EmbeddedServer for Embedded {
    async fn start(&self, data: &Path, account: &AccountAddress) -> Result<(String, Zeroizing<String>), BoxError> {
        let token = own_token(data, account).await?;
        let last = data.join("address");
        let wanted = std::fs::read_to_string(&last).ok().and_then(|text| text.trim().parse::<SocketAddr>().ok());
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let wanted = wanted.filter(|address| address.ip().is_loopback()).unwrap_or(any);
        let server = match Server::start(ServerConfig::new(data.to_owned(), wanted)).await {
            Err(hcfs_server::ServerError::Listen { .. }) if wanted != any => {
                Server::start(ServerConfig::new(data.to_owned(), any)).await?
            }
            started => started?,
        };
        let address = server.address();
        *self.running.lock().await = Some(server);
        // Only to be found again: another port does as well.
        if address != wanted && std::fs::write(&last, address.to_string()).is_err() {
            tracing::warn!("the embedded server's address could not be remembered");
        }
        Ok((format!("http://{address}"), token))
    }

    async fn shutdown(&self) {
        if let Some(server) = self.running.lock().await.take()
            && let Err(error) = server.shutdown().await
        {
            tracing::warn!(%error, "the embedded server");
        }
    }
}

/// This machine's own token for an account, in a file only its owner may read; made where there is none that counts.
async fn own_token(data: &Path, account: &AccountAddress) -> Result<Zeroizing<String>, BoxError> {
    let path = token_file(data, account);
    let storage = Storage::local(data.to_owned());
    if let Ok(text) = std::fs::read_to_string(&path) {
        let text = Zeroizing::new(text);
        let is_known = tokens::list(&storage, account).await?.iter().any(|row| text.contains(&row.id));
        if is_known {
            return Ok(Zeroizing::new(text.trim().to_owned()));
        }
    }
    let token = Zeroizing::new(tokens::create(&storage, account, "this machine").await?);
    write_private(&path, token.as_bytes())?;
    Ok(token)
}

fn token_file(data: &Path, account: &AccountAddress) -> PathBuf {
    data.join(format!("token-{account}"))
}

/// Writes a file that is private from its first moment, and whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let staged = path.with_extension("new");
    match std::fs::remove_file(&staged) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(staged, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn comes_back_at_the_same_place_with_the_same_token() {
        let place = tempfile::tempdir().unwrap();
        let account = AccountAddress::from_public_key([7; 32]);
        let embedded = Embedded::default();
        let first = embedded.start(place.path(), &account).await.unwrap();
        embedded.shutdown().await;
        assert_eq!(embedded.start(place.path(), &account).await.unwrap(), first);
        embedded.shutdown().await;
        let mode = std::fs::metadata(token_file(place.path(), &account)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let storage = Storage::local(place.path().to_owned());
        let row = tokens::list(&storage, &account).await.unwrap();
        tokens::revoke(&storage, &account, &row[0].id).await.unwrap();
        assert_ne!(embedded.start(place.path(), &account).await.unwrap().1, first.1);
        embedded.shutdown().await;
    }
}
