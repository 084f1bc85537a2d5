//! A small world that plans are run in: devices with a disk, a synced tree and a trash, and one server.
//!
//! Every action is refused, as a violation, if its guard does not hold when its turn comes, or if a disk could not do
//! it. Actions of a stage that claims no order are run in any order. With `HCFS_TRACE` set, what is run is printed.
#![allow(dead_code, reason = "every test uses a part of the model")]

use std::collections::{BTreeMap, BTreeSet};

use hcfs_model::{LocalEntry, RelPath, RemoteEntry, Rows};
use hcfs_plan::{Action, Base, Context, Plan};
use hcfs_testkit::{Agreed, File, LocalTree, RemoteTree, Rng, SyncedTree, Trees, Version, join};

pub(crate) mod properties;

/// What a property found broken.
pub(crate) type Violation = String;

#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    pub(crate) rows: RemoteTree,
    pub(crate) versions: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) local: LocalTree,
    pub(crate) synced: SyncedTree,
    pub(crate) trash: BTreeSet<u8>,
    pub(crate) inodes: u64,
}

/// How far a plan is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Whole,
    /// So many actions; of the last one only the effect, not its record in the database.
    Killed(usize),
}

macro_rules! ensure {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(format!($($text)*));
        }
    };
}
pub(crate) use ensure;

impl Device {
    pub(crate) fn of(name: &str, trees: &Trees) -> (Self, Server) {
        let device = Self {
            name: name.to_owned(),
            local: trees.local.clone(),
            synced: trees.synced.clone(),
            trash: BTreeSet::new(),
            inodes: trees.inodes + 1000,
        };
        (device, Server { rows: trees.remote.clone(), versions: trees.versions })
    }

    pub(crate) fn rows(&self, server: &Server) -> Rows {
        join(&self.local, &server.rows, &self.synced)
    }

    pub(crate) fn context(&self, server: &Server) -> Context {
        let mut context =
            Context { baseline: true, device: self.name.clone(), date: "2025-01-31".into(), ..Context::default() };
        for path in self.synced.keys() {
            context.totals.files += 1;
            if let Some((top, _)) = path.as_str().split_once('/') {
                *context.totals.top.entry(top.to_owned()).or_default() += 1;
            }
        }
        let known = self.local.keys().chain(server.rows.keys()).chain(self.synced.keys());
        context.reserved = known.filter(|path| hcfs_plan::is_reserved(path)).cloned().collect();
        context
    }

    fn record(&mut self, path: &RelPath, version: Version) {
        let inode = self.local.get(path).map(|file| file.inode);
        self.synced.insert(path.clone(), Agreed { version, inode });
    }

    /// A place on disk where a file can be made.
    fn ensure_free(&self, path: &RelPath) -> Result<(), Violation> {
        ensure!(!self.local.contains_key(path), "{path}: a file is there");
        for above in path.ancestors() {
            ensure!(!self.local.contains_key(&above), "{path}: {above} is a file");
        }
        let below = self.local.keys().find(|other| other.is_below(path));
        ensure!(below.is_none(), "{path}: it is a directory with {below:?}");
        Ok(())
    }

    fn expect_local(&self, path: &RelPath, entry: &LocalEntry) -> Result<File, Violation> {
        let file = self.local.get(path).copied();
        match file {
            Some(file) if hcfs_testkit::local(file.content, file.inode).hash == entry.hash => {
                ensure!(file.inode == entry.fingerprint.inode.number, "{path}: another file");
                Ok(file)
            }
            other => Err(format!("{path}: {other:?} on disk is not what was planned on")),
        }
    }

    /// Runs a plan.
    pub(crate) fn run(&mut self, plan: &Plan, server: &mut Server, how: Run, rng: &mut Rng) -> Result<(), Violation> {
        let mut left = match how {
            Run::Whole => usize::MAX,
            Run::Killed(after) => after,
        };
        for stage in &plan.stages {
            ensure!(!stage.actions.is_empty(), "{:?} has no actions", stage.kind);
            let mut actions: Vec<&Action> = stage.actions.iter().collect();
            if !stage.kind.is_ordered() {
                rng.shuffle(&mut actions);
            }
            for action in actions {
                if left == 0 {
                    return Ok(());
                }
                left -= 1;
                if std::env::var_os("HCFS_TRACE").is_some() {
                    println!("{}: {}", self.name, brief(action));
                }
                let before = self.synced.clone();
                self.act(action, server).map_err(|error| format!("{action:?}: {error}"))?;
                if left == 0 {
                    self.synced = before;
                }
            }
        }
        Ok(())
    }

