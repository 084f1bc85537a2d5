//! The folder's directory: checked before every cycle, let go of when it is lost, opened again when it is back, or taken
//! anew when the user says so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hcfs_fs::{Folder, RootError, RootIdentity, Rules};
use hcfs_model::{Inode, UnixNanos};
use hcfs_plan::Hold;
use hcfs_state::{Meta, Settled};
use tokio::time::Instant;

use crate::blocking::blocking;
use crate::handle::CommandError;
use crate::holds::HERE;
use crate::session::{Session, Stop, failed};
use crate::status::EventKind;
use crate::wants::Wants;

/// How often the root is looked at while nothing happens.
const ROOT_LOOK: Duration = Duration::from_secs(10);

const MISSING: &str = "root_missing";
const EMPTY: &str = "root_empty";
const REPLACED: &str = "root_replaced";

/// Whether a hold of this kind is about the root.
fn is_about_root(kind: &str) -> bool {
    matches!(kind, MISSING | EMPTY | REPLACED)
}

/// The hold a lost root makes; `None` where no answer could help.
fn hold_of(error: &RootError) -> Option<&'static str> {
    match error {
        RootError::Missing { .. } => Some(MISSING),
        RootError::NotMounted { .. } => Some(EMPTY),
        RootError::MarkerMissing { .. } | RootError::MarkerDamaged { .. } | RootError::Replaced { .. } => {
            Some(REPLACED)
        }
        _ => None,
    }
}

/// What tells the root again. The number of the device may change with every boot.
pub(crate) fn known_root(meta: &Meta) -> Option<RootIdentity> {
    meta.root.zip(meta.root_inode).map(|(id, number)| RootIdentity { id, inode: Inode { device: 0, number } })
}

impl Session {
    /// Nothing is done in a folder that is not the one it was. One that is back is opened again.
    pub(crate) async fn recheck_root(&mut self) -> Result<(), Stop> {
        if !self.folder.is_absent() {
            let Err(error) = self.check_root().await? else { return Ok(()) };
            if !error.is_loss() || !self.folder.can_reopen() {
                return self.lost(&error);
            }
            self.let_go();
        }
        let known = known_root(&self.store.meta().map_err(Stop::state)?);
        let new_id = self.new_id()?;
        let folder = Arc::clone(&self.folder);
        let opened = blocking(Arc::clone(&self.machine), move || folder.reopen(known, new_id));
        match self.attend(opened).await? {
            Ok(folder) => self.take_root(folder),
            Err(error) => self.lost(&error),
        }
    }

    /// A drive that goes away while nothing happens makes no event, so the root is looked at from time to time; one that
    /// is lost gets a cycle, which says so.
    pub(crate) async fn look_at_root(&mut self) {
        let now = Instant::now();
        if self.paused || now < self.timers.next_root {
            return;
        }
        self.timers.next_root = now + ROOT_LOOK;
        // A cycle tries to open one that is lost again.
        if self.folder.is_absent() {
            return;
        }
        if matches!(self.check_root().await, Ok(Err(error)) if error.is_loss()) {
            self.wants.plan();
        }
    }

    async fn check_root(&mut self) -> Result<Result<(), RootError>, Stop> {
        let folder = Arc::clone(&self.folder);
        self.attend(blocking(Arc::clone(&self.machine), move || folder.recheck())).await
    }

    fn new_id(&self) -> Result<[u8; 16], Stop> {
        let bytes = self.machine.random().map_err(|error| Stop::defect(&error))?;
        Ok(std::array::from_fn(|at| bytes[at]))
    }

    /// Holds nothing open or locked in a directory that is not the folder any more.
    fn let_go(&mut self) {
        self.watcher = None;
        self.folder = Arc::new(self.folder.let_go());
    }

    /// Goes on in the directory that was opened.
    fn take_root(&mut self, folder: Folder) -> Result<(), Stop> {
        let keep = crate::start::staged_parts_of_use(&mut self.store).map_err(Stop::state)?;
        let swept = folder.sweep(&keep).unwrap_or_else(|error| {
            tracing::warn!(%error, "leftovers of an earlier run could not be cleared");
            hcfs_fs::Swept::default()
        });
        let mut meta = self.store.meta().map_err(Stop::state)?;
        meta.root = Some(folder.identity().id);
        meta.root_inode = Some(folder.identity().inode.number);
        self.store.put_meta(&meta).map_err(Stop::state)?;
        self.rules = Arc::new(Rules::new(&folder, &self.spec.ignore).map_err(|error| Stop::rules(&error))?);
        self.folder = Arc::new(folder);
        self.wants = Wants::all();
        self.settle_in();
        for path in swept.healed {
            self.tell(EventKind::State, Some(path), "put back after a replacement that did not finish".to_owned());
        }
        for (id, hold) in self.store.holds().map_err(Stop::state)? {
            if is_about_root(&hold.kind) {
                self.store.remove_hold(id).map_err(Stop::state)?;
            }
        }
        Ok(())
    }

