//! The socket to serve at, where whoever started the process opened it: systemd, for `hcfs-server.socket`.
//!
//! Only what was handed to this very process counts (`LISTEN_PID`), and only one listening TCP socket is of use. The
//! environment is left as it is: by the time it is read there are threads, so it must not be changed.
#![allow(unsafe_code, reason = "that a number names an open file which is ours has no safe form")]

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use hcfs_cli::ErrorCode;
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::failure::Failure;

/// Why what was handed over cannot be served at.
#[derive(Debug, thiserror::Error)]
enum HandedError {
    #[error("what the service manager says of its sockets is not understood: {0}")]
    Unclear(io::Error),
    #[error("the service manager hands over {0} sockets, and the server takes one")]
    Several(usize),
    #[error("what the service manager hands over is no listening TCP socket")]
    NotListening,
    #[error("the service manager hands over a socket at {given}, and --listen says {asked}")]
    Elsewhere { given: SocketAddr, asked: SocketAddr },
}

impl HandedError {
    fn hint(&self) -> &'static str {
        match self {
            Self::Unclear(_) => "start it with `systemctl start hcfs-server.socket`",
            Self::Several(_) | Self::NotListening => {
                "give the socket unit one ListenStream= of an address and a port, and leave out Accept="
            }
            Self::Elsewhere { .. } => {
                "have ListenStream= of the socket unit and --listen say the same, or leave out --listen"
            }
        }
    }
}

impl From<HandedError> for Failure {
    fn from(error: HandedError) -> Self {
        Self::new(ErrorCode::Config, error.to_string(), error.hint())
    }
}

/// Takes the socket that was handed over; none, where nobody did.
///
/// # Errors
/// It is not one listening TCP socket, or at another address than was asked for.
pub(crate) fn listener(asked: Option<SocketAddr>) -> Result<Option<TcpListener>, Failure> {
    let mut handed = sd_notify::listen_fds().map_err(HandedError::Unclear)?;
    match (handed.next(), handed.len()) {
        (None, _) => Ok(None),
        (Some(only), 0) => Ok(Some(open(only, asked)?)),
        (Some(_), more) => Err(HandedError::Several(more + 1).into()),
    }
}

fn open(handed: RawFd, asked: Option<SocketAddr>) -> Result<TcpListener, HandedError> {
    // SAFETY: `listen_fds` has just found it to be open, the protocol makes it ours, and this is its only owner: it is
    // asked for once, by the one command that serves.
    let socket = unsafe { OwnedFd::from_raw_fd(handed) };
    let is_listening = sockopt::socket_acceptconn(&socket).unwrap_or(false);
    let is_stream = sockopt::socket_type(&socket).is_ok_and(|kind| kind == SocketType::STREAM);
    let families = [AddressFamily::INET, AddressFamily::INET6];
    let is_tcp = sockopt::socket_domain(&socket).is_ok_and(|family| families.contains(&family));
    if !(is_listening && is_stream && is_tcp) {
        return Err(HandedError::NotListening);
    }
    let listener = TcpListener::from(socket);
    let given = listener.local_addr().map_err(HandedError::Unclear)?;
    match asked {
        Some(asked) if asked != given => Err(HandedError::Elsewhere { given, asked }),
        _ => Ok(listener),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpStream, UdpSocket};
    use std::os::fd::IntoRawFd as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_listening_tcp_socket_at_the_address_that_was_asked_for_will_do() {
        let listening = || TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listening();
        let address = at.local_addr().unwrap();
        let taken = open(at.into_raw_fd(), Some(address)).unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
        open(listening().into_raw_fd(), None).unwrap();

        let other = open(listening().into_raw_fd(), Some(address)).unwrap_err();
        assert!(matches!(other, HandedError::Elsewhere { asked, .. } if asked == address), "{other}");
        let connected = TcpStream::connect(address).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let local = UnixListener::bind(dir.path().join("s")).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        for wrong in [
            connected.into_raw_fd(),
            UdpSocket::bind("127.0.0.1:0").unwrap().into_raw_fd(),
            local.into_raw_fd(),
            file.into_raw_fd(),
        ] {
            assert!(matches!(open(wrong, None), Err(HandedError::NotListening)));
        }
    }
}
