//! Parts of files that come from elsewhere than the server: in `.hcfs/fetched/`.
//!
//! They differ from other staged parts in two things: their size need not be known before the last byte, and
//! [`Folder::sweep`] leaves them. Whoever fetches them remembers which are of use, and discards the others.

use std::fs::File;

use hcfs_model::blob;

use crate::disk::{Open, Refusal, join};
use crate::error::ApplyError;
use crate::folder::Folder;
use crate::stage::{Staged, check_name};

/// Where they lie.
const FETCHED_DIR: &[u8] = b".hcfs/fetched";

impl Folder {
    /// Opens the part `name` as an earlier run left it, or makes an empty one. It grows as it is written, up to the
    /// largest file a folder can hold.
    ///
    /// `name` is 1 to 128 hexadecimal characters or `-`.
    ///
    /// # Errors
    /// What the system refused.
    pub fn fetched(&self, name: &str) -> Result<Staged, ApplyError> {
        let path = fetched_path(name)?;
        let refused = |doing, error| ApplyError::io(format!("the fetched part {name}"), doing, error);
        let file = match self.disk.open(&path, Open::Write) {
            Err(error) if Refusal::of(&error) == Refusal::NotFound => self.create_part(FETCHED_DIR, &path),
            other => other,
        }
        .map_err(|error| refused("open", error))?;
        Ok(Staged::new(name, path, file, blob::MAX_PLAINTEXT))
    }

    /// The names of the parts there are, in order.
    ///
    /// # Errors
    /// What the system refused.
    pub fn fetched_names(&self) -> Result<Vec<String>, ApplyError> {
        self.names(FETCHED_DIR)
    }

    /// Removes the part `name`; one that is gone is no error.
    ///
    /// # Errors
    /// What the system refused.
    pub fn discard_fetched(&self, name: &str) -> Result<(), ApplyError> {
        match self.disk.unlink(&fetched_path(name)?) {
            Err(error) if Refusal::of(&error) != Refusal::NotFound => {
                Err(ApplyError::io(format!("the fetched part {name}"), "remove", error))
            }
            _ => Ok(()),
        }
    }

    /// Checks that `size` more bytes fit, besides the reserve that is kept free.
    ///
    /// # Errors
    /// [`ApplyError::NoSpace`], as for [`Folder::stage`].
    pub fn has_room(&self, size: u64) -> Result<(), ApplyError> {
        self.check_room("what is fetched".to_owned(), size)
    }
}

impl Staged {
    /// The part's file, for a library that writes to files; written at explicit offsets only.
    ///
    /// # Errors
    /// What the system refused.
    pub fn share(&self) -> Result<File, ApplyError> {
        self.file.share().map_err(|error| self.refused("open", error))
    }

    /// Tells the device to begin with what was written to the [shared](Self::share) file.
    pub fn write_back(&self) {
        self.file.write_back();
    }
}

fn fetched_path(name: &str) -> Result<Vec<u8>, ApplyError> {
    check_name(name)?;
    Ok(join(FETCHED_DIR, name.as_bytes()))
}
