//! Drives that are full, read-only, pulled out or broken, under the folder of the real program.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use hcfs_testkit::{bytes, files_below};
use hcfs_tests::{Device, Drive, Site, has_drives};
use serde_json::Value;

/// A device whose folder lies on a drive, and another one.
struct Pair {
    drive: Drive,
    _site: Site,
    other: Device,
    device: Device,
}

impl Pair {
    fn new(mib: u64) -> Self {
        let site = Site::new();
        let other = site.device("other", None);
        let mut device = site.device("driven", Some(&other.words()));
        let drive = Drive::over(&device.folder, mib, "").unwrap();
        other.write("letter", "dear all");
        other.sync();
        device.look_often();
        device.machine.spawn(&["daemon"]).unwrap();
        let _ = device.machine.until_idle(1);
        Self { drive, _site: site, other, device }
    }

    /// The code and the path of every problem.
    fn problems(&self) -> BTreeMap<String, String> {
        let out = self.device.machine.run(&["problems", "--json"]).unwrap();
        let list: Value = serde_json::from_slice(&out.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        list["problems"].as_array().unwrap().iter().map(|one| (text(&one["path"]), text(&one["code"]))).collect()
    }

    fn until_state(&self, state: &str) {
        let _ = self.device.machine.until(state, |status| status["folders"][0]["state"] == state);
    }

    /// Both come to rest with the same files, and nothing is left over.
    fn agree(&self) {
        for _ in 0..10 {
            self.other.sync();
            let synced = self.device.machine.run(&["sync", "--timeout", "60"]).unwrap();
            if synced.status.success() && self.device.tree() == self.other.tree() {
                assert!(files_below(&self.device.folder.join(".hcfs/staged"), |_| true).is_empty());
                return;
            }
        }
        panic!("they do not agree: {:#?}", self.device.machine.status());
    }
}

/// Writes a file until nothing more fits: what is written late may fit where what is written at once does not.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for piece in [1 << 20, 4096, 4096, 4096] {
        while file.write_all(&vec![1; piece]).is_ok() {}
        // It fails where the last of it does not fit.
        let _ = file.sync_all();
    }
}

#[test]
fn a_full_drive_takes_what_fits_and_sends_what_it_has() {
    if !has_drives() {
        return;
    }
    let pair = Pair::new(16);
    pair.other.write("large", bytes(20 << 20, 1));
    pair.other.write("small", "fits");
    pair.other.sync();
    let _ = pair
        .device
        .machine
        .until("a problem", |status| status["totals"]["problems"] == 1 && status["totals"]["synced_files"] == 2);
    assert_eq!(pair.problems(), BTreeMap::from([("large".to_owned(), "disk_full".to_owned())]));
    pair.device.write("from here", "goes on");
    pair.other.write("large", bytes(2 << 20, 2));
    pair.agree();
    assert_eq!(pair.other.tree()["from here"], b"goes on");
    // Now it is really full, to the last block.
    let filler = pair.device.machine.path("docs/filler");
    fill(&filler);
    let long = bytes(300_000, 3);
    pair.other.write("letter", &long);
    pair.other.sync();
    let _ = pair.device.machine.until("problems", |status| status["totals"]["problems"].as_u64() > Some(0));
    assert_eq!(pair.device.tree()["letter"], b"dear all");
    std::fs::remove_file(filler).unwrap();
    pair.agree();
    assert_eq!(pair.device.tree()["letter"], long);
}

#[test]
fn a_read_only_drive_is_left_as_it_is_until_it_can_be_written() {
    if !has_drives() {
        return;
    }
    let mut pair = Pair::new(16);
    // A drive that is written to cannot be made read-only.
    pair.device.machine.kill();
    pair.drive.remount("ro").unwrap();
    pair.device.machine.spawn(&["daemon"]).unwrap();
    pair.other.write("letter", "dear all, again");
    pair.other.write("new", "new");
    pair.other.sync();
    let _ = pair.device.machine.until("trouble", |status| status["folders"][0]["trouble"].is_object());
    let synced = pair.device.machine.run(&["sync", "--timeout", "10"]).unwrap();
    assert!(!synced.status.success());
    assert_eq!(pair.device.tree(), BTreeMap::from([("letter".to_owned(), b"dear all".to_vec())]));
    pair.drive.remount("rw").unwrap();
    pair.agree();
    assert_eq!(pair.device.tree().len(), 2);
}

#[test]
fn a_drive_that_is_pulled_out_deletes_nothing() {
    if !has_drives() {
        return;
    }
    let mut pair = Pair::new(16);
    for number in 0..50 {
        pair.other.write(&format!("d/{number}"), format!("{number}"));
    }
    pair.agree();
    let whole = pair.other.tree();
    pair.drive.unplug().unwrap();
    pair.until_state("halted");
    // What somebody puts where the drive was is not taken for the folder.
    pair.device.write("stray", "not of the folder");
    pair.device.machine.kill();
    pair.device.machine.spawn(&["daemon"]).unwrap();
    pair.until_state("halted");
    pair.other.sync();
    assert_eq!(pair.other.tree(), whole);
    pair.drive.plug().unwrap();
    pair.other.write("meanwhile", "somebody went on");
    pair.agree();
    assert_eq!(pair.device.tree().len(), 52);
}
