//! The folders of one account.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hcfs_model::{AccountAddress, FileId, FolderHash, RemoteEntry, Revision, RevisionId, SaltedHash};
use hcfs_wire::{
    BatchLimits, BrokenRow, ErrorCode, Failure, FolderEntry, Health, Manifest, RemoteFileEntry, Rename, RenameFailure,
    RenameFiles, RenameReason, RenameResult, Renamed, Row, StateTag, UploadResult, capability, limits, verify_rename,
    verify_upload,
};
use tokio::sync::Notify;

use super::sessions::Session;
use crate::{ListedFile, Rows};

/// A server that several devices can speak to. Clones are the same server.
#[derive(Clone)]
pub struct MemoryServer(Arc<Mutex<State>>);

#[derive(Clone)]
pub(super) struct State {
    pub(super) account: AccountAddress,
    pub(super) capabilities: Vec<String>,
    pub(super) folders: BTreeMap<FolderHash, Folder>,
    pub(super) sessions: BTreeMap<String, Session>,
    /// Counts everything that needs a name of its own.
    pub(super) names: u64,
    /// Seconds since 1970.
    pub(super) now: i64,
    /// Plaintext bytes the account may store.
    quota: Option<u64>,
    /// Rows of a page at most, below what is asked for.
    pub(super) page_rows: u32,
    /// How much a batch may hold.
    pub(super) batch: BatchLimits,
}

/// One folder: registered, or only uploaded to.
#[derive(Clone, Default)]
pub(super) struct Folder {
    label: Option<(String, String)>,
    registered_at: i64,
    pub(super) files: BTreeMap<FileId, StoredFile>,
    /// Ids of rows that are listed in a shape that cannot be read.
    broken: BTreeSet<FileId>,
    /// The last number of every path whose file went away: a file that is renamed to it goes on above it.
    buried: BTreeMap<FileId, u64>,
    /// Counts the changes: the number of the last one.
    pub(super) changes: u64,
    /// What its tag is made of: the count, and how often a backup had been restored at the last change.
    mark: u64,
    /// How often a backup was restored.
    restored: u64,
    /// The number of the last change of every path that has or had a file.
    pub(super) last: BTreeMap<FileId, u64>,
    /// The feed tells nothing to those who know less than this.
    pub(super) floor: u64,
    /// Set while the feed leaves out what changes.
    pub(super) is_muted: bool,
    /// Rung at every change.
    pub(super) bell: Arc<Notify>,
}

/// A file as the server stores it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Salted hash of the plaintext, as the uploader said.
    pub salted_hash: SaltedHash,
    /// Plaintext length in bytes, as the uploader said.
    pub size: u64,
    /// The current revision.
    pub revision: Revision,
    /// The path's bytes, sealed as a blob; may be empty.
    pub encrypted_path: Vec<u8>,
    /// The path in plaintext, where the uploader sent it.
    pub relative_path: Option<String>,
    /// The name in plaintext, where the uploader sent it.
    pub file_name: Option<String>,
    /// The blob.
    pub blob: Bytes,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Seconds since 1970.
    pub updated_at: i64,
}

pub(super) fn refused(code: ErrorCode, message: &str) -> Failure {
    Failure::of_code(code, message)
}

pub(super) fn conflict(current: Option<Revision>) -> Failure {
    Failure { current, ..refused(ErrorCode::Conflict, "another revision is current") }
}

