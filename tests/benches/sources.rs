//! A large file through every kind of source: speed beside curl from the same server in the same run, and memory.
//!
//! Run as `cargo xtask bench sources`; `HCFS_BENCH_MIB` sets the size of the file (1024). curl's file is synced too: the
//! daemon gives no file a name before it is durable.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a benchmark that cannot run stops; the services can more than it asks for"
)]

#[path = "../sources/services/mod.rs"]
mod services;

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use hcfs_tests::{Device, Site, path, text};
use services::{CREDENTIAL, Content, Item, Services, raw_cid_of};

/// Media the benchmark asks for.
const MEDIA: &str = "https://media.example/1";

fn main() {
    let mib: u64 = std::env::var("HCFS_BENCH_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(1024);
    let services = Services::start();
    let content = Content::pattern(mib << 20);
    let cid = raw_cid_of(&content);
    for id in [&cid, "file_1", MEDIA, "large.bin"] {
        services.put(id, Item::new("large.bin", content.clone()));
    }
    services.task_takes(0, services::TaskState::Completed);
    let base = services.url.clone();
    let plain = format!("{base}/files/large.bin");
    let bearer = format!("Authorization: Bearer {CREDENTIAL}");
    let raw = format!("Authorization: {CREDENTIAL}");
    let signed = signed_link(&base);
    let task = started_task(&base);
    let kinds: [(&str, &str, Vec<&str>); 5] = [
        ("cid", &cid, vec!["--request", "POST", "--header", &bearer, &*format!("{base}/api/v1/get?arg={cid}").leak()]),
        ("storage_file", "file_1", vec!["--header", &raw, &*format!("{base}/v2/storage/file/file_1").leak()]),
        ("signed_url", "file_1", vec![&signed]),
        ("download_task", MEDIA, vec![&task]),
        ("url", &plain, vec![&plain]),
    ];
    println!("{mib} MiB            curl MB/s   daemon MB/s   ratio   memory MiB");
    for (kind, item, curl) in kinds {
        // In turn, and the better of two of each: neither pays alone for a cold cache, or for what else the disk does.
        let tries: Vec<_> = (0..2).map(|_| (curled(&curl), brought(&services, kind, item))).collect();
        let peer = tries.iter().map(|(peer, _)| *peer).min().unwrap();
        let took = tries.iter().map(|(_, (took, _))| *took).min().unwrap();
        let memory = tries.iter().map(|(_, (_, memory))| *memory).fold(0.0, f64::max);
        let ratio = peer.as_secs_f64() / took.as_secs_f64();
        let verdict = if ratio >= 0.8 && memory <= 64.0 { "within" } else { "ABOVE" };
        println!(
            "{kind:<15}{:>13.0}{:>14.0}{ratio:>8.2}{memory:>13.1}   {verdict} 0.8 and 64 MiB",
            rate(mib, peer),
            rate(mib, took)
        );
    }
}

fn rate(mib: u64, took: Duration) -> f64 {
    (mib << 20) as f64 / 1e6 / took.as_secs_f64()
}

fn asked(arguments: &[&str]) -> serde_json::Value {
    let out = Command::new("curl").args(["--silent", "--show-error"]).args(arguments).output().unwrap();
    serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}{}", text(&out.stdout), text(&out.stderr)))
}

fn signed_link(base: &str) -> String {
    let key = format!("X-API-Key: {CREDENTIAL}");
    let answer = asked(&["--header", &key, &format!("{base}/v1/organizations/org_123/files/file_1/content")]);
    answer["download_url"].as_str().unwrap().to_owned()
}

fn started_task(base: &str) -> String {
    let body = format!("{{\"url\": \"{MEDIA}\"}}");
    let answer =
        asked(&["--header", "Content-Type: application/json", "--data", &body, &format!("{base}/api/download")]);
    asked(&[&format!("{base}/api/downloads")]);
    format!("{base}/api/download/{}/file", answer["download_id"].as_str().unwrap())
}

/// How long curl takes, its file made durable.
fn curled(arguments: &[&str]) -> Duration {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("large.bin");
    let begin = Instant::now();
    let done = Command::new("curl").args(["--silent", "--fail", "--output", path(&file)]).args(arguments).status();
    assert!(done.unwrap().success(), "{arguments:?}");
    File::open(&file).unwrap().sync_all().unwrap();
    begin.elapsed()
}

/// How long a source takes from its order to the file under its name, and the most memory the daemon had till then.
fn brought(services: &Services, kind: &str, item: &str) -> (Duration, f64) {
    let site = Site::new();
    let mut device: Device = site.device("bench", None);
    let credential = device.machine.path("credential");
    std::fs::write(&credential, CREDENTIAL).unwrap();
    std::fs::set_permissions(&credential, Permissions::from_mode(0o600)).unwrap();
    let pid = device.machine.spawn(&["daemon"]).unwrap();
    let _ = device.machine.until_idle(0);
    let place = format!("file:{}", path(&credential));
    let mut arguments = vec!["source", "add", "bench", kind, "--into", "docs", "--item", item];
    if kind != "url" {
        arguments.extend(["--base-url", &services.url]);
    }
    if !["url", "download_task"].contains(&kind) {
        arguments.extend(["--credential", &place]);
    }
    if kind == "signed_url" {
        arguments.extend(["--organization", "org_123"]);
    }
    let added = device.machine.run(&arguments).unwrap();
    assert!(added.status.success(), "{}", text(&added.stderr));
    let begin = Instant::now();
    let out = device.machine.run(&["source", "run", "bench"]).unwrap();
    let took = begin.elapsed();
    let memory = high_water(pid);
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    device.machine.kill();
    (took, memory)
}

/// The most memory a process ever had, in MiB.
fn high_water(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
