//! One scenario as it is lived: devices, people, the server, and what goes wrong.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use hcfs_crypto::phrase::MasterPhrase;
use hcfs_engine::{FolderHandle, FolderState, FolderStatus, Owner};
use hcfs_model::{FileId, FolderHash, RelPath, SaltedHash};
use hcfs_remote::memory::MemoryServer;

use crate::device::{Device, Turn, label};
use crate::disk::tree::Profile;
use crate::disk::{self, Drive};
use crate::executor::{Bell, Flag};
use crate::fault::Fault;
use crate::later::Later;
use crate::ledger::Ledger;
use crate::network::{self, Hub, Wire};
use crate::scene::{Scene, locked};
use crate::script::Scenario;
use crate::steps::disk_weather;

/// Things done at one moment after which a scenario is said to go round in circles.
const STORM: usize = 200_000;

/// A command that waits for its answer.
struct Task {
    device: usize,
    flag: Arc<Flag>,
    future: Pin<Box<dyn Future<Output = String>>>,
}

pub(crate) struct World {
    pub(crate) scene: Arc<Scene>,
    later: Arc<Later>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) owner: Owner,
    pub(crate) devices: Vec<Device>,
    tasks: Vec<Task>,
    bell: Arc<Bell>,
    pub(crate) backups: Vec<MemoryServer>,
    /// Whether the server was restored from a backup: then everybody starts anew when there is peace.
    pub(crate) was_set_back: bool,
    /// Whether a version that only a trash has counts as lost.
    pub(crate) is_strict: bool,
    /// Things done since time moved last.
    busy: (u64, usize),
    pub(crate) picks: u64,
}

pub(crate) fn folder() -> FolderHash {
    FolderHash::of_label(&label())
}

/// The account of every scenario.
pub(crate) fn owner() -> Owner {
    static OWNER: std::sync::OnceLock<Owner> = std::sync::OnceLock::new();
    let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    let made = OWNER.get_or_init(|| {
        let phrase = MasterPhrase::parse(words).unwrap();
        Owner { account: phrase.account(), keys: Arc::new(phrase.folder_keys(&label())) }
    });
    made.clone()
}

impl World {
    pub(crate) fn new(scenario: &Scenario, tells: bool) -> Self {
        let setting = &scenario.setting;
        let scene = Arc::new(Scene::new(scenario.seed, tells, setting.broken));
        let later = Arc::new(Later::default());
        let owner = owner();
        let server = MemoryServer::new(owner.account.clone());
        let mut capabilities = Vec::new();
        if setting.has_tags {
            capabilities.push("state-etag");
        }
        if setting.has_conditional_delete {
            capabilities.push("conditional-delete");
        }
        if setting.has_feed {
            capabilities.push("change-feed");
        }
        if setting.has_batches {
            capabilities.extend(["batch-upload", "batch-download"]);
        }
        server.set_capabilities(&capabilities);
        if let Some(rows) = setting.page_rows {
            server.set_page_rows(rows);
        }
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let hub = Hub::new(&scene, &later, &ledger, server, setting.machines.len());
        let mut devices = Vec::new();
        for (number, machine) in setting.machines.iter().enumerate() {
            let profile = Profile { broken: setting.broken, ..machine.profile };
            let drive = Drive::new(&scene, &ledger, profile, setting.habits, number as u64 + 1);
            let traits = [
                (profile.folds_case, Fault::CaseFolding),
                (profile.reuses_inodes, Fault::ReusedInodes),
                (profile.step >= 1_000_000_000, Fault::CoarseTimes),
            ];
            traits.into_iter().filter(|(is, _)| *is).for_each(|(_, fault)| scene.fault(fault));
            let (percent, slow) = machine.network;
            let wire = Wire::new(number, &hub);
            wire.set_weather(network::Weather { percent, slow, is_down: false });
            drive.set_weather(disk_weather(machine.disk));
            devices.push(Device::new(number, drive, wire, machine, setting));
        }
        Self {
            scene,
            later,
            hub,
            ledger,
            owner,
            devices,
            tasks: Vec::new(),
            bell: Arc::default(),
            backups: Vec::new(),
            was_set_back: false,
            is_strict: setting.is_strict,
            busy: (0, 0),
            picks: 0,
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.scene.violation().is_some()
    }

    /// Starts a device; in peace nothing may keep it from that.
    pub(crate) fn start(&mut self, device: usize) -> Result<(), String> {
        let Self { devices, scene, owner, bell, .. } = self;
        devices[device].start(scene, owner, bell)
    }

    /// Does one of the things that are ready; whether there was one.
    fn pick(&mut self) -> bool {
        let now = self.scene.elapsed();
        let mut ready: Vec<(u8, usize)> = Vec::new();
        for (number, device) in self.devices.iter().enumerate().filter(|(_, device)| device.is_awake(now)) {
            let Some(running) = &device.running else { continue };
            if running.flag.is_up() {
                ready.push((0, number));
            }
            if running.process.has_work(now) {
                ready.push((1, number));
            }
            if device.drive.has_events() {
                ready.push((2, number));
            }
        }
        ready.extend(self.tasks.iter().enumerate().filter(|(_, task)| task.flag.is_up()).map(|(at, _)| (3, at)));
        if self.later.next().is_some_and(|due| due <= now) {
            ready.push((4, 0));
        }
        if ready.is_empty() {
            return false;
        }
        let (kind, number) = ready[self.scene.below(ready.len())];
        self.scene.note("pick", u64::from(kind) * 16 + number as u64, String::new);
        self.picks += 1;
        self.busy = if self.busy.0 == now { (now, self.busy.1 + 1) } else { (now, 0) };
        if self.busy.1 > STORM {
            self.scene.violate("it goes round in circles while no time goes by");
        }
        match kind {
            0 => self.poll(number),
            1 => {
                self.running(number, |running| running.process.do_work());
                if self.devices[number].drive.is_killed() {
                    self.devices[number].kill();
                }
            }
            2 => self.running(number, |running| running.process.hear()),
            3 => self.poll_task(number),
            _ => {
                if let Some(act) = self.later.take(now) {
                    act();
                }
            }
        }
        true
    }

    fn running(&self, device: usize, act: impl FnOnce(&crate::device::Running)) {
        if let Some(running) = &self.devices[device].running {
            act(running);
        }
    }

    fn poll(&mut self, number: usize) {
        match self.devices[number].poll() {
            Turn::Runs => self.look_at_status(number),
            Turn::Ended => self.scene.note("ended", number as u64, String::new),
            Turn::Panicked(text) => self.scene.violate(format!("{} panicked: {text}", self.devices[number].name)),
        }
    }

    fn poll_task(&mut self, at: usize) {
        let task = &mut self.tasks[at];
        task.flag.take_down();
        let waker = Waker::from(Arc::clone(&task.flag));
        if let Poll::Ready(answer) = task.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            let device = task.device as u64;
            drop(self.tasks.remove(at));
            self.scene.note("answer", device, || answer);
        }
    }

