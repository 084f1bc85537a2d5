//! The daemon against its limits: memory while a large file moves, work while nothing moves, the cost of a poll.
//!
//! Each line is a figure beside its limit or its peer, from one run of the real program. Run as
//! `cargo xtask bench daemon`; `HCFS_BENCH_MIB` sets the size of the large file (1024).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark that cannot run stops"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hcfs_tests::Machine;

const FILES: u64 = 10_000;
/// How long idle daemons are looked at.
const QUIET: Duration = Duration::from_secs(20);
/// After which a daemon that became idle has ended the threads it no longer needs.
const SETTLED: Duration = Duration::from_secs(12);
const POLL: u64 = 2;

fn main() {
    let mib: u64 = std::env::var("HCFS_BENCH_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(1024);
    let mut server = Machine::new().unwrap();
    let url = server.serve(&server.path("data"), "127.0.0.1:0").unwrap();
    let requests = Arc::new(AtomicU64::new(0));
    let url = counting_proxy(&url, Arc::clone(&requests));

    let mut a = Device::new("a", &server, &url, None);
    let copied = write_large(&a.folder.join("large"), mib << 20);
    println!("cp with fsync of {mib} MiB                {:>8.0} MB/s", rate(mib, copied));
    let (pid, took) = a.start(1);
    report_moved("up", mib, took, copied);
    limit("memory of the daemon while it goes up", high_water(pid), 64.0, "MiB");

    let mut b = Device::new("b", &server, &url, Some(&a));
    let (pid, took) = b.start(1);
    report_moved("down", mib, took, copied);
    limit("memory of the daemon while it goes down", high_water(pid), 64.0, "MiB");
    b.machine.kill();
    a.machine.kill();

    let mut c = Device::new("c", &server, &url, None);
    for number in 0..FILES {
        let directory = c.folder.join(format!("{}", number / 100));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{number}")), format!("content of {number}")).unwrap();
    }
    let (pid, took) = c.start(FILES);
    println!("{FILES} files sent                        {:>8.0} files/s", FILES as f64 / took.as_secs_f64());
    wait(SETTLED);
    let before = (requests.load(Ordering::Relaxed), Work::of(pid));
    wait(QUIET);
    let after = (requests.load(Ordering::Relaxed), Work::of(pid));
    let polls = (QUIET.as_secs() / POLL) as f64;
    let each = |before: u64, after: u64| (after - before) as f64 / polls;
    limit("requests per poll of an unchanged folder", each(before.0, after.0), 1.1, "");
    limit("bytes read per poll, the server's answer included", each(before.1.read, after.1.read), 4096.0, "bytes");
    limit("bytes written to disk while idle", (after.1.written - before.1.written) as f64, 0.0, "bytes");
    println!("wakes of all threads, a poll every {POLL} s        {:>10.2} /s", after.1.wakes_since(&before.1));
    c.machine.kill();

    c.set_poll(3600);
    let (pid, _) = c.start(FILES);
    wait(SETTLED);
    let before = Work::of(pid);
    wait(QUIET);
    let after = Work::of(pid);
    limit("wakes of all threads between polls", after.wakes_since(&before), 1.0, "/s");
    limit("bytes written to disk between polls", (after.written - before.written) as f64, 0.0, "bytes");
}

struct Device {
    machine: Machine,
    folder: PathBuf,
    account: String,
}

impl Device {
    fn new(name: &str, server: &Machine, url: &str, like: Option<&Self>) -> Self {
        let machine = Machine::new().unwrap();
        let folder = machine.path("folder");
        std::fs::create_dir(&folder).unwrap();
        let token = machine.path("token");
        std::fs::write(&token, "none yet").unwrap();
        let mut arguments = vec!["init", "--yes", "--device", name, "--label", "bench", "--server", url];
        arguments.extend(["--folder", text(&folder), "--token-file", text(&token)]);
        let words = like.map(|like| like.machine.path(".local/state/hcfs/recovery-phrase.txt"));
        if let Some(words) = &words {
            arguments.extend(["--mnemonic-file", text(words)]);
        }
        assert!(machine.run(&arguments).unwrap().status.success());
        let account = String::from_utf8(machine.run(&["key", "show-account"]).unwrap().stdout).unwrap();
        let account = account.trim().to_owned();
        let data = server.path("data");
        let made = server.run(&["server", "token", "create", "--account", &account, "--data", text(&data)]).unwrap();
        std::fs::write(&token, made.stdout).unwrap();
        let device = Self { machine, folder, account };
        device.set_poll(POLL);
        device
    }

    fn set_poll(&self, seconds: u64) {
        let config = self.machine.path(".config/hcfs/config.toml");
        let old = std::fs::read_to_string(&config).unwrap();
        let kept: Vec<_> = old.lines().filter(|line| !line.starts_with("poll_seconds")).collect();
        let new = kept.join("\n").replace("[server]", &format!("[server]\npoll_seconds = {seconds}"));
        std::fs::write(config, new + "\n").unwrap();
    }

    /// Starts the daemon and waits until it is idle with so many files.
    fn start(&mut self, files: u64) -> (u32, Duration) {
        assert!(!self.account.is_empty());
        let begin = Instant::now();
        let pid = self.machine.spawn(&["daemon"]).unwrap();
        let _ = self.machine.until_idle(files);
        (pid, begin.elapsed())
    }
}

/// What a process has done so far.
struct Work {
    read: u64,
    written: u64,
    /// Of each thread.
    wakes: BTreeMap<PathBuf, u64>,
}

impl Work {
    fn of(pid: u32) -> Self {
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
        let field = |text: &str, name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
            line.trim_matches([':', ' ', '\t']).parse().unwrap()
        };
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap().path());
        let wakes = tasks.filter_map(|task| {
            let status = std::fs::read_to_string(task.join("status")).ok()?;
            Some((task, field(&status, "voluntary_ctxt_switches")))
        });
        Self { read: field(&io, "rchar"), written: field(&io, "write_bytes"), wakes: wakes.collect() }
    }

    /// How often threads have woken since, per second. What a thread did that has ended meanwhile is not known.
    fn wakes_since(&self, before: &Self) -> f64 {
        let of = |(task, count): (&PathBuf, &u64)| count - before.wakes.get(task).copied().unwrap_or(0);
        self.wakes.iter().map(of).sum::<u64>() as f64 / QUIET.as_secs_f64()
    }
}