impl MemoryServer {
    /// A server with one account, no folders, and every capability of [`hcfs_wire::capability`].
    #[must_use]
    pub fn new(account: AccountAddress) -> Self {
        let capabilities = [
            capability::STATE_ETAG,
            capability::CONDITIONAL_DELETE,
            capability::CHANGE_FEED,
            capability::BATCH_UPLOAD,
            capability::BATCH_DOWNLOAD,
        ];
        let capabilities = capabilities.map(str::to_owned).to_vec();
        Self(Arc::new(Mutex::new(State {
            account,
            capabilities,
            folders: BTreeMap::new(),
            sessions: BTreeMap::new(),
            names: 0,
            now: 0,
            quota: None,
            page_rows: limits::MAX_PAGE_ROWS,
            batch: BatchLimits::USUAL,
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another server that is as this one is now: a backup of it, or what an old cache before it holds.
    #[must_use]
    pub fn backup(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Makes the server what `backup` is: everything since is forgotten, but that no name or tag is given a second time.
    pub fn restore(&self, backup: &Self) {
        let mut restored = backup.state().clone();
        let mut state = self.state();
        for (hash, now) in &state.folders {
            // Also of one that is made known again only now.
            let folder = restored.folders.entry(*hash).or_default();
            folder.restored = now.restored + 1;
            folder.bell = Arc::clone(&now.bell);
            now.bell.notify_waiters();
        }
        let names = state.names;
        *state = State { names, ..restored };
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountAddress {
        self.state().account.clone()
    }

    /// Sets what the server announces.
    pub fn set_capabilities(&self, capabilities: &[&str]) {
        self.state().capabilities = capabilities.iter().map(|&name| name.to_owned()).collect();
    }

    /// Sets the server's clock, in seconds since 1970.
    pub fn set_now(&self, seconds: i64) {
        self.state().now = seconds;
    }

    /// Bounds the account's plaintext bytes; `None` for no bound.
    pub fn set_quota(&self, bytes: Option<u64>) {
        self.state().quota = bytes;
    }

    /// Makes pages shorter than clients ask for, so that few files make many pages.
    pub fn set_page_rows(&self, rows: u32) {
        self.state().page_rows = rows.clamp(1, limits::MAX_PAGE_ROWS);
    }

    /// The files of a folder, by id.
    #[must_use]
    pub fn files(&self, folder: FolderHash) -> BTreeMap<FileId, StoredFile> {
        self.state().folders.get(&folder).map(|folder| folder.files.clone()).unwrap_or_default()
    }

    /// One file of a folder.
    #[must_use]
    pub fn file(&self, folder: FolderHash, file: FileId) -> Option<StoredFile> {
        self.state().folders.get(&folder)?.files.get(&file).cloned()
    }

    /// Does to a folder's files what no client could, as a hostile or broken server would; counts as a change.
    pub fn tamper(&self, folder: FolderHash, act: impl FnOnce(&mut BTreeMap<FileId, StoredFile>)) {
        let mut state = self.state();
        let folder = state.folders.entry(folder).or_default();
        let before = folder.files.clone();
        act(&mut folder.files);
        let ids: BTreeSet<FileId> = before.keys().chain(folder.files.keys()).copied().collect();
        for id in ids {
            if before.get(&id) != folder.files.get(&id) {
                folder.changed(id);
            }
        }
    }

    /// Lists a file, from now on, as a row that cannot be read.
    pub fn break_row(&self, folder: FolderHash, file: FileId) {
        let mut state = self.state();
        let folder = state.folders.entry(folder).or_default();
        folder.broken.insert(file);
        folder.changed(file);
    }

    /// What the server says of itself.
    #[must_use]
    pub fn health(&self) -> Health {
        let (capabilities, batch) = {
            let state = self.state();
            (state.capabilities.clone(), Some(state.batch))
        };
        Health { status: "healthy".to_owned(), version: "memory".to_owned(), capabilities, batch }
    }

    /// Makes a folder known, or renames it.
    pub fn register(&self, hash: FolderHash, label: &str, device: &str) {
        let mut state = self.state();
        let now = state.now;
        let folder = state.folders.entry(hash).or_default();
        if folder.label.is_none() {
            folder.registered_at = now;
        }
        folder.label = Some((label.to_owned(), device.to_owned()));
    }

    /// The registered folders.
    #[must_use]
    pub fn list_folders(&self) -> Vec<FolderEntry> {
        let state = self.state();
        let registered = state.folders.iter().filter_map(|(hash, folder)| {
            let (label, device) = folder.label.as_ref()?;
            let updated_at = folder.files.values().map(|file| file.updated_at).max();
            Some(FolderEntry {
                label: label.clone(),
                folder_hash: *hash,
                file_count: folder.files.len() as u64,
                total_bytes: folder.files.values().map(|file| file.size).sum(),
                created_at: folder.registered_at,
                updated_at: updated_at.unwrap_or(folder.registered_at),
                device_name: device.clone(),
                member_count: None,
            })
        });
        registered.collect()
    }

    /// Deletes a folder, and says how many files it had.
    ///
    /// # Errors
    /// It is not registered.
    pub fn unregister(&self, folder: FolderHash) -> Result<u64, Failure> {
        let mut state = self.state();
        let known = state.folders.get_mut(&folder).filter(|folder| folder.label.is_some());
        let Some(folder) = known else { return Err(refused(ErrorCode::NotFound, "no such folder")) };
        // Its counter goes on: no tag may ever stand for another state.
        let (changes, restored) = (folder.changes, folder.restored);
        let mut counted = Folder { changes, restored, bell: Arc::clone(&folder.bell), ..Folder::default() };
        counted.count();
        counted.floor = counted.changes;
        let removed = std::mem::replace(folder, counted);
        removed.bell.notify_waiters();
        Ok(removed.files.len() as u64)
    }

    /// One page of a folder's listing, in the order of ids; `None` when the tag is the current one.
    #[must_use]
    pub fn page(&self, folder: FolderHash, offset: u64, limit: u32, tag: Option<&StateTag>) -> Option<Rows> {
        let state = self.state();
        let empty = Folder::default();
        let folder = state.folders.get(&folder).unwrap_or(&empty);
        let tags = state.capabilities.iter().any(|name| name == capability::STATE_ETAG);
        let current = tags.then(|| StateTag::of_counter(folder.mark));
        if tag.is_some() && tag == current.as_ref() {
            return None;
        }
        let limit = limit.min(state.page_rows) as usize;
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let rows: Vec<_> = folder.files.iter().skip(skip).take(limit).map(|(id, file)| folder.row(*id, file)).collect();
        let total_count = folder.files.len() as u64;
        let has_more = skip.saturating_add(rows.len()) < folder.files.len();
        Some(Rows { rows, has_more, total_count, tag: current })
    }

    /// Carries an upload out, as a whole.
    ///
    /// # Errors
    /// As a server answers: the manifest, the blob, the base revision or the sequence number is wrong, or the quota is
    /// used up.
    pub fn upload(&self, manifest: &Manifest, blob: Bytes) -> Result<UploadResult, Failure> {
        let mut state = self.state();
        state.check_manifest(manifest)?;
        state.commit(manifest, blob)
    }

    /// Deletes a file, if `expected` names its current revision or nothing.
    ///
    /// # Errors
    /// It is not there, or another revision is current.
    pub fn delete(&self, folder: FolderHash, file: FileId, expected: Option<RevisionId>) -> Result<(), Failure> {
        let mut state = self.state();
        let gone = || refused(ErrorCode::NotFound, "no such file");
        let folder = state.folders.get_mut(&folder).ok_or_else(gone)?;
        let current = folder.files.get(&file).ok_or_else(gone)?.revision;
        if expected.is_some_and(|expected| expected != current.id) {
            return Err(conflict(Some(current)));
        }
        folder.files.remove(&file);
        folder.broken.remove(&file);
        folder.buried.insert(file, current.seq);
        folder.changed(file);
        Ok(())
    }

    /// Renames files, each on its own, in the order of the request.
    ///
    /// # Errors
    /// The batch as a whole is refused: another account, too many, or a wrong signature.
    pub fn rename(&self, request: &RenameFiles) -> Result<RenameResult, Failure> {
        let mut state = self.state();
        if request.ss58_address != state.account {
            return Err(refused(ErrorCode::Forbidden, "the token belongs to another account"));
        }
        if request.renames.len() > limits::MAX_RENAMES {
            return Err(refused(ErrorCode::BatchTooLarge, "too many renames"));
        }
        verify_rename(request).map_err(|error| refused(ErrorCode::InvalidManifest, &error.to_string()))?;
        let (mut successes, mut failures) = (Vec::new(), Vec::new());
        for rename in &request.renames {
            match state.rename_one(request.folder_hash, rename) {
                Ok(renamed) => successes.push(renamed),
                Err(reason) => failures.push(RenameFailure { old_path_hash: rename.old_path_hash, reason }),
            }
        }
        let renamed_count = successes.len() as u64;
        Ok(RenameResult { status: "ok".to_owned(), renamed_count, successes, failures })
    }
}

impl State {
    /// A name for a revision that no other has.
    fn new_revision(&mut self, file: FileId, seq: u64) -> Revision {
        self.names += 1;
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"revision");
        hasher.update(&file.0);
        hasher.update(&self.names.to_le_bytes());
        Revision { seq, id: RevisionId(*hasher.finalize().as_bytes()) }
    }

    /// What can be said of an upload before its blob is here.
    pub(super) fn check_manifest(&self, manifest: &Manifest) -> Result<(), Failure> {
        if manifest.ss58_address != self.account {
            return Err(refused(ErrorCode::Forbidden, "the token belongs to another account"));
        }
        manifest.check().map_err(|error| refused(ErrorCode::InvalidManifest, &error.to_string()))?;
        verify_upload(manifest).map_err(|error| refused(ErrorCode::InvalidManifest, &error.to_string()))
    }

    /// Compare-and-swap on the revision.
    pub(super) fn commit(&mut self, manifest: &Manifest, blob: Bytes) -> Result<UploadResult, Failure> {
        manifest
            .check_blob_len(blob.len() as u64)
            .map_err(|error| refused(ErrorCode::InvalidManifest, &error.to_string()))?;
        if blake3::hash(&blob).as_bytes() != &manifest.ciphertext_hash.0 {
            return Err(refused(ErrorCode::InvalidManifest, "the blob has another hash"));
        }
        let file = manifest.file_id();
        let current = self.folders.get(&manifest.folder_hash).and_then(|folder| folder.files.get(&file));
        let (revision, size) = current.map(|current| (current.revision, current.size)).unzip();
        if manifest.base_revision_id != revision.map(|current| current.id) {
            return Err(conflict(revision));
        }
        if revision.is_some_and(|current| manifest.revision_seq <= current.seq) {
            return Err(refused(ErrorCode::StaleSequence, "a newer revision is current"));
        }
        let stored: u64 = self.folders.values().flat_map(|folder| folder.files.values()).map(|file| file.size).sum();
        let after = stored.saturating_sub(size.unwrap_or(0)).saturating_add(manifest.size_bytes);
        if self.quota.is_some_and(|quota| after > quota) {
            return Err(refused(ErrorCode::OverQuota, "the account's storage is used up"));
        }
        let created_at = current.map_or(self.now, |current| current.created_at);
        let stored = StoredFile {
            salted_hash: manifest.salted_hash,
            size: manifest.size_bytes,
            revision: self.new_revision(file, manifest.revision_seq),
            encrypted_path: manifest.encrypted_path.clone(),
            relative_path: manifest.relative_path.clone(),
            file_name: manifest.file_name.clone(),
            blob,
            created_at,
            updated_at: self.now,
        };
        let result = UploadResult {
            upload_id: stored.revision.id.to_hex(),
            timestamp: self.now,
            revision_id: stored.revision.id,
            created_at,
            updated_at: self.now,
        };
        let folder = self.folders.entry(manifest.folder_hash).or_default();
        folder.files.insert(file, stored);
        folder.broken.remove(&file);
        folder.changed(file);
        Ok(result)
    }

    fn rename_one(&mut self, hash: FolderHash, rename: &Rename) -> Result<Renamed, RenameReason> {
        let folder = self.folders.get(&hash).ok_or(RenameReason::NotFound)?;
        let current = folder.files.get(&rename.old_path_hash).ok_or(RenameReason::NotFound)?.revision;
        if current.id != rename.base_revision_id {
            return Err(RenameReason::RevisionMismatch);
        }
        if folder.files.contains_key(&rename.new_path_hash) {
            return Err(RenameReason::TargetExists);
        }
        let last = folder.buried.get(&rename.new_path_hash).copied().unwrap_or(0);
        let revision = self.new_revision(rename.new_path_hash, current.seq.max(last) + 1);
        let now = self.now;
        let folder = self.folders.entry(hash).or_default();
        let mut file = folder.files.remove(&rename.old_path_hash).ok_or(RenameReason::NotFound)?;
        folder.buried.insert(rename.old_path_hash, current.seq);
        file.revision = revision;
        file.encrypted_path.clone_from(&rename.new_encrypted_path);
        file.file_name.clone_from(&rename.new_file_name);
        file.relative_path.clone_from(&rename.new_relative_path);
        file.updated_at = now;
        folder.files.insert(rename.new_path_hash, file);
        folder.changed(rename.old_path_hash);
        folder.changed(rename.new_path_hash);
        Ok(Renamed {
            old_path_hash: rename.old_path_hash,
            new_path_hash: rename.new_path_hash,
            new_revision_id: revision.id,
            new_revision_seq: revision.seq,
        })
    }
}

impl Folder {
    pub(super) fn count(&mut self) {
        self.changes += 1;
        self.mark = (self.restored << 32) | self.changes;
    }

    /// Gives a change of a file its number and tells those who wait.
    fn changed(&mut self, file: FileId) {
        self.count();
        self.last.insert(file, self.changes);
        self.bell.notify_waiters();
    }

    pub(super) fn row(&self, id: FileId, file: &StoredFile) -> ListedFile {
        if self.broken.contains(&id) {
            return ListedFile::Broken(BrokenRow { file_id: Some(id), reason: "size_bytes is missing".to_owned() });
        }
        // Through the row of the wire, so that its checks hold here too.
        Row::Read(file.entry(id)).into()
    }
}

impl StoredFile {
    /// The file's row in a listing.
    #[must_use]
    pub fn entry(&self, id: FileId) -> RemoteFileEntry {
        RemoteFileEntry {
            path_hash: id,
            salted_hash: self.salted_hash,
            size_bytes: self.size,
            revision_seq: self.revision.seq,
            revision_id: self.revision.id,
            encrypted_path: self.encrypted_path.clone(),
            file_name: self.file_name.clone(),
            relative_path: self.relative_path.clone(),
            arion_hash: None,
            chunk_hashes: None,
            uploaded_by: None,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// What a device's remote tree keeps of the file.
    #[must_use]
    pub fn remote_entry(&self, id: FileId) -> RemoteEntry {
        RemoteEntry { hash: self.salted_hash, size: self.size, file_id: id, revision: self.revision }
    }
}

impl std::fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredFile")
            .field("salted_hash", &self.salted_hash)
            .field("size", &self.size)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