    /// Whatever the status says must be so.
    fn look_at_status(&mut self, number: usize) {
        let device = &mut self.devices[number];
        let Some(running) = &mut device.running else { return };
        if !running.status.has_changed().unwrap_or(false) {
            return;
        }
        let status = Arc::clone(&running.status.borrow_and_update());
        self.scene.note("status", number as u64 * 16 + status.state as u64, || format!("{} {status:?}", device.name));
        if status.state != FolderState::Idle {
            return;
        }
        let says_more = !status.problems.is_empty() || status.conflicts > 0 || status.holds > 0 || status.pending > 0;
        if says_more || status.trouble.is_some() {
            self.scene.violate(format!("{} says that it is idle, and that it is not: {status:?}", device.name));
        }
    }

    /// Where nothing is left to do and time would go by, whoever says that all is idle must be right, as far as anybody
    /// told.
    fn look_at_rest(&mut self) {
        for number in 0..self.devices.len() {
            let device = &mut self.devices[number];
            let Some(running) = &device.running else { continue };
            let is_idle = running.status.borrow().state == FolderState::Idle && running.process.next_work().is_none();
            let may_not_know = device.drive.has_events()
                || device.drive.is_unseen()
                || running.process.has_hints()
                || self.hub.has_news_for(number);
            let stand = (self.hub.changes(), device.drive.changes());
            if !is_idle || may_not_know || device.compared == Some(stand) {
                continue;
            }
            device.compared = Some(stand);
            if let Err(why) = self.compare(number) {
                self.scene.violate(format!("{} says that it is idle, but {why}", self.devices[number].name));
            }
        }
    }

    /// Whether the folder of a device is what the server has.
    pub(crate) fn compare(&self, number: usize) -> Result<(), String> {
        let device = &self.devices[number];
        let mut ledger = locked(&self.ledger);
        let mut here: BTreeMap<FileId, (RelPath, SaltedHash)> = BTreeMap::new();
        for (bytes, content) in device.drive.files() {
            let path = RelPath::from_bytes(&bytes)
                .map_err(|_| format!("\"{}\" cannot be kept in step", bytes.escape_ascii()))?;
            let hash = ledger.hash(&self.owner.account, &content);
            here.insert(FileId::of_path(path.as_str()), (path, hash));
        }
        let there = self.hub.server.files(folder());
        for (id, (path, hash)) in &here {
            match there.get(id) {
                None => return Err(format!("the server has no \"{path}\"")),
                Some(file) if file.salted_hash != *hash => return Err(format!("the server has another \"{path}\"")),
                Some(_) => {}
            }
        }
        match there.keys().find(|id| !here.contains_key(id)) {
            Some(id) => Err(format!("the server has a file {} that is not here", &id.to_hex()[..8])),
            None => Ok(()),
        }
    }

