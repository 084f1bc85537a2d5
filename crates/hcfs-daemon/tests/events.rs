//! The stream of events over the socket.
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

use std::collections::VecDeque;

use hcfs_api::{FolderState, Status, StreamEvent, SyncReply, routes};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Incoming;
use machine::{Client, DEADLINE, Machine, idle, until};

/// Reads elements of a stream as they come.
struct Events {
    body: Incoming,
    text: String,
    ready: VecDeque<(Option<u64>, StreamEvent)>,
}

impl Events {
    async fn open(client: &Client, route: &str) -> Self {
        let request = Request::get(route).header("host", "hcfs").body(Full::default()).unwrap();
        let response = client.send(request).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new(), ready: VecDeque::new() }
    }

    /// The next element, with its id; `None` at the end.
    async fn next(&mut self) -> Option<(Option<u64>, StreamEvent)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let frame = tokio::time::timeout(DEADLINE, self.body.frame()).await.expect("an event in time")?;
            self.text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
            while let Some(end) = self.text.find("\n\n") {
                let element: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| {
                    element.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
                };
                if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
                    let id = field("id:").map(|id| id.parse().unwrap());
                    self.ready.push_back((id, StreamEvent::parse(&name, &data).unwrap().unwrap()));
                }
            }
        }
    }

    /// The log events up to the one about `path`, as (id, path).
    async fn until_path(&mut self, path: &str) -> Vec<(u64, String)> {
        let mut seen = Vec::new();
        loop {
            let (id, event) = self.next().await.expect("no end");
            if let StreamEvent::Log(event) = event
                && let Some(about) = event.path
            {
                seen.push((id.expect("log events have ids"), about.clone()));
                if about == path {
                    return seen;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_gets_a_snapshot_then_events_and_comes_back_without_loss() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    let client = machine.client();
    idle(&running).await;

    let mut events = Events::open(&client, routes::EVENTS).await;
    let (start, first) = events.next().await.unwrap();
    let StreamEvent::Snapshot(status) = first else { panic!("{first:?}") };
    assert_eq!(status.folders[0].state, FolderState::Idle);
    let start = start.expect("the snapshot has an id");

    machine.write("one.txt", "1");
    let seen = events.until_path("one.txt").await;
    assert!(seen.iter().all(|(id, _)| *id > start));
    let last = seen.last().unwrap().0;
    drop(events);

    machine.write("two.txt", "2");
    until(&running, "two", |status| status.idle && status.totals.counts.synced_files == 2).await;
    let mut back = Events::open(&client, &routes::events_since(last)).await;
    let (id, first) = back.next().await.unwrap();
    assert!(matches!(first, StreamEvent::Snapshot(_)));
    assert_eq!(id, Some(last), "whoever breaks off here asks again from the same place");
    let seen = back.until_path("two.txt").await;
    assert!(seen.iter().all(|(id, path)| *id > last && path != "one.txt"), "{seen:?}");

    let mut from_start = Events::open(&client, &routes::events_since(start)).await;
    let all = from_start.until_path("two.txt").await;
    assert!(all.iter().any(|(_, path)| path == "one.txt"), "{all:?}");
    assert!(all.is_sorted());
    running.stop().await;
    while back.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_from_another_run_is_told_that_it_lost_events() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    let client = machine.client();
    let mut events = Events::open(&client, &routes::events_since(3)).await;
    assert!(matches!(events.next().await.unwrap().1, StreamEvent::Snapshot(_)));
    assert!(matches!(events.next().await.unwrap().1, StreamEvent::Lost(_)));
    let mut events = Events::open(&client, routes::EVENTS).await;
    assert!(matches!(events.next().await.unwrap().1, StreamEvent::Snapshot(_)));
    machine.write("x.txt", "x");
    loop {
        match events.next().await.unwrap().1 {
            StreamEvent::Lost(_) => panic!("nothing was lost"),
            StreamEvent::Status(folder) if folder.counts.synced_files == 1 => break,
            _ => {}
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_their_events_slow_nobody() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    idle(&running).await;
    let mut silent = Vec::new();
    for _ in 0..30 {
        let mut stream = tokio::net::UnixStream::connect(&machine.paths.socket).await.unwrap();
        let request = format!("GET {} HTTP/1.1\r\nhost: hcfs\r\n\r\n", routes::EVENTS);
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    for number in 0..400 {
        machine.write(&format!("{number}.txt"), "x");
    }
    let client = machine.client();
    let reply: SyncReply = client.post(&routes::sync("docs", None)).await;
    assert!(reply.ended);
    until(&running, "in step", |status| status.idle && status.totals.counts.synced_files == 400).await;
    let status: Status = client.get(routes::STATUS).await;
    assert!(status.idle);
    // Nor do they keep the daemon from ending.
    tokio::time::timeout(DEADLINE, running.stop()).await.unwrap();
}
