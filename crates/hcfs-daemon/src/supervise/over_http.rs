//! Clients that speak to a server over HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use hcfs_crypto::phrase::AccountKey;
use hcfs_model::UnixNanos;
use hcfs_remote::{BaseUrl, Client, ClientConfig, HcfsRemote, RateLimit, Remote, Token};

use zeroize::Zeroizing;

use super::backend::{BoxError, Connect, ServerAt};

/// One client for every folder, since a connection lives on the thread that made it; but one limit for all of them.
pub(crate) struct OverHttp {
    upload: RateLimit,
    download: RateLimit,
}

impl OverHttp {
    /// A client of which `download` is the limit that others keep too.
    pub(crate) fn new(download: RateLimit) -> Self {
        Self { upload: RateLimit::unlimited(), download }
    }
}

#[async_trait]
impl Connect for OverHttp {
    async fn log_in(&self, url: &str, key: &AccountKey, device: &str) -> Result<Zeroizing<String>, BoxError> {
        let client = Client::new(ClientConfig::default())?;
        let token = HcfsRemote::log_in(client, BaseUrl::parse(url)?, key.account(), device, |text| key.sign(text));
        Ok(token.await?)
    }

    async fn time(&self, url: &str) -> Result<Option<UnixNanos>, BoxError> {
        Ok(HcfsRemote::time(Client::new(ClientConfig::default())?, BaseUrl::parse(url)?).await?)
    }

    fn connect(&self, server: &ServerAt) -> Result<Arc<dyn Remote>, BoxError> {
        self.upload.set(server.upload);
        let limits =
            ClientConfig { upload: self.upload.clone(), download: self.download.clone(), ..ClientConfig::default() };
        let base = BaseUrl::parse(&server.url)?;
        let token = Token::new(&server.token)?;
        Ok(Arc::new(HcfsRemote::new(Client::new(limits)?, base, server.account.clone(), token)))
    }
}
