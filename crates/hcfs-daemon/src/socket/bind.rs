//! The socket's file: taken by one daemon, left over by none.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use tokio::net::UnixListener;

use super::readers;
use crate::config::Environment;
use crate::place::{Lock, PlaceError, private_dir};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// A listening socket that has its name, until it is dropped.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: UnixListener,
    path: PathBuf,
    has_readers: bool,
    _lock: Lock,
}

impl Bound {
    /// Takes the socket's path. A name that a dead daemon left is removed; a living one is left alone.
    ///
    /// Must be called within a tokio runtime.
    pub(crate) fn new(path: &Path) -> Result<Self, PlaceError> {
        private_dir(path.parent().unwrap_or(Path::new("/")))?;
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        // Between looking whether somebody listens and taking the name, nobody else may do the same.
        let lock = Lock::take(Path::new(&lock)).map_err(|error| match error {
            PlaceError::Held { pid, .. } => PlaceError::Held { path: path.to_owned(), pid },
            other => other,
        })?;
        let failed = |source: io::Error| PlaceError::Io { path: path.to_owned(), source };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(meta) if !meta.file_type().is_socket() => return Err(PlaceError::NotASocket(path.to_owned())),
            Ok(_) => match UnixStream::connect(path) {
                Ok(_) => return Err(PlaceError::Held { path: path.to_owned(), pid: None }),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            },
        }
        let listener = listening(path).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), has_readers: false, _lock: lock })
    }

    /// Opens it to a group, for reading. Where that cannot be, it stays closed and the log says why: the folders are what
    /// the daemon is for.
    pub(crate) async fn open_to(&mut self, group: String, env: Environment) {
        let path = self.path.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let opened = readers::open(&path, &group, &env);
            let has_readers = opened.is_ok();
            if let Err(error) = opened.and_then(|()| readers::check(&path, &group, &env)) {
                tracing::error!(hint = error.hint(), "nobody but the owner can read at the socket: {error}");
            }
            has_readers
        });
        // A panic in it was shown already.
        self.has_readers = opened.await.unwrap_or(false);
    }

    pub(super) fn has_readers(&self) -> bool {
        self.has_readers
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Left over, it would be taken for a dead daemon's and removed by the next one.
        let _ = fs::remove_file(&self.path);
    }
}

/// The mode is set before the socket has a name: there is no instant at which others could connect.
fn listening(path: &Path) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o600))?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    // For systems that do not carry the mode over; the directory is closed to others meanwhile.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_daemons_socket_is_taken_over_and_a_living_ones_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/hcfs.sock");
        let living = Bound::new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = Bound::new(&path).unwrap_err();
        assert!(matches!(error, PlaceError::Held { pid: Some(_), .. }), "{error:?}");
        drop(living);
        assert!(!path.exists());

        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a listener that is dropped leaves its name");
        Bound::new(&path).unwrap();
    }

    #[tokio::test]
    async fn somebody_who_listens_without_the_lock_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hcfs.sock");
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = Bound::new(&path).unwrap_err();
        assert_eq!(error.code().exit().number(), 7);
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[tokio::test]
    async fn a_file_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hcfs.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Bound::new(&path), Err(PlaceError::NotASocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
