//! Carrying out the steps of a scenario.

use std::sync::Arc;

use hcfs_engine::FolderHandle;
use hcfs_engine::plan::Resolution;
use hcfs_model::{FileId, RelPath};

use crate::disk;
use crate::fault::Fault;
use crate::network;
use crate::script::{DiskWeather, Order, Step, What};
use crate::world::World;

impl World {
    /// Gives a command; its answer is only looked at by the trace.
    fn order(&mut self, device: usize, order: Order) {
        let Some(running) = &self.devices[device].running else { return };
        let (handle, chance) = (running.handle.clone(), self.scene.number());
        let path = self.some_path(device);
        self.scene
            .note("order", device as u64 * 16 + order as u64, || format!("{} {order:?}", self.devices[device].name));
        if matches!(order, Order::Pause) {
            self.scene.fault(Fault::Paused);
        }
        if let (Order::Remove, Some(path)) = (order, &path) {
            self.hub.told_to_delete(device, FileId::of_path(path.as_str()));
        }
        self.give(device, carry_out(handle, order, chance, path));
    }

    fn some_path(&self, device: usize) -> Option<RelPath> {
        let files = self.devices[device].drive.files();
        let (path, _) = files.get(self.scene.below(files.len()))?;
        RelPath::from_bytes(path).ok()
    }

    /// Carries out a step.
    pub(crate) async fn step(&mut self, step: &Step) {
        self.scene.roll(step.seed);
        let number = step.device;
        self.scene.note("step", number as u64, || format!("{} {:?}", self.devices[number].name, step.what));
        let scene = Arc::clone(&self.scene);
        let device = &mut self.devices[number];
        match step.what {
            What::Act(times) => {
                for _ in 0..times {
                    device.drive.act(scene.number());
                }
            }
            What::Race(calls) => device.drive.race_in(calls, scene.number()),
            What::Go(things) => self.live(2_000, things).await,
            What::Wait(time) => self.live(time, usize::MAX).await,
            What::Order(order) => self.order(number, order),
            What::Start => {
                if let Err(why) = self.start(number) {
                    scene.note("not started", number as u64, || why);
                }
            }
            What::Stop if device.running.is_some() => {
                scene.fault(Fault::Stopped);
                self.stop(number).await;
            }
            What::Kill if device.running.is_some() => {
                scene.fault(Fault::KillAtAwait);
                device.kill();
            }
            What::KillAt(calls) if device.running.is_some() => device.drive.kill_in(Some(calls)),
            What::LosePower => {
                device.kill();
                device.drive.lose_power();
            }
            What::Suspend(time) => {
                scene.fault(Fault::Suspended);
                device.suspended = scene.elapsed() + time;
            }
            What::SecondInstance
                if device.drive.is_mounted() && device.drive.is_held() && !device.drive.is_killed() =>
            {
                device.start_second(&self.scene, &self.owner);
            }
            What::Clock(seconds) => {
                scene.fault(if seconds < 0 { Fault::ClockBack } else { Fault::ClockForward });
                device.drive.set_skew(seconds * 1_000_000_000);
            }
            What::Stop | What::Kill | What::KillAt(_) | What::SecondInstance => {}
            what => self.weather(number, what),
        }
    }

    /// Changes what a device meets, or what it stands on.
    fn weather(&mut self, number: usize, what: What) {
        let scene = Arc::clone(&self.scene);
        let device = &mut self.devices[number];
        match what {
            What::Disk(weather) => device.drive.set_weather(disk_weather(weather)),
            What::Network { percent, slow } => {
                device.wire.set_weather(network::Weather { percent, slow, is_down: false });
                device.wire.set_stale(None);
            }
            What::Down => device.wire.set_weather(network::Weather { is_down: true, ..network::Weather::default() }),
            What::Stale => device.wire.set_stale(self.backups.last()),
            What::Backup => self.backups.push(self.hub.server.backup()),
            What::Rollback => {
                if let Some(backup) = self.backups.last() {
                    scene.fault(Fault::Rollback);
                    self.hub.server.restore(backup);
                    self.hub.set_back();
                    self.was_set_back = true;
                }
            }
            What::Quota(bytes) => {
                scene.fault(Fault::FullAccount);
                self.hub.server.set_quota(Some(bytes));
            }
            What::Unmount => {
                scene.fault(Fault::Unmounted);
                device.drive.unmount();
            }
            What::Replace => {
                scene.fault(Fault::Replaced);
                device.drive.mount(true);
            }
            What::Unplug => {
                scene.fault(Fault::Unplugged);
                device.drive.set_weather(disk::Weather { is_unplugged: true, ..disk::Weather::default() });
            }
            What::Mount => {
                device.drive.mount(false);
                device.drive.set_weather(disk::Weather::default());
            }
            What::CopyDatabase => {
                device.kill();
                device.database.copy();
            }
            What::LoseDatabase => {
                device.kill();
                scene.fault(Fault::DatabaseLost);
                device.database.lose();
            }
            What::OldDatabase => {
                device.kill();
                if device.database.restore(scene.below(8)) {
                    scene.fault(Fault::DatabaseOld);
                }
            }
            What::DamageDatabase => {
                device.kill();
                if device.database.damage(scene.below(8)) {
                    scene.fault(Fault::DatabaseCorrupt);
                }
            }
            _ => {}
        }
    }
}

pub(crate) fn disk_weather(weather: DiskWeather) -> disk::Weather {
    let fine = disk::Weather::default();
    match weather {
        DiskWeather::Fine => fine,
        DiskWeather::Errors => disk::Weather { errors: 40, ..fine },
        DiskWeather::Denials => disk::Weather { denials: 40, ..fine },
        DiskWeather::Full => disk::Weather { is_full: true, ..fine },
        DiskWeather::ReadOnly => disk::Weather { is_read_only: true, ..fine },
    }
}

/// A choice among the ways a conflict can end.
pub(crate) fn some_way(chance: u64) -> Resolution {
    [Resolution::KeepLocal, Resolution::AcceptRemote, Resolution::KeepBoth, Resolution::KeepBoth][(chance % 4) as usize]
}

async fn carry_out(handle: FolderHandle, order: Order, chance: u64, path: Option<RelPath>) -> String {
    match order {
        Order::Scan => format!("{:?}", handle.scan(false).await),
        Order::FullScan => format!("{:?}", handle.scan(true).await),
        Order::Sync => format!("{:?}", handle.sync().await.map(|status| status.state)),
        Order::Pause => format!("{:?}", handle.pause().await),
        Order::Resume => format!("{:?}", handle.resume().await),
        Order::DryRun => format!("{:?}", handle.dry_run().await.map(|plan| plan.actions().count())),
        Order::Resolve => match handle.conflicts().await.unwrap_or_default().first() {
            Some(open) => format!("{:?}", handle.resolve(open.id, some_way(chance)).await),
            None => "no conflicts".to_owned(),
        },
        Order::SettleHold => match handle.holds().await.unwrap_or_default().first() {
            Some(open) => format!("{:?}", handle.settle_hold(open.id, chance.is_multiple_of(2)).await),
            None => "no holds".to_owned(),
        },
        Order::Remove | Order::Move => {
            let Some(path) = path else { return "no files".to_owned() };
            if let Order::Move = order {
                let to = path.with_name("moved there").unwrap();
                return format!("{:?}", handle.rename(path, to).await);
            }
            format!("{:?}", handle.remove(path).await)
        }
    }
}
