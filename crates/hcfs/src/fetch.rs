//! `hcfs fetch`: one file from another service.
//!
//! Carried out in this process: it needs neither a daemon nor an account, and takes `env:` credentials from where the
//! command was typed. What comes is whole and checked before it has a name, or before its first byte goes to stdout.

use std::fs::{File, Permissions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hcfs_cli::args::{FetchOptions, GlobalOptions};
use hcfs_cli::{ErrorCode, ExitCode, FetchBar, Paths, Terminal};
use hcfs_daemon::sources::{OneFile, fetch_one};
use hcfs_daemon::{Config, Environment};
use tempfile::NamedTempFile;

use crate::failure::{Failure, Outcome};

/// Bytes that are copied at once.
const PIECE: usize = 256 * 1024;

/// Where the file goes.
enum Target {
    Stdout,
    /// A directory, for the name its service gives it.
    In(PathBuf),
    As(PathBuf),
}

impl Target {
    fn of(options: &FetchOptions) -> Self {
        match &options.target {
            None => Self::In(PathBuf::from(".")),
            Some(path) if path == Path::new("-") => Self::Stdout,
            Some(path) if path.is_dir() => Self::In(path.clone()),
            Some(path) => Self::As(path.clone()),
        }
    }

    fn directory(&self) -> PathBuf {
        match self {
            Self::Stdout => std::env::temp_dir(),
            Self::In(directory) => directory.clone(),
            Self::As(path) => match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            },
        }
    }
}

pub(crate) async fn carry_out(
    options: &FetchOptions,
    global: &GlobalOptions,
    paths: &Paths,
    env: &Environment,
    terminal: &mut Terminal,
) -> Outcome {
    let target = Target::of(options);
    if let Target::As(path) = &target
        && !options.force
        && path.symlink_metadata().is_ok()
    {
        return Err(unwritable(path, &io::ErrorKind::AlreadyExists.into()));
    }
    let directory = target.directory();
    // Less what the user's mask takes away, as for any new file; what goes to stdout is nobody else's meanwhile.
    let mode = if matches!(target, Target::Stdout) { 0o600 } else { 0o666 };
    let staged = tempfile::Builder::new()
        .prefix(".hcfs-fetch-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(&directory)
        .map_err(|error| unwritable(&directory, &error))?;
    let file = staged.reopen().map_err(|error| unwritable(&directory, &error))?;
    // A configuration that cannot be read does not keep a file from being fetched: only its limit is wanted.
    let limit = Config::load(paths, env).map_or(0, |config| config.limits.download);
    let bar = FetchBar::new(terminal, global.quiet, &options.item);
    let (spec, progress) = (options.spec(), |done, size| bar.show(done, size));
    let fetched = tokio::select! {
        fetched = fetch_one(&spec, env, file, limit, &progress) => fetched,
        // Without signals there is nothing to hear; the system's own handling is then as good.
        Ok(()) = tokio::signal::ctrl_c() => return Ok(ExitCode::Interrupted),
    };
    bar.finish();
    let fetched = fetched.map_err(Failure::daemon)?;
    match target {
        Target::Stdout => print(staged, terminal)?,
        Target::In(directory) => {
            let path = directory.join(&fetched.name);
            install(staged, &path, options.force)?;
            tell(&path, &fetched, global, terminal)?;
        }
        Target::As(path) => {
            install(staged, &path, options.force)?;
            tell(&path, &fetched, global, terminal)?;
        }
    }
    Ok(ExitCode::Done)
}

fn print(mut staged: NamedTempFile, terminal: &mut Terminal) -> Result<(), Failure> {
    let unreadable =
        |error: &io::Error| Failure::new(ErrorCode::Io, format!("cannot read what was fetched: {error}"), "try again");
    let file = staged.as_file_mut();
    file.rewind().map_err(|error| unreadable(&error))?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece).map_err(|error| unreadable(&error))? {
            0 => return Ok(()),
            read => terminal.out_bytes(&piece[..read])?,
        }
    }
}

/// Gives a complete file its name, once its bytes are on the disk.
fn install(staged: NamedTempFile, path: &Path, replace: bool) -> Result<(), Failure> {
    let placed = staged.as_file().sync_all().and_then(|()| {
        let placed = if replace { staged.persist(path) } else { staged.persist_noclobber(path) };
        placed.map_err(|error| error.error)?;
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
            _ => File::open(".")?.sync_all(),
        }
    });
    placed.map_err(|error| unwritable(path, &error))
}

fn tell(path: &Path, fetched: &OneFile, global: &GlobalOptions, terminal: &mut Terminal) -> Result<(), Failure> {
    let shown = path.to_string_lossy();
    if global.json {
        let fields = [
            ("local", shown.into_owned().into()),
            ("bytes", fetched.size.into()),
            ("hash", fetched.hash.clone().into()),
            ("verified", fetched.verified.into()),
        ];
        terminal.out(&format!("{}\n", hcfs_cli::json_object(&fields)))?;
    } else if !global.quiet {
        let text = format!("{shown} ({})", hcfs_cli::render::bytes(fetched.size));
        terminal.out(&format!("{}\n", hcfs_cli::render::plain(&text)))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let (code, hint) = match error.kind() {
        io::ErrorKind::AlreadyExists => (ErrorCode::Exists, "choose another name, or replace it with --force"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (ErrorCode::DiskFull, "free some space there"),
        io::ErrorKind::PermissionDenied => (ErrorCode::Permission, "choose a directory you may write to"),
        _ => (ErrorCode::Io, "check the directory"),
    };
    Failure::new(code, format!("cannot write \"{}\": {error}", path.display()), hint)
}