    /// Keeps the question what is to become of a lost root, with what is at stake, and stops the folder.
    fn lost(&mut self, error: &RootError) -> Result<(), Stop> {
        let kind = hold_of(error).filter(|_| self.folder.can_reopen());
        for (id, hold) in self.store.holds().map_err(Stop::state)? {
            if is_about_root(&hold.kind) && Some(hold.kind.as_str()) != kind {
                self.store.remove_hold(id).map_err(Stop::state)?;
            }
        }
        let Some(kind) = kind else { return Err(Stop::root(error)) };
        let total = self.store.totals().map_err(Stop::state)?.synced.files;
        let examples = self.store.synced_rows().take(Hold::EXAMPLES).map(|row| row.map(|(path, _)| path));
        let hold = hcfs_state::Hold {
            kind: kind.to_owned(),
            scope: None,
            count: total,
            total,
            examples: examples.collect::<Result<_, _>>().map_err(Stop::state)?,
            at: self.clock.now(),
            accepted: None,
        };
        let id = self.store.put_hold(&hold).map_err(Stop::state)?;
        if self.told_holds.insert(id) {
            self.tell(EventKind::Held, None, format!("{error}; {total} files wait for an answer"));
        }
        let holds = self.open_holds().len() as u64;
        self.board.update(|status| status.holds = holds);
        Err(Stop::Trouble {
            state: crate::status::FolderState::Halted,
            message: error.to_string(),
            hint: format!("{}; or answer hold {id}, see `hcfs holds`", error.hint()),
        })
    }

    /// Whether a hold is about the root: its answer needs the folder to itself.
    pub(crate) fn is_root_hold(&self, id: u64) -> bool {
        self.kind_of_hold(id).is_some_and(|kind| is_about_root(&kind))
    }

    fn kind_of_hold(&self, id: u64) -> Option<String> {
        let holds = self.store.holds().unwrap_or_default();
        holds.into_iter().find(|(known, _)| *known == id).map(|(_, hold)| hold.kind)
    }

    /// Takes the directory that stands at the root now, whatever it is, as the folder. What it lacks was deleted
    /// (`accept`), or comes back from the server.
    ///
    /// The answer is recorded before the directory is opened: a restart in between goes on with it.
    pub(crate) async fn settle_root(&mut self, id: u64, accept: bool) -> Result<(), CommandError> {
        let gone = CommandError::failure_of_folder;
        let kind = self.kind_of_hold(id).filter(|kind| is_about_root(kind));
        let Some(kind) = kind else { return Err(CommandError::NoSuch { what: "hold", id }) };
        if kind == MISSING {
            let folder = Arc::clone(&self.folder);
            let made = self.attend(blocking(Arc::clone(&self.machine), move || folder.make_root())).await;
            made.map_err(gone)?.map_err(|error| failed("io", error.to_string(), &error.hint()))?;
        }
        self.let_go();
        if accept {
            self.accept_absences(HERE).map_err(gone)?;
        } else {
            self.forget_agreements().map_err(gone)?;
        }
        let mut meta = self.store.meta().map_err(|error| CommandError::state(&error))?;
        (meta.root, meta.root_inode) = (None, None);
        self.store.put_meta(&meta).map_err(|error| CommandError::state(&error))?;
        self.recheck_root().await.map_err(gone)?;
        self.look_now();
        Ok(())
    }

    /// Forgets all that was agreed: what one side lacks is new on the other, and comes back from there.
    pub(crate) fn forget_agreements(&mut self) -> Result<(), Stop> {
        let synced: Result<Vec<_>, _> = self.store.synced_rows().map(|row| row.map(|(path, _)| path)).collect();
        let forgotten = synced.map_err(Stop::state)?.into_iter().map(|path| Settled::Forgotten { path });
        self.record(&forgotten.collect::<Vec<_>>(), Vec::new())?;
        self.shrinking.begin_anew();
        Ok(())
    }

    /// Lets as many deletions of a kind pass as there are files: whoever accepts the loss of a side has been told of them.
    pub(crate) fn accept_absences(&mut self, kind: &str) -> Result<(), Stop> {
        let total = self.store.totals().map_err(Stop::state)?.synced.files;
        let at: UnixNanos = self.clock.now();
        let hold = hcfs_state::Hold {
            kind: kind.to_owned(),
            scope: None,
            count: total,
            total,
            examples: Vec::new(),
            at,
            accepted: None,
        };
        let id = self.store.put_hold(&hold).map_err(Stop::state)?;
        self.store.accept_hold(id, at).map_err(Stop::state)?;
        self.told_holds = BTreeSet::from([id]);
        Ok(())
    }
}