    fn act(&mut self, action: &Action, server: &mut Server) -> Result<(), Violation> {
        match action {
            Action::Adopt { path, local, remote } => {
                self.expect_local(path, local)?;
                let version = server.expect(path, remote)?;
                self.record(path, version);
            }
            Action::Forget { path } => {
                self.synced.remove(path);
            }
            Action::SetAside { path, to, local } => {
                let file = self.expect_local(path, local)?;
                self.ensure_free(to)?;
                self.local.remove(path);
                self.local.insert(to.clone(), file);
            }
            Action::RenameRemote { from, to, base } => self.rename_remote(from, to, base, server)?,
            Action::RenameLocal { from, to, local, remote } => {
                let file = self.expect_local(from, local)?;
                self.local.remove(from);
                self.ensure_free(to)?;
                self.local.insert(to.clone(), file);
                self.synced.remove(from);
                if let Some(remote) = remote {
                    let version = server.expect(to, remote)?;
                    ensure!(version.content == file.content, "{to}: another content than the server's");
                    self.record(to, version);
                }
            }
            Action::Upload { path, local, base } => {
                let file = self.expect_local(path, local)?;
                server.expect_base(path, base)?;
                let version = server.put(path, file.content);
                self.record(path, version);
            }
            Action::Download { path, remote, replaces } => {
                let version = server.expect(path, remote)?;
                if let Some(entry) = replaces {
                    let old = self.expect_local(path, entry)?;
                    self.trash.insert(old.content);
                    self.local.remove(path);
                }
                self.ensure_free(path)?;
                self.inodes += 1;
                self.local.insert(path.clone(), File { content: version.content, inode: self.inodes });
                self.record(path, version);
            }
            Action::DeleteRemote { path, remote } => {
                server.expect(path, remote)?;
                server.rows.remove(path);
                self.synced.remove(path);
            }
            Action::DeleteLocal { path, local } => {
                let file = self.expect_local(path, local)?;
                self.trash.insert(file.content);
                self.local.remove(path);
                self.synced.remove(path);
            }
        }
        Ok(())
    }

    fn rename_remote(
        &mut self,
        from: &RelPath,
        to: &RelPath,
        base: &Base,
        server: &mut Server,
    ) -> Result<(), Violation> {
        server.expect_base(from, base)?;
        ensure!(!server.rows.contains_key(to), "{to}: the server has a row there");
        let Some(old) = server.rows.remove(from) else { return Err(format!("{from}: no row to rename")) };
        server.versions += 1;
        let version = Version { content: old.content, seq: old.seq + 1, id: server.versions };
        server.rows.insert(to.clone(), version);
        self.synced.remove(from);
        if self.local.contains_key(to) {
            self.record(to, version);
        }
        Ok(())
    }
}

impl Server {
    fn put(&mut self, path: &RelPath, content: u8) -> Version {
        self.versions += 1;
        let seq = self.rows.get(path).map_or(1, |old| old.seq + 1);
        let version = Version { content, seq, id: self.versions };
        self.rows.insert(path.clone(), version);
        version
    }

    fn expect(&self, path: &RelPath, entry: &RemoteEntry) -> Result<Version, Violation> {
        match self.rows.get(path) {
            Some(version) if hcfs_testkit::revision(version.seq, version.id) == entry.revision => Ok(*version),
            other => Err(format!("{path}: {other:?} on the server is not what was planned on")),
        }
    }

    fn expect_base(&self, path: &RelPath, base: &Base) -> Result<(), Violation> {
        match base {
            Base::New => ensure!(!self.rows.contains_key(path), "{path}: not new on the server"),
            Base::At(entry) => {
                self.expect(path, entry)?;
            }
            Base::AfterRename(_) => ensure!(self.rows.contains_key(path), "{path}: nothing was renamed to here"),
        }
        Ok(())
    }

    /// Contents by path.
    pub(crate) fn contents(&self) -> BTreeMap<&RelPath, u8> {
        self.rows.iter().map(|(path, version)| (path, version.content)).collect()
    }
}

/// The plan, one line an action, with the stage before it.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    let stages = plan.stages.iter().flat_map(|stage| stage.actions.iter().map(move |action| (stage.kind, action)));
    stages.map(|(kind, action)| format!("{kind:?}: {}", brief(action))).collect()
}

fn over(base: &Base) -> String {
    match base {
        Base::New => "new".into(),
        Base::At(entry) => format!("over {}", entry.revision.seq),
        Base::AfterRename(from) => format!("after {from}"),
    }
}

/// An action without its entries.
fn brief(action: &Action) -> String {
    match action {
        Action::Adopt { path, .. } => format!("adopt {path}"),
        Action::Forget { path } => format!("forget {path}"),
        Action::SetAside { path, to, .. } => format!("set aside {path} as {to}"),
        Action::RenameRemote { from, to, base } => format!("rename there {from} to {to}, {}", over(base)),
        Action::RenameLocal { from, to, .. } => format!("rename here {from} to {to}"),
        Action::Upload { path, base, .. } => format!("upload {path}, {}", over(base)),
        Action::Download { path, replaces: None, .. } => format!("download {path}"),
        Action::Download { path, .. } => format!("download {path}, replacing"),
        Action::DeleteRemote { path, .. } => format!("delete there {path}"),
        Action::DeleteLocal { path, .. } => format!("delete here {path}"),
    }
}
