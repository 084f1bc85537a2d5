//! The file of a sealed phrase: never readable by others, never half written, never without a predecessor.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{MAX_FILE, SealedPhrase, SealedPhraseError};

/// Reads the file of a sealed phrase.
///
/// # Errors
/// A file that cannot be read, or is not a sealed phrase.
pub fn read(path: &Path) -> Result<SealedPhrase, SealedPhraseError> {
    let mut json = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE as u64 + 1).read_to_end(&mut json))
        .map_err(|source| SealedPhraseError::Io { action: "read", path: path.to_owned(), source })?;
    SealedPhrase::from_json(&json)
}

/// Writes the file of a sealed phrase, readable by its owner alone from the first instant. An existing file is kept beside
/// it with `.bak` behind its name; at every moment one of the two is whole and on disk.
///
/// # Errors
/// What the file system refuses; the existing file is then still in its place.
pub fn write(path: &Path, sealed: &SealedPhrase) -> Result<(), SealedPhraseError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| SealedPhraseError::Io { action, path, source }
    };
    match File::open(path) {
        Ok(mut previous) => {
            let backup = beside(path, ".bak");
            replace(&backup, |file| io::copy(&mut previous, file).map(drop)).map_err(failed("write", &backup))?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", path)(error)),
    }
    replace(path, |file| file.write_all(&sealed.to_json())).map_err(failed("write", path))
}

/// Writes a new file and puts it in the place of `path` in one step.
fn replace(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let staged = beside(path, ".new");
    // What a crash left behind.
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create_private(&staged)?;
    let placed = fill(&mut file).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&staged, path));
    if let Err(error) = placed {
        // The first error is the one to tell.
        let _ = fs::remove_file(&staged);
        return Err(error);
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
