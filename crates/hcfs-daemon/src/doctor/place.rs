//! The configuration, the state directory, and who may read the secrets.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use hcfs_api::{Paths, Verdict};
use rustix::fs::Access;

use super::Found;
use crate::config::{Config, Environment};
use crate::secret::{SecretPlace, Unlock};

/// The configuration, if it can be used.
pub(super) fn configuration(found: &mut Found, paths: &Paths, env: &Environment) -> Option<Config> {
    const NAME: &str = "configuration";
    let file = paths.config.display();
    let config = match Config::load(paths, env) {
        Ok(config) => config,
        Err(error) => {
            let hint = error.hint();
            found.fail(NAME, crate::DaemonError::from(error).to_api().message, hint);
            return None;
        }
    };
    match fs::metadata(&paths.config) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            found.warn(
                NAME,
                format!("\"{file}\" does not exist: nothing is kept in step"),
                "run `hcfs up DIR` or `hcfs init`",
            );
        }
        Ok(meta) if is_writable_by_others(&meta) => {
            let message = format!("\"{file}\" can be written by other users, who could name a server of theirs");
            found.fail(NAME, message, format!("run `chmod go-w \"{file}\"` as its owner"));
        }
        _ if config.folders.is_empty() => {
            found.warn(NAME, format!("\"{file}\" names no folder"), "add one with `hcfs folder add LABEL DIR`");
        }
        _ => {
            let folders = hcfs_api::quantity::many(config.folders.len() as u64, "folder");
            found.ok(NAME, format!("\"{file}\", {folders}"));
        }
    }
    Some(config)
}

/// The directory of databases and keys.
pub(super) fn state_directory(found: &mut Found, paths: &Paths) {
    const NAME: &str = "state_directory";
    let dir = paths.state.display();
    let meta = match fs::metadata(&paths.state) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return found.ok(NAME, format!("\"{dir}\" does not exist yet"));
        }
        Err(error) => return found.fail(NAME, format!("\"{dir}\": {error}"), "make it a directory of your own"),
    };
    if !meta.is_dir() {
        return found.fail(NAME, format!("\"{dir}\" is not a directory"), "move it away, or set HCFS_STATE_DIR");
    }
    if meta.uid() != own() {
        let hint = "run the program as that user, or set HCFS_STATE_DIR";
        return found.fail(NAME, format!("\"{dir}\" belongs to another user"), hint);
    }
    let mode = meta.permissions().mode();
    if mode & 0o022 != 0 {
        let hint = format!("run `chmod 700 \"{dir}\"`");
        return found.fail(NAME, format!("\"{dir}\" can be written by other users"), hint);
    }
    if let Err(error) = is_writable(&paths.state) {
        let hint = format!("run `chmod 700 \"{dir}\"`, and see that its file system is not read-only");
        return found.fail(NAME, format!("\"{dir}\" cannot be written: {error}"), hint);
    }
    if mode & 0o077 != 0 {
        let hint = format!("run `chmod 700 \"{dir}\"`");
        return found.warn(NAME, format!("\"{dir}\" can be looked into by other users"), hint);
    }
    match super::folder::space(&paths.state) {
        Some((verdict, said)) if verdict != Verdict::Ok => {
            found.add(verdict, NAME, format!("\"{dir}\": {said}"), "free some space there");
        }
        _ => found.ok(NAME, format!("\"{dir}\" is private and can be written")),
    }
}

/// Whether a directory takes a new file.
pub(super) fn is_writable(dir: &Path) -> io::Result<()> {
    // Asked of the system, and so true of read-only file systems and of root too.
    rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK)?;
    let probe = dir.join(format!(".hcfs-doctor-{}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(probe)
}

/// Every file that holds a secret: who may read it.
pub(super) fn secrets(found: &mut Found, paths: &Paths, config: Option<&Config>) {
    // What the daemon refuses to use fails; what it uses with a warning warns.
    let mut files = vec![(paths.sealed_phrase(), Verdict::Fail, false), (paths.login_token(), Verdict::Warn, false)];
    if let Some(config) = config {
        if let Unlock::Keyfile(path) = &config.unlock {
            files.push((path.clone(), Verdict::Fail, paths.sealed_phrase().exists()));
        }
        if let Some(SecretPlace::File(path)) = &config.server.token {
            files.push((path.clone(), Verdict::Warn, true));
        }
        let credentials = config.sources.values().filter_map(|source| source.service.credential());
        for place in credentials {
            if let SecretPlace::File(path) = place {
                files.push((path.clone(), Verdict::Fail, true));
            }
        }
    }
    files.sort();
    files.dedup_by(|one, other| one.0 == other.0);
    for (path, verdict, must_exist) in files {
        secret(found, &path, verdict, must_exist);
    }
    let words = paths.recovery_phrase();
    if words.exists() {
        let message = format!("\"{}\" holds the 24 words in clear text", words.display());
        found.warn("recovery_phrase", message, "copy them to a safe place, and delete the file");
    }
}

fn secret(found: &mut Found, path: &Path, verdict: Verdict, must_exist: bool) {
    const NAME: &str = "secret";
    let file = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {}
        Err(error) => {
            let hint = format!("check that \"{file}\" exists and belongs to you, or name another place");
            found.fail(NAME, format!("\"{file}\": {error}"), hint);
        }
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 || (meta.uid() != own() && meta.uid() != 0) => {
            let message = format!("\"{file}\" can be read by other users");
            found.add(verdict, NAME, message, format!("run `chmod 600 \"{file}\"`, as the user the daemon runs as"));
        }
        Ok(_) => found.ok(NAME, format!("\"{file}\" can be read by its owner alone")),
    }
}

fn is_writable_by_others(meta: &fs::Metadata) -> bool {
    meta.permissions().mode() & 0o022 != 0 || (meta.uid() != own() && meta.uid() != 0)
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}
