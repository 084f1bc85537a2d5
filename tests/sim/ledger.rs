//! What people wrote, and what of it they told to drop.

use std::collections::BTreeMap;
use std::sync::Arc;

use hcfs_crypto::hash::salted_hash;
use hcfs_model::{AccountAddress, SaltedHash};

use crate::disk::tree::Content;

/// Every version people wrote.
#[derive(Default)]
pub(crate) struct Ledger {
    versions: BTreeMap<Content, Version>,
    order: Vec<Content>,
}

struct Version {
    is_wanted: bool,
    hash: Option<SaltedHash>,
}

impl Ledger {
    /// A content nobody wrote before.
    pub(crate) fn new_content(&mut self, size: usize) -> Content {
        let mut bytes = format!("{}.", self.order.len()).into_bytes();
        let fill = bytes.clone();
        while bytes.len() < size {
            bytes.extend_from_slice(&fill);
        }
        let content = Arc::new(bytes);
        self.order.push(Arc::clone(&content));
        content
    }

    /// One of the contents that were made before.
    pub(crate) fn old_content(&self, choice: usize) -> Option<Content> {
        self.order.get(choice % self.order.len().max(1)).cloned()
    }

    /// A person wrote this.
    pub(crate) fn wrote(&mut self, content: &Content) {
        let version = Version { is_wanted: true, hash: None };
        self.versions.entry(Arc::clone(content)).or_insert(version).is_wanted = true;
    }

    /// A person deleted or replaced this.
    pub(crate) fn dropped(&mut self, content: &Content) {
        if let Some(version) = self.versions.get_mut(content) {
            version.is_wanted = false;
        }
    }

    /// A person told the server to delete the version with this hash.
    pub(crate) fn dropped_hash(&mut self, hash: SaltedHash) {
        let account = crate::world::owner().account;
        for (content, version) in &mut self.versions {
            if *version.hash.get_or_insert_with(|| salted_hash(&account, content)) == hash {
                version.is_wanted = false;
            }
        }
    }

    /// Whether a person ever wrote it.
    pub(crate) fn has(&self, content: &Content) -> bool {
        self.versions.contains_key(content)
    }

    /// Whether a person wrote it and nobody told to drop it. What is empty, nobody misses.
    pub(crate) fn is_wanted(&self, content: &Content) -> bool {
        !content.is_empty() && self.versions.get(content).is_some_and(|version| version.is_wanted)
    }

    /// What must be found somewhere.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &Content> {
        self.versions
            .iter()
            .filter(|(content, version)| version.is_wanted && !content.is_empty())
            .map(|(content, _)| content)
    }

    /// The salted hash of a content, made once for those that people wrote.
    pub(crate) fn hash(&mut self, account: &AccountAddress, content: &Content) -> SaltedHash {
        match self.versions.get_mut(content) {
            Some(version) => *version.hash.get_or_insert_with(|| salted_hash(account, content)),
            None => salted_hash(account, content),
        }
    }
}
