//! The staged file.

use std::fs::File;

use crate::resume::Resume;

/// A staged file and how far it is.
#[derive(Debug)]
pub struct Part {
    /// Open for reading and writing, written at explicit offsets, cut to what counts at the start and to the content
    /// at the end. Never synced here: that is for who gives it a name.
    pub file: File,
    /// Brought up to date by a fetch however it ends, unless its future is dropped: then what was last
    /// [kept](crate::Watcher::keep) holds.
    pub resume: Resume,
}

impl Part {
    /// A part that begins anew.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file, resume: Resume::default() }
    }
}
