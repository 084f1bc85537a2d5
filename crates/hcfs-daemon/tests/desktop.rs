//! What a desktop is told, over a real session bus.
#![cfg(feature = "notifications")]
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

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use hcfs_api::{FolderState, SyncReply, routes};
use hcfs_daemon::{Config, Daemon, Environment, Options, RunningDaemon};
use hyper::Method;
use machine::{DEADLINE, Machine, env, idle, until};
use tokio::sync::mpsc;
use zbus::zvariant::OwnedValue;

/// A session bus of its own.
struct Bus {
    process: Child,
    address: String,
}

impl Bus {
    fn start() -> Self {
        let mut process = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is among what the tests need");
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().to_owned() }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A notification: the number it replaces, its summary and its body.
type Shown = (u32, String, String);

/// A desktop that shows notifications to the test.
struct Notifications {
    shown: mpsc::UnboundedSender<Shown>,
    last: u32,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "as the specification has it")]
    fn notify(
        &mut self,
        app_name: String,
        replaces_id: u32,
        _app_icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedValue>,
        _expire_timeout: i32,
    ) -> u32 {
        assert_eq!((app_name.as_str(), actions.len()), ("hcfs", 0));
        assert!(hints.contains_key("urgency"));
        self.shown.send((replaces_id, summary, body)).unwrap();
        self.last += 1;
        self.last
    }
}

async fn desktop(bus: &Bus) -> (zbus::Connection, mpsc::UnboundedReceiver<Shown>) {
    let (shown, seen) = mpsc::unbounded_channel();
    let connection = zbus::connection::Builder::address(bus.address.as_str())
        .unwrap()
        .serve_at("/org/freedesktop/Notifications", Notifications { shown, last: 0 })
        .unwrap()
        .name("org.freedesktop.Notifications")
        .unwrap()
        .build()
        .await
        .unwrap();
    (connection, seen)
}

async fn start(machine: &Machine, address: &str) -> RunningDaemon {
    let address = address.to_owned();
    let env: Environment = Arc::new(move |name| match name {
        "DBUS_SESSION_BUS_ADDRESS" => Some(address.clone().into()),
        name => env()(name),
    });
    let config = Config::load(&machine.paths, &env).unwrap();
    Daemon::start(config, Options { env, ..machine.options() }, None).await.unwrap()
}

async fn next(seen: &mut mpsc::UnboundedReceiver<Shown>) -> Shown {
    tokio::time::timeout(DEADLINE, seen.recv()).await.expect("it is told").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_is_told_once_and_names_no_file() {
    let bus = Bus::start();
    let (_connection, mut seen) = desktop(&bus).await;
    let machine = Machine::with_folder();
    for number in 0..60 {
        machine.write(&format!("secret-{number}.txt"), "x");
    }
    let running = start(&machine, &bus.address).await;
    idle(&running).await;
    for number in 0..60 {
        std::fs::remove_file(machine.root().join(format!("secret-{number}.txt"))).unwrap();
    }
    let client = machine.client();
    let _: SyncReply = client.post(&routes::sync("docs", None)).await;
    until(&running, "held", |status| status.folders[0].state == FolderState::Held).await;
    let (_, summary, body) = next(&mut seen).await;
    assert_eq!(summary, "docs: a change waits for your yes");
    assert!(!body.contains("secret") && body.contains("hcfs holds"), "{body}");

    // It is looked at again, and nothing is new; what is told next is something else.
    let _: SyncReply = client.post(&routes::sync("docs", None)).await;
    client.done(Method::POST, routes::LOCK, "").await;
    assert_eq!(next(&mut seen).await.1, "hcfs is locked");
    running.stop().await;
    assert!(seen.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_begins_again_takes_the_place_of_what_was_told() {
    let bus = Bus::start();
    let (_connection, mut seen) = desktop(&bus).await;
    let machine = Machine::with_password();
    let running = start(&machine, &bus.address).await;
    let (replaced, summary, _) = next(&mut seen).await;
    assert_eq!((replaced, summary.as_str()), (0, "hcfs is locked"));
    let client = machine.client();
    client.done(Method::POST, routes::UNLOCK, r#"{"password": "correct horse"}"#).await;
    idle(&running).await;
    client.done(Method::POST, routes::LOCK, "").await;
    let (replaced, summary, _) = next(&mut seen).await;
    assert_eq!((replaced, summary.as_str()), (1, "hcfs is locked"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_gone_or_has_no_desktop_keeps_nobody_from_working() {
    let bus = Bus::start();
    for address in [bus.address.as_str(), "unix:path=/no/such/bus", "nonsense"] {
        let machine = Machine::with_password();
        let running = start(&machine, address).await;
        machine.client().done(Method::POST, routes::UNLOCK, r#"{"password": "correct horse"}"#).await;
        idle(&running).await;
        running.stop().await;
    }
}
