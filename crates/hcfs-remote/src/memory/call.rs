//! What was asked for, and what is to go wrong.

use std::ops::Range;
use std::time::Duration;

use hcfs_model::{FileId, FolderHash};
use hcfs_wire::SessionId;

use crate::RemoteErrorKind;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// [`crate::Remote::health`].
    Health,
    /// [`crate::Remote::register_folder`].
    RegisterFolder(FolderHash),
    /// [`crate::Remote::folders`].
    Folders,
    /// [`crate::Remote::unregister_folder`].
    UnregisterFolder(FolderHash),
    /// [`crate::Remote::listing_page`].
    ListingPage {
        /// The folder.
        folder: FolderHash,
        /// Rows skipped.
        offset: u64,
        /// Rows wanted.
        limit: u32,
        /// Whether a tag was sent.
        tagged: bool,
    },
    /// [`crate::Remote::probe`].
    Probe(FileId),
    /// [`crate::Remote::download`].
    Download {
        /// The file.
        file: FileId,
        /// The part asked for.
        bytes: Option<Range<u64>>,
    },
    /// [`crate::Remote::upload`].
    Upload {
        /// The file.
        file: FileId,
        /// Bytes of the blob.
        length: u64,
    },
    /// [`crate::Remote::open_session`].
    OpenSession(FileId),
    /// [`crate::Remote::put_part`].
    PutPart {
        /// The session.
        session: SessionId,
        /// Which part.
        index: u32,
        /// Its bytes.
        length: u64,
    },
    /// [`crate::Remote::session_status`].
    SessionStatus(SessionId),
    /// [`crate::Remote::finalize`].
    Finalize(FileId),
    /// [`crate::Remote::abort_session`].
    AbortSession(SessionId),
    /// [`crate::Remote::delete`].
    Delete(FileId),
    /// [`crate::Remote::rename`].
    Rename {
        /// How many renames.
        count: usize,
    },
    /// [`crate::Remote::changes`].
    Changes {
        /// The folder.
        folder: FolderHash,
        /// The change that is known.
        after: Option<u64>,
        /// How long it may wait.
        wait: Duration,
    },
    /// [`crate::Remote::upload_batch`].
    UploadBatch(Vec<FileId>),
    /// [`crate::Remote::download_batch`].
    DownloadBatch {
        /// The files.
        files: Vec<FileId>,
        /// How many bytes of each are asked for.
        first_bytes: Option<u64>,
    },
}

impl Call {
    /// Whether a lost answer leaves it open what happened: a client may not simply send the request again.
    pub(super) fn changes(&self) -> bool {
        matches!(
            self,
            Self::UnregisterFolder(_)
                | Self::Upload { .. }
                | Self::UploadBatch(_)
                | Self::Finalize(_)
                | Self::Rename { .. }
        )
    }
}

/// What goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It fails with this kind, and the server never saw it: as with 401, 402, 409, 5xx, HTML, or no connection.
    Refused(RemoteErrorKind),
    /// The server carries it out and the answer is lost, also on every further try.
    AnswerLost,
    /// A download breaks off after so many bytes; anything else as [`Fault::AnswerLost`].
    CutAfter(u64),
    /// One bit of this byte of a download's body is flipped, of a batch's its first blob's; anything else goes well.
    Flipped(u64),
}
