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
use crate::stores::Stores;
use crate::tokens;

/// The account whose token the request carries.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) AccountAddress);

impl FromRequestParts<Arc<Stores>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, stores: &Arc<Stores>) -> Result<Self, Failure> {
        let refused = |message| Failure::new(ErrorCode::Unauthorized, message);
        let header = parts.headers.get(AUTHORIZATION).ok_or_else(|| refused("the request has no bearer token"))?;
        let token = header
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| tokens::parse(token.trim()))
            .ok_or_else(|| refused("the bearer token is not one of this server"))?;
        let account = stores.metadata.authenticate(token).await?;
        account.map(Self).ok_or_else(|| refused("the bearer token is unknown or revoked"))
    }
}

impl Caller {
    /// Checks that the account a request names is the caller's.
    pub(crate) fn must_be(&self, account: &AccountAddress) -> Result<(), Failure> {
        if *account == self.0 {
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
