//! What the members of the group of readers may do at the socket: connections with their real credentials.
//!
//! Only root can take the credentials of another user. Where the tests run as a user they fail, unless
//! `HCFS_NO_SERVICES` is set: then they say that nothing was tested.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests may fail loudly, and each uses a part of the machine"
)]

mod machine;

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use bytes::Bytes;
use hcfs_api::{ErrorCode, Status, routes};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use machine::{Machine, error_of, idle, mode};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use tokio::io::AsyncReadExt as _;

/// Debian's `users` and `nogroup`: groups that are on every machine.
const READERS: (&str, u32) = ("users", 100);
const NOBODY: u32 = 65_534;

fn may_be_others() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let is_excused = std::env::var_os("HCFS_NO_SERVICES").is_some();
    assert!(is_root || is_excused, "other users are tried, which takes root; or set HCFS_NO_SERVICES");
    if !is_root {
        println!("NOT TESTED: nobody but root can act for other users");
    }
    is_root
}

/// Connects as the user `nobody`, with these groups besides its own.
fn connect_as_nobody(socket: &Path, groups: &'static [u32]) -> io::Result<UnixStream> {
    let socket = socket.to_owned();
    // These are calls of the kernel for one thread: the others stay who they are.
    let connecting = std::thread::spawn(move || {
        let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
        let (gid, uid) = (Gid::from_raw(NOBODY), Uid::from_raw(NOBODY));
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        UnixStream::connect(socket)
    });
    connecting.join().unwrap()
}

fn connect(machine: &Machine) -> tokio::net::UnixStream {
    let stream = connect_as_nobody(&machine.paths.socket, &[READERS.1]).unwrap();
    stream.set_nonblocking(true).unwrap();
    tokio::net::UnixStream::from_std(stream).unwrap()
}

async fn ask(machine: &Machine, method: Method, route: &str) -> Response<Incoming> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connect(machine))).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(route).header("host", "hcfs").body(Full::<Bytes>::default());
    sender.send_request(request.unwrap()).await.unwrap()
}

/// A machine whose socket readers can reach.
fn with_readers(group: &str) -> Machine {
    let machine = Machine::with_folder();
    let text = std::fs::read_to_string(&machine.paths.config).unwrap();
    std::fs::write(&machine.paths.config, format!("{text}\n[socket]\nreaders = \"{group}\"\n")).unwrap();
    let run = machine.paths.socket.parent().unwrap();
    std::fs::create_dir(run).unwrap();
    for directory in [machine.dir.path(), run] {
        std::fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    }
    machine
}

/// Every route of the description with its right, what is variable in it filled in.
fn described() -> Vec<(Method, String, &'static str)> {
    const TEXT: &str = include_str!("../../hcfs-api/API.md");
    let table = TEXT.split_once("\n## Routes\n").unwrap().1.split("\n## ").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let routes = rows.map(|row| {
        let (call, rest) = row.split_once('`').unwrap();
        let (method, route) = call.split_once(' ').unwrap();
        let right = rest.split('|').nth(1).unwrap().trim();
        let route = route.replace("{label}", "docs").replace("{name}", "none").replace("{id}", "7");
        let needs_path = ["/content", "/history", "/explain"].iter().any(|end| route.ends_with(end));
        (method.parse().unwrap(), if needs_path { route + "?path=a.txt" } else { route }, right)
    });
    routes.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_everything_but_content_and_change_nothing() {
    if !may_be_others() {
        return;
    }
    let machine = with_readers(READERS.0);
    machine.write("a.txt", "alpha");
    let running = machine.start().await;
    idle(&running).await;
    let meta = std::fs::metadata(&machine.paths.socket).unwrap();
    assert_eq!((mode(&machine.paths.socket), meta.gid()), (0o660, READERS.1));

    let body = ask(&machine, Method::GET, routes::STATUS).await.into_body().collect().await.unwrap().to_bytes();
    let status: Status = serde_json::from_slice(&body).unwrap();
    assert_eq!(status.totals.counts.synced_files, 1);
    let before = std::fs::read(&machine.paths.config).unwrap();
    let routes = described();
    let mut rights = std::collections::BTreeMap::<&str, usize>::new();
    for (method, route, right) in routes {
        *rights.entry(right).or_default() += 1;
        let answer = ask(&machine, method.clone(), &route).await;
        if right == "read" {
            // There is no source.
            let expected = if route.contains("/none") { StatusCode::NOT_FOUND } else { StatusCode::OK };
            assert_eq!(answer.status(), expected, "{method} {route}");
            continue;
        }
        let status = answer.status();
        let error = error_of(status, &answer.into_body().collect().await.unwrap().to_bytes());
        assert_eq!((status, error.code), (StatusCode::FORBIDDEN, ErrorCode::Forbidden), "{method} {route}");
        assert!(error.hint.contains("as the user the daemon runs as"), "{}", error.hint);
    }
    assert!(rights["read"] > 15 && rights["change"] > 15 && rights.len() == 2, "{rights:?}");
    let head = ask(&machine, Method::HEAD, &routes::content("docs", "a.txt")).await;
    assert_eq!(head.status(), StatusCode::FORBIDDEN);
    assert!(!running.status().daemon.locked && std::fs::read(&machine.paths.config).unwrap() == before);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_who_take_every_place_keep_the_owner_not_out() {
    if !may_be_others() {
        return;
    }
    let machine = with_readers(READERS.0);
    let running = machine.start().await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(ask(&machine, Method::GET, routes::EVENTS).await);
    }
    let mut answer = String::new();
    connect(&machine).read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let _: Status = machine.client().get(routes::STATUS).await;
    tokio::time::timeout(machine::DEADLINE, running.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_connects() {
    if !may_be_others() {
        return;
    }
    let refused = |machine: &Machine, groups| {
        connect_as_nobody(&machine.paths.socket, groups).unwrap_err().kind() == io::ErrorKind::PermissionDenied
    };
    let machine = with_readers(READERS.0);
    let running = machine.start().await;
    assert!(refused(&machine, &[]), "a stranger");
    running.stop().await;

    // A group that is not there opens nothing, and the daemon runs all the same.
    let machine = with_readers("no-such-group");
    let running = machine.start().await;
    idle(&running).await;
    assert_eq!(mode(&machine.paths.socket), 0o600);
    assert!(refused(&machine, &[READERS.1]));
    running.stop().await;
}
