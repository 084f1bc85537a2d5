//! From the configuration of a source to the service it speaks to.

use std::sync::Arc;

use hcfs_api::ErrorCode;
use hcfs_sources::{
    BaseUrl, CidSettings, Client, Credential, DownloadTaskSettings, Settings, SignedUrlSettings, Source,
    StorageFileSettings, Tempo, UrlSettings,
};

use super::reason::Reason;
use crate::config::{ConfigError, Environment, Service};
use crate::error::DaemonError;
use crate::secret::SecretPlace;

/// Opens a service: its credential is read now, so that a renewed one is found.
///
/// # Errors
/// The credential is not to be had or is none, or an item cannot be one.
pub(super) async fn open(service: &Service, env: &Environment, client: Client) -> Result<Arc<dyn Source>, Reason> {
    let credential = match service.credential() {
        Some(place) => Some(credential(place.clone(), env).await?),
        None => None,
    };
    let settings = settings(service, credential)?;
    Ok(hcfs_sources::open(settings, client, Tempo::default())?)
}

/// Reads a credential, on a thread that may block.
async fn credential(place: SecretPlace, env: &Environment) -> Result<Credential, Reason> {
    let env = Arc::clone(env);
    let shown = place.to_string();
    let read = tokio::task::spawn_blocking(move || place.credential(&env)).await;
    let text = read.map_err(|_| Reason::stopped())?.map_err(|error| Reason::of_settings(&error.into()))?;
    Credential::new(&text).map_err(|error| {
        // The text itself is never shown.
        unfit(format!("what {shown} holds cannot be a credential: {error}"), "store the credential alone, on one line")
    })
}

fn settings(service: &Service, credential: Option<Credential>) -> Result<Settings, Reason> {
    let base = |text: &str| {
        BaseUrl::parse(text).map_err(|error| unfit(format!("`base_url` cannot be one: {error}"), error.hint()))
    };
    let needed = || unfit("the credential is missing".into(), "say where it is: credential = \"file:/PATH\"");
    Ok(match service {
        Service::Cid { base_url, items, verify, .. } => Settings::Cid(CidSettings {
            base: base(base_url)?,
            credential: credential.ok_or_else(needed)?,
            items: items.clone(),
            verify: *verify,
        }),
        Service::StorageFile { base_url, customer_id, items, accept, .. } => {
            Settings::StorageFile(StorageFileSettings {
                base: base(base_url)?,
                credential: credential.ok_or_else(needed)?,
                customer_id: customer_id.clone(),
                items: items.clone(),
                accept: accept.clone(),
            })
        }
        Service::SignedUrl { base_url, organization, items, .. } => Settings::SignedUrl(SignedUrlSettings {
            base: base(base_url)?,
            credential: credential.ok_or_else(needed)?,
            organization: organization.clone(),
            items: items.clone(),
        }),
        Service::DownloadTask { base_url, items, quality, deadline, cleanup } => {
            Settings::DownloadTask(DownloadTaskSettings {
                base: base(base_url)?,
                items: items.clone(),
                quality: quality.clone(),
                deadline: *deadline,
                cleanup: *cleanup,
            })
        }
        Service::Url { items } => Settings::Url(UrlSettings { items: items.clone() }),
    })
}

fn unfit(message: String, hint: &str) -> Reason {
    let error = ConfigError::Unfit { message, hint: hint.to_owned(), code: ErrorCode::Config };
    Reason::of_settings(&DaemonError::from(error))
}