    /// Does what is ready until the time is up, and no more than `most` things.
    pub(crate) async fn live(&mut self, time: u64, most: usize) {
        let end = self.scene.elapsed() + time;
        let mut done = 0;
        while !self.has_failed() && done < most {
            if self.pick() {
                done += 1;
                continue;
            }
            self.look_at_rest();
            let now = self.scene.elapsed();
            if now >= end {
                return;
            }
            let awake = self.devices.iter().map(|device| device.suspended).filter(|until| *until > now);
            let work = self.devices.iter().filter_map(|device| device.running.as_ref()?.process.next_work());
            let next = self
                .later
                .next()
                .into_iter()
                .chain(work.filter(|due| *due > now))
                .chain(awake)
                .chain([end])
                .min()
                .unwrap_or(end);
            let (flags, bell) = (self.flags(), Arc::clone(&self.bell));
            let mut sleep = std::pin::pin!(tokio::time::sleep_until(self.scene.instant(next)));
            std::future::poll_fn(|context| {
                bell.set(context.waker());
                if flags.iter().any(|flag| flag.is_up()) { Poll::Ready(()) } else { sleep.as_mut().poll(context) }
            })
            .await;
        }
    }

    /// The flags of all that is not suspended.
    fn flags(&self) -> Vec<Arc<Flag>> {
        let now = self.scene.elapsed();
        let running =
            self.devices.iter().filter(|device| device.is_awake(now)).filter_map(|device| device.running.as_ref());
        running.map(|running| &running.flag).chain(self.tasks.iter().map(|task| &task.flag)).map(Arc::clone).collect()
    }

    /// Has a command given; its answer is only looked at by the trace.
    pub(crate) fn give(&mut self, device: usize, command: impl Future<Output = String> + 'static) {
        self.tasks.push(Task { device, flag: Flag::new(&self.bell), future: Box::pin(command) });
    }

    /// Gives a command and lives on until it is answered.
    pub(crate) async fn ask<T: 'static>(
        &mut self,
        device: usize,
        ask: impl AsyncFnOnce(FolderHandle) -> T + 'static,
    ) -> Option<T> {
        let running = self.devices[device].running.as_ref()?;
        let handle = running.handle.clone();
        let answer = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&answer);
        self.give(device, async move {
            let value = ask(handle).await;
            *locked(&slot) = Some(value);
            String::new()
        });
        for _ in 0..10_000 {
            self.live(1000, 1_000_000).await;
            let value = locked(&answer).take();
            if value.is_some() || self.has_failed() || self.devices[device].running.is_none() {
                return value;
            }
        }
        self.scene.violate(format!("{} never answers", self.devices[device].name));
        None
    }

    /// Tells a device to stop, and waits until it has.
    pub(crate) async fn stop(&mut self, number: usize) {
        let Some(running) = &self.devices[number].running else { return };
        let handle = running.handle.clone();
        self.devices[number].suspended = 0;
        self.give(number, async move {
            handle.stop().await;
            "stopped".to_owned()
        });
        for _ in 0..1000 {
            self.live(1000, usize::MAX).await;
            if self.devices[number].running.is_none() || self.has_failed() {
                return;
            }
        }
        self.scene.violate(format!("{} does not stop", self.devices[number].name));
    }

    /// Ends all that goes wrong, and starts what stands still.
    pub(crate) async fn make_peace(&mut self) {
        self.scene.note("peace", 0, String::new);
        self.hub.server.set_quota(None);
        // What is on its way arrives, at whatever time whoever asked for it gave it up.
        while let Some(act) = self.later.take(u64::MAX) {
            act();
            self.hub.changed(None);
        }
        for number in 0..self.devices.len() {
            let device = &mut self.devices[number];
            device.wire.set_weather(network::Weather::default());
            device.wire.set_stale(None);
            device.drive.set_weather(disk::Weather::default());
            device.drive.mount(false);
            device.drive.call_off();
            device.drive.set_skew(0);
            device.suspended = 0;
            let hearing = std::mem::take(&mut device.hearing);
            if hearing.is_deaf || hearing.is_limited || self.was_set_back {
                self.stop(number).await;
            }
            if let Err(why) = self.start(number) {
                self.scene.violate(format!("{} cannot be started: {why}", self.devices[number].name));
            }
        }
    }

    /// The status of a device after it looked at everything.
    pub(crate) async fn sync(&mut self, device: usize) -> Option<Arc<FolderStatus>> {
        self.ask(device, async |handle: FolderHandle| {
            handle.resume().await.ok()?;
            handle.sync().await.ok()
        })
        .await?
    }
}

/// Runs what may not panic.
pub(crate) fn guarded<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| crate::device::words(&*panic).unwrap_or_default())
}
