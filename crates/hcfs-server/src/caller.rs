//! Who asks, and what for: the bearer token, and the parts of the path.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query};
use hcfs_model::{AccountAddress, FileId, FolderHash};
use hcfs_wire::ErrorCode;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::answer::Failure;
use crate::metadata::{FileKey, FolderKey};
use crate::peer::Peer;
use crate::stores::Stores;
use crate::tokens;

/// The account whose token the request carries.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) account: AccountAddress,
    /// The public id of the token.
    pub(crate) token: Option<[u8; 8]>,
}

impl FromRequestParts<Arc<Stores>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, stores: &Arc<Stores>) -> Result<Self, Failure> {
        let caller = match authenticate(parts, stores).await? {
            Ok(caller) => caller,
            Err(message) => {
                let peer = Peer::from_request_parts(parts, stores).await?;
                stores.access.count_failure(peer, None).map_err(Failure::too_often)?;
                return Err(Failure::new(ErrorCode::Unauthorized, message));
            }
        };
        stores.access.count(&caller.account).map_err(Failure::too_often)?;
        Ok(caller)
    }
}

/// Finds the account of the request's token; else what is wrong with it.
async fn authenticate(parts: &Parts, stores: &Stores) -> Result<Result<Caller, &'static str>, Failure> {
    let Some(header) = parts.headers.get(AUTHORIZATION) else { return Ok(Err("the request has no bearer token")) };
    let header = header.to_str().ok().and_then(|text| text.split_once(' '));
    let Some(text) = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, text)| text.trim())
    else {
        return Ok(Err("the request has no bearer token"));
    };
    if stores.access.policy.address_tokens
        && let Ok(account) = AccountAddress::parse(text)
    {
        return Ok(Ok(Caller { account, token: None }));
    }
    let Some(token) = tokens::parse(text) else { return Ok(Err("the bearer token is not one of this server")) };
    let selector = token.selector;
    let account = stores.metadata.authenticate(token, stores.clock.seconds()).await?;
    Ok(account
        .map(|account| Caller { account, token: Some(selector) })
        .ok_or("the bearer token is unknown, revoked or expired"))
}

impl FromRequestParts<Arc<Stores>> for Peer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Stores>) -> Result<Self, Failure> {
        let peer = parts.extensions.get::<Self>().copied();
        peer.ok_or_else(|| Failure::new(ErrorCode::Unavailable, "the request comes from nowhere"))
    }
}

impl Caller {
    /// Checks that the account a request names is the caller's.
    pub(crate) fn must_be(&self, account: &AccountAddress) -> Result<(), Failure> {
        if *account == self.account {
            return Ok(());
        }
        Err(Failure::new(ErrorCode::Forbidden, "the token belongs to another account than the request names"))
    }

    /// Reads an account of the path, and checks that it is the caller's.
    pub(crate) fn account(&self, text: &str) -> Result<AccountAddress, Failure> {
        let account =
            AccountAddress::parse(text).map_err(|error| Failure::new(ErrorCode::InvalidUserId, error.to_string()))?;
        self.must_be(&account)?;
        Ok(account)
    }

    /// Reads a folder of the path.
    pub(crate) fn folder(&self, account: &str, folder: &str) -> Result<FolderKey, Failure> {
        let account = self.account(account)?;
        let folder = FolderHash::from_hex(folder)
            .map_err(|_| Failure::invalid("the folder hash is not 16 lower-case hexadecimal characters"))?;
        Ok(FolderKey { account, folder })
    }

    /// Reads a file of the path.
    pub(crate) fn file(&self, account: &str, folder: &str, file: &str) -> Result<FileKey, Failure> {
        let folder = self.folder(account, folder)?;
        let file = FileId::from_hex(file)
            .map_err(|_| Failure::new(ErrorCode::InvalidFileId, "the file id is not 64 hexadecimal characters"))?;
        Ok(FileKey { folder, file })
    }
}

/// The variable parts of the path.
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Stores>> for Segments<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, stores: &Arc<Stores>) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, stores).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(_) => Err(Failure::invalid("the path cannot be read")),
        }
    }
}

/// The parameters after the `?`.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Stores>> for Parameters<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, stores: &Arc<Stores>) -> Result<Self, Failure> {
        match Query::from_request_parts(parts, stores).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(error) => Err(Failure::invalid(error.body_text())),
        }
    }
}