/// The most memory a process ever had, in MiB.
fn high_water(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn limit(what: &str, found: f64, most: f64, unit: &str) {
    let verdict = if found <= most { "within" } else { "ABOVE" };
    println!("{what:<50}{found:>10.1} {unit}, {verdict} {most} {unit}");
}

fn rate(mib: u64, took: Duration) -> f64 {
    (mib << 20) as f64 / 1e6 / took.as_secs_f64()
}

fn report_moved(which: &str, mib: u64, took: Duration, copied: Duration) {
    let share = copied.as_secs_f64() / took.as_secs_f64();
    println!("{mib} MiB {which}, start of the daemon included  {:>8.0} MB/s = {share:.2} of cp", rate(mib, took));
}

/// Writes a file that cannot be compressed, and says how long copying it takes.
fn write_large(path: &Path, size: u64) -> Duration {
    let mut random = std::fs::File::open("/dev/urandom").unwrap().take(size);
    let mut file = std::fs::File::create(path).unwrap();
    std::io::copy(&mut random, &mut file).unwrap();
    file.sync_all().unwrap();
    let copy = path.with_file_name(".hcfs-copy");
    let begin = Instant::now();
    std::fs::copy(path, &copy).unwrap();
    std::fs::File::open(&copy).unwrap().sync_all().unwrap();
    let took = begin.elapsed();
    std::fs::remove_file(copy).unwrap();
    took
}

fn wait(time: Duration) {
    let begin = Instant::now();
    while let Some(left) = time.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Stands before a server and counts the requests that pass; gives its own address.
fn counting_proxy(url: &str, requests: Arc<AtomicU64>) -> String {
    let target = url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(&target) else { continue };
            let requests = Arc::clone(&requests);
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let count = move |bytes: &[u8]| {
                let heads = bytes.windows(11).filter(|window| window == b" HTTP/1.1\r\n").count();
                requests.fetch_add(heads as u64, Ordering::Relaxed);
            };
            std::thread::spawn(move || pass(from, to, count));
            std::thread::spawn(move || pass(server, client, |_| ()));
        }
    });
    format!("http://{address}")
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut seen: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        seen(&buffer[..read]);
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
}
