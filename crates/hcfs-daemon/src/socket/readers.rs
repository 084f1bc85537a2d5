//! Whom besides its owner the socket is opened to, for reading: the members of one group.
//!
//! Who is a member is the kernel's to say, when a process connects: the socket's file belongs to the group and has mode
//! 0660. Before it belongs to the group it is closed to all but its owner, and it stays so where it cannot be given away.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Gid;

use crate::config::Environment;
use crate::name_service;

/// Why readers cannot come in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadersError {
    /// Nobody made it, or it is mistyped.
    #[error("there is no group \"{0}\"")]
    NoGroup(String),
    /// Only a member may give a file to a group; a hardened service may not even then, unless its unit says so.
    #[error("this process may not give the socket to the group \"{0}\"")]
    NotMember(String),
    /// A directory on the way to the socket.
    #[error("the group \"{group}\" cannot pass through \"{}\" to the socket", directory.display())]
    Shut {
        /// The group.
        group: String,
        /// The directory.
        directory: PathBuf,
        /// The permission it lacks, as `chmod` has it.
        lacks: &'static str,
    },
    /// The system refuses something else.
    #[error("the socket cannot be opened to the group \"{group}\": {cause}")]
    Io {
        /// The group.
        group: String,
        /// What the system says.
        cause: io::Error,
    },
}

impl ReadersError {
    /// What to do.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoGroup(group) => format!("make it with `groupadd {group}`, or correct `readers` in [socket]"),
            Self::NotMember(group) => format!(
                "add the daemon's user with `usermod --append --groups {group} USER` and log in anew; of a service of \
                 the system bring the unit up to date: `hcfs service install --system`"
            ),
            Self::Shut { directory, lacks, .. } => {
                format!("run `chmod {lacks} \"{}\"`, or put the socket elsewhere with HCFS_SOCKET", directory.display())
            }
            Self::Io { .. } => "see the system's log".into(),
        }
    }
}

/// Opens a socket that its owner alone could use to a group. Blocks.
pub(super) fn open(socket: &Path, group: &str, env: &Environment) -> Result<(), ReadersError> {
    let failed = |cause| ReadersError::Io { group: group.to_owned(), cause };
    let gid = find(group, env)?;
    rustix::fs::chown(socket, None, Some(gid)).map_err(|error| match error {
        // The second is what a user namespace says that does not know the group.
        rustix::io::Errno::PERM | rustix::io::Errno::INVAL => ReadersError::NotMember(group.to_owned()),
        other => failed(other.into()),
    })?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o660)).map_err(failed)
}

/// Checks that a group can come in: to the socket, and as far as permission bits tell, on the way there. Blocks.
pub(crate) fn check(socket: &Path, group: &str, env: &Environment) -> Result<(), ReadersError> {
    let gid = find(group, env)?;
    let look = |path: &Path| fs::metadata(path).map_err(|cause| ReadersError::Io { group: group.to_owned(), cause });
    let meta = look(socket)?;
    if meta.gid() != gid.as_raw() || meta.permissions().mode() & 0o060 != 0o060 {
        return Err(ReadersError::NotMember(group.to_owned()));
    }
    for directory in socket.ancestors().skip(1) {
        let meta = look(directory)?;
        let (needed, lacks) = if meta.gid() == gid.as_raw() { (0o010, "g+x") } else { (0o001, "o+x") };
        if meta.permissions().mode() & needed == 0 {
            return Err(ReadersError::Shut { group: group.to_owned(), directory: directory.to_owned(), lacks });
        }
    }
    Ok(())
}

fn find(group: &str, env: &Environment) -> Result<Gid, ReadersError> {
    let found = name_service::group(group, env);
    let found = found.map_err(|cause| ReadersError::Io { group: group.to_owned(), cause })?;
    found.ok_or_else(|| ReadersError::NoGroup(group.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn env() -> Environment {
        Arc::new(|name| std::env::var_os(name))
    }

    /// A group whose member this process is, as files it makes show.
    fn own_group(file: &Path) -> String {
        fs::metadata(file).unwrap().gid().to_string()
    }

    #[test]
    fn a_socket_is_opened_to_a_group_and_each_thing_in_the_way_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("hcfs.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
        let group = own_group(&socket);
        let mode = || fs::metadata(&socket).unwrap().permissions().mode() & 0o777;

        assert!(matches!(open(&socket, "no-such-group", &env()), Err(ReadersError::NoGroup(_))));
        assert!(matches!(check(&socket, &group, &env()), Err(ReadersError::NotMember(_))));
        assert_eq!(mode(), 0o600, "it stays closed");
        open(&socket, &group, &env()).unwrap();
        assert_eq!(mode(), 0o660);
        let directory = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        directory(0o700);
        match check(&socket, &group, &env()) {
            Err(error @ ReadersError::Shut { .. }) => {
                assert!(error.hint().contains(&format!("g+x \"{}\"", dir.path().display())), "{}", error.hint());
            }
            other => panic!("{other:?}"),
        }
        directory(0o710);
        check(&socket, &group, &env()).unwrap();
    }
}
