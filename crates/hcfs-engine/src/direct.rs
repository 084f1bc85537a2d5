//! Commands that need the folder to themselves: dry runs, answers, and operations on the server without a local copy.

use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hcfs_crypto::pin;
use hcfs_model::{Fingerprint, Inode, LocalEntry, RelPath, RemoteEntry, UnixNanos};
use hcfs_plan::Plan;
use hcfs_state::Settled;
use tokio::sync::mpsc;

use crate::blocking::blocking;
use crate::failure::Failure;
use crate::handle::{Command, CommandError, RemoteFile};
use crate::rearrange::{Wanted, refused};
use crate::session::{Session, failed};
use crate::transfer::{UploadJob, read_range, upload};

/// How many pieces of a file that is read wait for their reader.
const PIECES: usize = 4;

impl Session {
    /// Carries out a command that waited for the folder.
    pub(crate) async fn carry_out(&mut self, command: Command) {
        match command {
            Command::DryRun(reply) => {
                let plan = self.dry_run().await;
                let _ = reply.send(plan);
            }
            Command::Resolve { id, resolution, reply } => {
                let done = self.resolve(id, resolution).await;
                let _ = reply.send(done);
            }
            Command::SettleHold { id, accept, reply } => {
                let done = self.settle_root(id, accept).await;
                let _ = reply.send(done);
            }
            Command::List { below, reply } => {
                let listed = self.listed(below.as_ref()).await;
                let _ = reply.send(listed);
            }
            Command::Read { path, bytes, reply } => {
                let file = self.read(path, bytes).await;
                let _ = reply.send(file);
            }
            Command::Put { path, source, replace, reply } => {
                let done = self.put(path, source, replace).await;
                let _ = reply.send(done);
            }
            Command::Remove { path, reply } => {
                let done = self.remove(path).await;
                let _ = reply.send(done);
            }
            Command::Move { from, to, reply } => {
                let done = self.move_there(from, to).await;
                let _ = reply.send(done);
            }
            // Answered when they came.
            _ => {}
        }
    }

    async fn dry_run(&mut self) -> Result<Plan, CommandError> {
        self.wants.remote();
        self.wants.everything_here();
        let plan = self.look_and_plan().await.map_err(CommandError::failure_of_folder)?;
        // The answer was only a look: the next cycle plans over the same.
        self.wants.plan();
        Ok(plan)
    }

    /// The server's side as it is now.
    async fn look_there(&mut self) -> Result<(), CommandError> {
        self.wants.remote();
        self.observe_there().await.map_err(CommandError::failure_of_folder)?;
        // What was seen is for the next cycle.
        self.wants.plan();
        Ok(())
    }

    async fn listed(&mut self, below: Option<&RelPath>) -> Result<Vec<(RelPath, RemoteEntry)>, CommandError> {
        self.look_there().await?;
        let mut listed = Vec::new();
        for row in self.store.remote_rows() {
            let (path, entry) = row.map_err(|error| CommandError::state(&error))?;
            if below.is_none_or(|below| path == *below || path.is_below(below)) {
                listed.push((path, entry));
            }
        }
        Ok(listed)
    }

    async fn row_there(&mut self, path: &RelPath) -> Result<RemoteEntry, CommandError> {
        self.look_there().await?;
        let row = self.store.row(path).map_err(|error| CommandError::state(&error))?;
        row.remote.ok_or_else(|| CommandError::NotFound(path.clone()))
    }

    async fn read(&mut self, path: RelPath, bytes: Option<Range<u64>>) -> Result<RemoteFile, CommandError> {
        let remote = self.row_there(&path).await?;
        let (pieces, content) = mpsc::channel(PIECES);
        let (plain, mut opened) = mpsc::channel(PIECES);
        let (tools, size) = (self.tools(), remote.size);
        tokio::spawn(async move {
            let read = read_range(&tools, &path, &remote, bytes, &plain);
            let forward = async {
                while let Some(piece) = opened.recv().await {
                    if pieces.send(Ok(piece)).await.is_err() {
                        return;
                    }
                }
            };
            tokio::pin!(read);
            let result = tokio::select! {
                result = &mut read => result,
                () = forward => return,
            };
            while let Ok(piece) = opened.try_recv() {
                let _ = pieces.send(Ok(piece)).await;
            }
            if let Err(failure) = result {
                let _ = pieces.send(Err(CommandError::failure(&path, failure))).await;
            }
        });
        Ok(RemoteFile { size, content })
    }

