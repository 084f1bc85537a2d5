//! One device: its drive and database, and the process that keeps its folder in step, if one runs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use hcfs_engine::plan::{MaxDelete, Mode, Resolution};
use hcfs_engine::{Ended, FolderHandle, FolderSpec, FolderStatus, Ground, Owner, StartError, open};
use hcfs_model::FolderLabel;
use hcfs_state::Identity;
use tokio::sync::watch;

use crate::database::Database;
use crate::disk::{Drive, Killed};
use crate::executor::{Bell, Flag};
use crate::fault::Fault;
use crate::network::Wire;
use crate::process::{Given, Hearing, Process};
use crate::scene::Scene;
use crate::script::{Machine, Setting};

type Life = Pin<Box<dyn Future<Output = Result<Ended, StartError>>>>;

/// A process that keeps the folder in step.
pub(crate) struct Running {
    life: Life,
    pub(crate) flag: Arc<Flag>,
    pub(crate) handle: FolderHandle,
    pub(crate) status: watch::Receiver<Arc<FolderStatus>>,
    pub(crate) process: Arc<Process>,
}

pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) drive: Arc<Drive>,
    pub(crate) database: Database,
    pub(crate) wire: Arc<Wire>,
    pub(crate) running: Option<Running>,
    /// Until when it is suspended.
    pub(crate) suspended: u64,
    /// What the server and the drive had been through when they were compared last.
    pub(crate) compared: Option<(usize, u64)>,
    pub(crate) hearing: Hearing,
    spec: FolderSpec,
}

/// What became of a device that was driven.
pub(crate) enum Turn {
    /// It goes on.
    Runs,
    /// The process has ended.
    Ended,
    /// The program is wrong.
    Panicked(String),
}

pub(crate) fn label() -> FolderLabel {
    FolderLabel::new("documents").unwrap()
}

fn spec(name: &str, machine: &Machine, setting: &Setting) -> FolderSpec {
    FolderSpec {
        label: label(),
        root: PathBuf::from("/folder"),
        database: PathBuf::from("/state.db"),
        device: name.to_owned(),
        mode: Mode::Sync,
        conflicts: if setting.asks { Resolution::Skip } else { Resolution::KeepBoth },
        max_delete: match setting.max_delete {
            Some(files) => MaxDelete { files, percent: 25 },
            None => MaxDelete { files: 1_000_000, percent: 100 },
        },
        ignore: Vec::new(),
        share_paths: setting.share_paths,
        trash_days: 30,
        trash_bytes: u64::MAX,
        transfers: machine.transfers,
        poll_seconds: 30,
    }
}

/// What a panic says; `None` for a process that was killed.
pub(crate) fn words(panic: &(dyn Any + Send)) -> Option<String> {
    if panic.is::<Killed>() {
        return None;
    }
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    Some(text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned()))
}

impl Device {
    pub(crate) fn new(number: usize, drive: Arc<Drive>, wire: Arc<Wire>, machine: &Machine, setting: &Setting) -> Self {
        let name = ["anna", "bert", "cleo", "dora"][number].to_owned();
        let spec = spec(&name, machine, setting);
        Self {
            name,
            drive,
            database: Database::default(),
            wire,
            running: None,
            suspended: 0,
            compared: None,
            hearing: machine.hearing,
            spec,
        }
    }

    fn ground(&self, database: &Database, owner: &Owner, process: &Arc<Process>) -> Result<Ground, String> {
        let identity = Identity { account: owner.account.clone(), folder: self.spec.folder_hash() };
        let opened = database.open(&identity).map_err(|error| error.to_string())?;
        Ok(Ground {
            database: opened,
            disk: self.drive.open(),
            remote: Arc::clone(&self.wire) as _,
            clock: Arc::clone(process) as _,
            machine: Arc::new(Given(Arc::clone(process))),
        })
    }

    /// Starts the folder; says why not.
    pub(crate) fn start(&mut self, scene: &Arc<Scene>, owner: &Owner, bell: &Arc<Bell>) -> Result<(), String> {
        if self.running.is_some() {
            return Ok(());
        }
        let process = Process::new(scene, &self.drive, self.hearing);
        let database = self.database.clone();
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let ground = self.ground(&database, owner, &process)?;
            open(self.spec.clone(), owner.clone(), ground).map_err(|error| error.to_string())
        }));
        let (handle, folder) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(why)) => {
                self.drive.end_processes();
                return Err(why);
            }
            Err(panic) => {
                self.drive.end_processes();
                return Err(match words(&*panic) {
                    None => "killed while it started".to_owned(),
                    Some(text) => {
                        scene.violate(format!("{} panicked while it started: {text}", self.name));
                        text
                    }
                });
            }
        };
        let status = handle.status();
        let life = Box::pin(folder.live());
        self.running = Some(Running { life, flag: Flag::new(bell), handle, status, process });
        Ok(())
    }

    /// A second process tries to keep the same folder in step; it must be refused.
    pub(crate) fn start_second(&self, scene: &Arc<Scene>, owner: &Owner) {
        scene.fault(Fault::SecondInstance);
        let process = Process::new(scene, &self.drive, self.hearing);
        for database in [self.database.clone(), Database::default()] {
            let tried = catch_unwind(AssertUnwindSafe(|| {
                let ground = self.ground(&database, owner, &process).ok()?;
                open(self.spec.clone(), owner.clone(), ground).ok()
            }));
            self.drive.end_others();
            if let Ok(Some(_)) = tried {
                scene.violate(format!("a second process was let into the folder of {}", self.name));
            }
        }
    }

    /// Ends the process where it is, as a kill does.
    pub(crate) fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.process.end();
            self.drive.end_processes();
            // What it holds unwinds where it still wants something of the disk.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(running)));
        }
        self.drive.end_processes();
    }

    pub(crate) fn is_awake(&self, now: u64) -> bool {
        now >= self.suspended
    }

    /// Lets the process go on.
    pub(crate) fn poll(&mut self) -> Turn {
        let Some(running) = &mut self.running else { return Turn::Ended };
        running.flag.take_down();
        let waker = Waker::from(Arc::clone(&running.flag));
        let mut context = Context::from_waker(&waker);
        match catch_unwind(AssertUnwindSafe(|| running.life.as_mut().poll(&mut context))) {
            Ok(Poll::Pending) => Turn::Runs,
            Ok(Poll::Ready(Ok(ended))) => {
                if let Some(running) = self.running.take() {
                    running.process.finish();
                }
                let closed = catch_unwind(AssertUnwindSafe(|| ended.close()));
                if closed.is_ok() {
                    self.database.closed();
                }
                self.drive.end_processes();
                Turn::Ended
            }
            Ok(Poll::Ready(Err(error))) => {
                self.kill();
                Turn::Panicked(format!("it ended: {error}"))
            }
            Err(panic) => {
                let words = words(&*panic);
                self.kill();
                words.map_or(Turn::Ended, Turn::Panicked)
            }
        }
    }
}
