//! A daemon with many files that are in step: how long until it says so after a start, and how long a status takes.
//!
//! Each line is a figure of the real program beside its limit. Run as `cargo xtask bench many`; `HCFS_BENCH_FILES` sets
//! the number of files (100000).
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark that cannot run stops")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use hcfs_tests::{Device, Site};
use serde_json::Value;

/// How often each thing is measured.
const TIMES: usize = 5;
const STATUSES: usize = 100;
/// How long sending the files may take.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Between two looks at a daemon that starts.
const STEP: Duration = Duration::from_millis(2);

fn main() {
    let files: u64 = std::env::var("HCFS_BENCH_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let site = Site::new();
    let mut device = site.device("many", None);
    for number in 0..files {
        device.write(&format!("{:03}/{number:06}.txt", number / 500), format!("content of {number}"));
    }
    let sent = until_idle(&mut device, files);
    println!("{files} files sent                        {:>8.0} files/s", files as f64 / sent.as_secs_f64());

    let mut statuses = measure(STATUSES, || {
        let out = device.machine.run(&["status", "--json"]).unwrap();
        assert!(out.status.success());
    });
    report(&format!("`hcfs status` with {files} files"), &mut statuses, 10.0);
    let socket = device.machine.path("run/hcfs/hcfs.sock");
    let mut answers = measure(STATUSES, || drop(status(&socket).unwrap()));
    report("the socket's answer alone", &mut answers, 10.0);

    let mut starts: Vec<Duration> = (0..TIMES)
        .map(|_| {
            device.machine.terminate();
            until_idle(&mut device, files)
        })
        .collect();
    report(&format!("start to idle, {files} files unchanged"), &mut starts, 1500.0);
}

/// Starts the daemon, and waits until it says that so many files are in step.
fn until_idle(device: &mut Device, files: u64) -> Duration {
    let socket = device.machine.path("run/hcfs/hcfs.sock");
    let begin = Instant::now();
    device.machine.spawn(&["daemon"]).unwrap();
    loop {
        let is_idle = |status: Value| status["idle"] == true && status["totals"]["synced_files"] == files;
        if status(&socket).is_some_and(is_idle) {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < PATIENCE && device.machine.is_running(), "{}", device.machine.said());
        std::thread::park_timeout(STEP);
    }
}

/// What the daemon says of itself; `None` while none answers.
fn status(socket: &Path) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: hcfs\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

fn measure(times: usize, mut act: impl FnMut()) -> Vec<Duration> {
    let timed = |_| {
        let begin = Instant::now();
        act();
        begin.elapsed()
    };
    (0..times).map(timed).collect()
}

/// The median beside what is allowed, with the best and the worst.
fn report(what: &str, found: &mut [Duration], most: f64) {
    found.sort();
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let median = millis(found[found.len() / 2]);
    let (best, worst) = (millis(found[0]), millis(found[found.len() - 1]));
    println!("{what:<45}{median:>9.1} ms = {:.2} of {most} ms ({best:.1} to {worst:.1})", median / most);
}
