//! The gateway's files: plaintext, named by a file name, in no folder. Their bytes are stored as they come.

use std::sync::Arc;

use axum::extract::State;
use hcfs_model::{AccountAddress, FileId, Revision, RevisionId, SaltedHash};
use hcfs_wire::{DeleteStatus, DeletedFile, ErrorCode, limits};
use http::{HeaderMap, Method};
use multer::Field;

use super::account::check_quota;
use super::content::{self, Shown};
use super::delete::{remove, wanted_revision};
use super::parts::{Parts, next_bytes, too_large};
use super::publication;
use super::upload::{commit, result};
use crate::answer::{Answer, Failure, success};
use crate::blobs::{Received, WriteError};
use crate::caller::{Caller, Segments};
use crate::metadata::{FileKey, FolderKey, NewRevision};
use crate::stores::{Stores, random};

/// Bytes of the part that names the account, at most.
const MAX_ACCOUNT: usize = 128;
/// What the gateway's uploads are counted as.
const SOURCE: &str = "console";

/// Takes an upload whose first part names the account. The file replaces an earlier one of its name.
pub(super) async fn upload(
    stores: &Arc<Stores>,
    caller: &Caller,
    headers: &HeaderMap,
    first: Field<'static>,
    mut parts: Parts,
) -> Answer {
    let account = read_account(first).await?;
    caller.must_be(&account)?;
    let largest = stores.limits.upload_bytes;
    parts.allow(largest);
    let second = parts.next().await?;
    if second.name() != Some("file") {
        return Err(Failure::new(ErrorCode::MissingField, "the second part is not the file"));
    }
    let name = file_name(&second)?;
    let key = FileKey { folder: FolderKey::gateway(account), file: FileId::of_path(&name) };
    check_quota(stores, &key, 0, headers).await?;
    if !stores.blobs.has_room(0).await? {
        return Err(WriteError::Full.into());
    }
    let (received, salted_hash) = receive(stores, second, &key.folder.account, largest).await?;
    check_quota(stores, &key, received.length, headers).await?;
    let current = stores.metadata.file(key.clone()).await?;
    let new = NewRevision {
        salted_hash,
        size: received.length,
        revision: Revision { seq: current.as_ref().map_or(1, |row| row.revision.seq + 1), id: RevisionId(random()?) },
        base: current.map(|row| row.revision.id),
        ciphertext: received.hash,
        encrypted_path: Vec::new(),
        file_name: Some(name.clone()),
        relative_path: Some(name),
        source: Some(SOURCE.to_owned()),
        session: None,
        now: stores.clock.seconds(),
        key,
    };
    // It is refused where between the look and the commit another upload of the name came in.
    let stored = commit(stores, received, new).await?;
    Ok(success(result(stored, hex::encode(random::<16>()?))))
}

pub(super) async fn download(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, file_id)): Segments<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let key = file(&caller, &ss58, &file_id)?;
    content::answer(&stores, Shown::File(key), &method, &headers).await
}

pub(super) async fn delete(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, file_id)): Segments<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let key = file(&caller, &ss58, &file_id)?;
    let answer = DeletedFile {
        status: DeleteStatus::Deleted,
        file_id: key.file,
        ss58_address: key.folder.account.clone(),
        folder_hash: String::new(),
    };
    remove(&stores, key, wanted_revision(&headers)?).await?;
    Ok(success(answer))
}

pub(super) async fn publish(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, file_id)): Segments<(String, String)>,
) -> Answer {
    publication::open(&stores, file(&caller, &ss58, &file_id)?).await
}

pub(super) async fn withdraw(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, file_id)): Segments<(String, String)>,
) -> Answer {
    publication::close(&stores, file(&caller, &ss58, &file_id)?).await
}

fn file(caller: &Caller, account: &str, file: &str) -> Result<FileKey, Failure> {
    let folder = FolderKey::gateway(caller.account(account)?);
    let file = FileId::from_hex(file)
        .map_err(|_| Failure::new(ErrorCode::InvalidFileId, "the file id is not 64 hexadecimal characters"))?;
    Ok(FileKey { folder, file })
}

async fn read_account(mut part: Field<'static>) -> Result<AccountAddress, Failure> {
    let mut text = Vec::new();
    while let Some(bytes) = next_bytes(&mut part).await? {
        if text.len() + bytes.len() > MAX_ACCOUNT {
            return Err(Failure::new(ErrorCode::InvalidUserId, "account_ss58 is too long for an address"));
        }
        text.extend_from_slice(&bytes);
    }
    let text = String::from_utf8_lossy(&text);
    AccountAddress::parse(text.trim()).map_err(|error| Failure::new(ErrorCode::InvalidUserId, error.to_string()))
}

/// The name that the client gave the file: a name, never a path.
fn file_name(part: &Field<'_>) -> Result<String, Failure> {
    let name = part.file_name().unwrap_or_default();
    if name.is_empty() {
        return Err(Failure::new(ErrorCode::MissingField, "the file has no name"));
    }
    let is_name = name.len() <= limits::MAX_FILE_NAME
        && !name.contains('/')
        && hcfs_model::RelPath::new(name).is_ok_and(|path| path.as_str() == name);
    if is_name { Ok(name.to_owned()) } else { Err(Failure::invalid("the file's name is not a plain file name")) }
}

async fn receive(
    stores: &Stores,
    mut part: Field<'static>,
    account: &AccountAddress,
    largest: u64,
) -> Result<(Received, SaltedHash), Failure> {
    let mut salted = blake3::Hasher::new();
    salted.update(account.as_str().as_bytes());
    let mut writer = stores.blobs.receive(largest).await?;
    let mut length: u64 = 0;
    while let Some(bytes) = next_bytes(&mut part).await? {
        length += bytes.len() as u64;
        if length > largest {
            return Err(too_large(largest));
        }
        salted.update(&bytes);
        writer.write(bytes).await?;
    }
    Ok((writer.finish().await?, SaltedHash(*salted.finalize().as_bytes())))
}
