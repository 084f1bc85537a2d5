//! Files on the server, without a copy in the folder.
//!
//! Invariants: a file here is whole or not there at all, and replaces another only with `--force`.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hcfs_api::{ApiError, Done, ErrorCode, ExitCode, MoveRequest, RemoteFile, SCHEMA, routes};
use hcfs_model::RelPath;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::Method;
use serde_json::json;
use tempfile::NamedTempFile;

use super::{Ended, Session};
use crate::args::{CatOptions, GetOptions, LsOptions, MvOptions, PutOptions, RmOptions, SearchOptions};
use crate::client::lines::Lines;
use crate::client::{FileBody, cut, odd, request};
use crate::error::CliError;
use crate::progress::copy_bar;
use crate::render;

/// The longest line of the list of files, in bytes: a path of the greatest length, every character escaped.
const LINE_MAX: usize = 64 * 1024;

impl Session<'_> {
    pub(super) async fn ls(&mut self, options: &LsOptions) -> Ended {
        let label = self.one_label(options.label.as_ref()).await?;
        let listed = self.list_files(&label, options.path.as_ref(), |_| true).await?;
        match &options.path {
            // Directories are nothing but the paths of their files.
            Some(path) if listed == 0 => {
                let message = format!("no file on the server lies below \"{path}\"");
                Err(ApiError::new(ErrorCode::NotFound, message, "see `hcfs ls` without a path").into())
            }
            _ => Ok(ExitCode::Done),
        }
    }

    pub(super) async fn search(&mut self, options: &SearchOptions) -> Ended {
        let label = self.one_label(options.label.as_ref()).await?;
        let wanted = options.text.to_lowercase();
        let listed = self.list_files(&label, None, |file| file.path.to_lowercase().contains(&wanted)).await?;
        if listed == 0 {
            let message = format!("no file on the server has \"{}\" in its path", options.text);
            return Err(ApiError::new(ErrorCode::NotFound, message, "give a shorter part of it").into());
        }
        Ok(ExitCode::Done)
    }

    /// Prints the files on the server that are wanted as they come, since the list may be larger than this process
    /// should be, and says how many they are.
    async fn list_files(
        &mut self,
        label: &str,
        below: Option<&RelPath>,
        is_wanted: impl Fn(&RemoteFile) -> bool,
    ) -> Result<u64, CliError> {
        let route = routes::files(label, below.map(RelPath::as_str));
        let asked = request(Method::GET, &route, Either::Left(Full::default()), [])?;
        let mut body = self.client.send(asked, None).await?.into_body();
        let mut lines = Lines::new(LINE_MAX);
        let mut listed = 0_u64;
        let look = self.terminal.look();
        let mut out = if self.options.json { format!("{{\"schema\":{SCHEMA},\"files\":[") } else { String::new() };
        while let Some(frame) = body.frame().await {
            let Ok(bytes) = frame.map_err(|_| cut())?.into_data() else { continue };
            lines.push(&bytes);
            while let Some(line) = lines.next().map_err(|_| odd("a line of the list is too long"))? {
                let file: RemoteFile = serde_json::from_slice(&line).map_err(|error| odd(&error.to_string()))?;
                if !is_wanted(&file) {
                    continue;
                }
                if self.options.json {
                    out.push_str(if listed > 0 { "," } else { "" });
                    out.push_str(&serde_json::to_string(&file).map_err(|error| odd(&error.to_string()))?);
                } else {
                    out.push_str(&render::remote_file(&file, look));
                }
                listed += 1;
            }
            self.terminal.out(&out)?;
            out.clear();
        }
        if !lines.rest().is_empty() {
            return Err(cut());
        }
        if self.options.json {
            out.push_str("]}\n");
        }
        self.terminal.out(&out)?;
        Ok(listed)
    }

    pub(super) async fn cat(&mut self, options: &CatOptions) -> Ended {
        let label = self.one_label(options.label.as_ref()).await?;
        let mut content = self.client.content(&label, options.remote.as_str(), options.range).await?;
        while let Some(piece) = content.next().await? {
            self.terminal.out_bytes(&piece)?;
        }
        Ok(ExitCode::Done)
    }

    pub(super) async fn get(&mut self, options: &GetOptions) -> Ended {
        let target = target(options);
        if !options.force && target.symlink_metadata().is_ok() {
            return Err(CliError::file("write", &target, io::ErrorKind::AlreadyExists.into()));
        }
        let label = self.one_label(options.label.as_ref()).await?;
        let mut content = self.client.content(&label, options.remote.as_str(), options.range).await?;
        let bar = copy_bar(self.terminal, self.options.quiet, options.remote.name(), content.length());
        let mut staged = stage(&target).map_err(|source| CliError::file("write", &target, source))?;
        while let Some(piece) = content.next().await? {
            staged.write_all(&piece).map_err(|source| CliError::file("write", &target, source))?;
            bar.inc(piece.len() as u64);
        }
        bar.finish_and_clear();
        let length = content.length();
        install(staged, &target, options.force).map_err(|source| CliError::file("write", &target, source))?;
        if self.options.quiet && !self.options.json {
            return Ok(ExitCode::Done);
        }
        let told = json!({
            "schema": SCHEMA, "folder": label, "path": options.remote.as_str(), "local": target.to_string_lossy(),
            "bytes": length
        });
        let text = format!("{} → {} ({})\n", options.remote, target.display(), render::bytes(length));
        self.print(&told, |_| render::plain(text.trim_end()).into_owned() + "\n")?;
        Ok(ExitCode::Done)
    }

    pub(super) async fn put(&mut self, options: &PutOptions) -> Ended {
        let path = &options.local;
        let file = File::open(path).map_err(|source| CliError::file("read", path, source))?;
        let meta = file.metadata().map_err(|source| CliError::file("read", path, source))?;
        if !meta.is_file() {
            let message = format!("\"{}\" is not a regular file", path.display());
            return Err(CliError::usage(message, "copy a directory into the folder instead"));
        }
        let label = self.one_label(options.label.as_ref()).await?;
        let bar = copy_bar(self.terminal, self.options.quiet, options.remote.name(), meta.len());
        let body = FileBody::new(file, path, meta.len(), bar.clone());
        let sent = self.client.put(&label, options.remote.as_str(), options.force, body).await;
        bar.finish_and_clear();
        sent.map_err(|error| replaceable(error, options.force))?;
        let text = format!("{} → {} ({})", path.display(), options.remote, render::bytes(meta.len()));
        self.done(&text)
    }

    pub(super) async fn rm(&mut self, options: &RmOptions) -> Ended {
        let label = self.one_label(options.label.as_ref()).await?;
        let files = match options.paths.as_slice() {
            [only] => format!("\"{only}\""),
            several => render::many(several.len() as u64, "file"),
        };
        let question = format!("Delete {files} of {label} on the server and on every device?");
        self.confirm(&format!("to delete {files}"), &question).await?;
        for path in &options.paths {
            self.client.delete(&routes::content(&label, path.as_str())).await?;
        }
        self.done(&format!("deleted {files}"))
    }

    pub(super) async fn mv(&mut self, options: &MvOptions) -> Ended {
        let label = self.one_label(options.label.as_ref()).await?;
        let moved = MoveRequest { from: options.from.as_str().to_owned(), to: options.to.as_str().to_owned() };
        self.client.post_json::<Done>(&routes::move_file(&label), &moved).await?;
        self.done(&format!("{} → {}", options.from, options.to))
    }
}

/// Where a file is put: under the name that was given, or its own in the directory that was given or here.
fn target(options: &GetOptions) -> PathBuf {
    match &options.local {
        Some(local) if local.is_dir() => local.join(options.remote.name()),
        Some(local) => local.clone(),
        None => options.remote.name().into(),
    }
}

fn directory(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A file beside its target, gone by itself until it is installed.
fn stage(target: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".hcfs-get-")
        // Less what the user's mask takes away, as for any new file.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory(target))
}

/// Gives a complete file its name, once its bytes are on the disk.
fn install(staged: NamedTempFile, target: &Path, replace: bool) -> io::Result<()> {
    staged.as_file().sync_all()?;
    if replace {
        staged.persist(target).map_err(|error| error.error)?;
    } else {
        staged.persist_noclobber(target).map_err(|error| error.error)?;
    }
    File::open(directory(target))?.sync_all()
}

/// The daemon does not know how this program is told to replace.
fn replaceable(error: CliError, force: bool) -> CliError {
    match error {
        CliError::Api(error) if error.code == ErrorCode::Exists && !force => {
            CliError::Api(ApiError { hint: "choose another name, or replace it with --force".into(), ..error })
        }
        other => other,
    }
}