    async fn put(&mut self, path: RelPath, source: std::fs::File, replace: bool) -> Result<(), CommandError> {
        self.look_there().await?;
        let base = self.store.row(&path).map_err(|error| CommandError::state(&error))?.remote;
        if base.is_some() && !replace {
            return Err(CommandError::Exists(path));
        }
        let local = self.entry_of(&path, &source).await?;
        if base.as_ref().is_some_and(|base| base.hash == local.hash) {
            return Ok(());
        }
        let seq = self.next_seq(&path, base.as_ref()).map_err(CommandError::failure_of_folder)?;
        let source = Some(source);
        let job = UploadJob { path: path.clone(), local, base, seq, hint: None, source, is_beginning: false };
        let sent = self
            .attend(upload(self.tools(), job, crate::board::Progress::default()))
            .await
            .map_err(CommandError::failure_of_folder)?;
        // It may be there though the answer does not say so.
        self.wants.remote();
        let remote = sent.map_err(|failure| CommandError::failure(&path, failure))?;
        self.record(&[Settled::RemotePut { path, remote }], Vec::new()).map_err(CommandError::failure_of_folder)?;
        self.wants.remote();
        Ok(())
    }

    /// The entry of a file that is not in the folder.
    async fn entry_of(&mut self, path: &RelPath, source: &std::fs::File) -> Result<LocalEntry, CommandError> {
        let unreadable = |_| failed("io", format!("what was to be sent as \"{path}\" cannot be read"), "try again");
        let meta = source.metadata().map_err(unreadable)?;
        let file = source.try_clone().map_err(unreadable)?;
        let (account, size, threads) = (self.owner.account.clone(), meta.len(), self.machine.threads());
        let hash = self
            .attend(blocking(Arc::clone(&self.machine), move || {
                pin::hash_plain(&file, size, &account, threads, &AtomicBool::new(false))
            }))
            .await
            .map_err(CommandError::failure_of_folder)?
            .map_err(|error| CommandError::failure(path, Failure::pin(path, &error)))?;
        let fingerprint = Fingerprint {
            size,
            mtime: UnixNanos(0),
            ctime: UnixNanos(0),
            inode: Inode { device: meta.dev(), number: meta.ino() },
        };
        Ok(LocalEntry { hash, fingerprint, disk_path: None })
    }

    async fn remove(&mut self, path: RelPath) -> Result<(), CommandError> {
        let remote = self.row_there(&path).await?;
        let (server, folder) = (Arc::clone(&self.remote), self.spec.folder_hash());
        let (id, revision) = (remote.file_id, remote.revision);
        let answer = self
            .attend(async move { server.delete(folder, id, revision).await })
            .await
            .map_err(CommandError::failure_of_folder)?;
        // The tree follows when the server is asked, whatever the answer: the file here is deleted as for any other
        // device's deletion.
        self.wants.remote();
        answer.map(drop).map_err(|error| CommandError::failure(&path, Failure::remote(&path, error)))
    }

    async fn move_there(&mut self, from: RelPath, to: RelPath) -> Result<(), CommandError> {
        let remote = self.row_there(&from).await?;
        if self.store.row(&to).map_err(|error| CommandError::state(&error))?.remote.is_some() {
            return Err(CommandError::Exists(to));
        }
        let batch = [Wanted { from, to, base: remote }];
        let outcome = self.ask_renames(&batch).await.map_err(CommandError::failure_of_folder)?;
        // The trees follow when the server is asked: the file here is renamed as for any other device's rename.
        self.wants.remote();
        let [wanted] = batch;
        let outcome = outcome.map_err(|failure| CommandError::failure(&wanted.from, failure))?;
        if outcome.successes.is_empty() {
            return Err(CommandError::failure(&wanted.from, refused(&wanted, &outcome)));
        }
        Ok(())
    }
}
