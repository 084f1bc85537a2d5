//! The daemon over a server in memory, asked through its socket.
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

use bytes::Bytes;
use hcfs_api::{
    Emptied, ErrorCode, Explanation, Folder, FolderDetail, FolderState, History, Hold, Limits, LogEvent, Page,
    PageLink, Plan, Problem, RemoteFile, Restored, Status, SyncReply, TrashedFile, routes,
};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode};
use machine::{Machine, error_of, idle, mode, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_comes_into_step_and_every_route_says_so() {
    let machine = Machine::with_folder();
    machine.write("a.txt", "alpha");
    machine.write("b.txt", "beta");
    let running = machine.start().await;
    let client = machine.client();
    idle(&running).await;
    assert_eq!(machine.stored("docs"), 2);

    let status: Status = client.get(routes::STATUS).await;
    assert!(status.idle && !status.daemon.locked && !status.server.embedded);
    assert_eq!((status.daemon.version.as_str(), status.daemon.device.as_str()), ("1.2.3", "test"));
    assert_eq!(status.server.account.as_deref(), Some(machine.server.account().as_str()));
    assert_eq!(status.totals.counts.synced_files, 2);
    assert_eq!(status.totals.counts.sent, 9);

    let folders: Page<Folder> = client.get(routes::FOLDERS).await;
    // A cycle may have ended between the two.
    let standing = |folder: &Folder| Folder { cycles: 0, last_cycle_at: None, ..folder.clone() };
    let (listed, shown): (Vec<_>, Vec<_>) =
        (folders.items.iter().map(standing).collect(), status.folders.iter().map(standing).collect());
    assert_eq!(listed, shown);
    let detail: FolderDetail = client.get(&routes::folder("docs")).await;
    assert_eq!((detail.folder.state, detail.problems.len()), (FolderState::Idle, 0));
    let plan: Plan = client.get(&routes::plan("docs", 10)).await;
    assert!(plan.is_empty(), "{plan:?}");
    let problems: Page<Problem> = client.get(&routes::problems("docs", 0, 10)).await;
    assert_eq!((problems.items.len(), problems.next), (0, None));

    let mut uploaded = Vec::new();
    let mut after = 0;
    loop {
        let page: Page<LogEvent> = client.get(&routes::log("docs", after, 1)).await;
        assert!(page.items.len() <= 1);
        uploaded.extend(page.items.into_iter().filter(|event| event.kind == "uploaded").filter_map(|event| event.path));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    uploaded.sort();
    assert_eq!(uploaded, ["a.txt", "b.txt"]);
    assert_eq!((mode(&machine.paths.socket), mode(machine.paths.socket_dir())), (0o600, 0o700));
    running.stop().await;
    assert!(!machine.paths.socket.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_on_the_server_are_read_written_moved_and_deleted() {
    let machine = Machine::with_folder();
    machine.write("a.txt", "0123456789");
    let running = machine.start().await;
    let client = machine.client();
    idle(&running).await;

    let (status, body) = client.call(Method::GET, &routes::content("docs", "a.txt"), "").await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"0123456789"[..]));
    for (range, part) in [("bytes=2-4", "234"), ("bytes=7-", "789"), ("bytes=-1", "9"), ("bytes=8-99", "89")] {
        let request = Request::get(routes::content("docs", "a.txt")).header("host", "hcfs").header("range", range);
        let response = client.send(request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let content_range = response.headers()["content-range"].to_str().unwrap().to_owned();
        assert!(content_range.ends_with("/10"), "{content_range}");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), part, "{range}");
    }
    let beyond = client.call_with(Method::GET, &routes::content("docs", "a.txt"), "", &[("range", "bytes=10-")]).await;
    assert_eq!(error_of(beyond.0, &beyond.1).code, ErrorCode::BadRange);

    let large = "x".repeat(700_000);
    client.done(Method::PUT, &routes::put_content("docs", "dir/new.txt", false), &large).await;
    let (_, body) = client.call(Method::GET, &routes::content("docs", "dir/new.txt"), "").await;
    assert_eq!(body, large);
    let exists = client.refused(Method::PUT, &routes::put_content("docs", "dir/new.txt", false), "y").await;
    assert_eq!(exists.code, ErrorCode::Exists);
    client.done(Method::PUT, &routes::put_content("docs", "dir/new.txt", true), "y").await;

    let moved = r#"{"from": "dir/new.txt", "to": "dir/newer.txt"}"#;
    client.done(Method::POST, &routes::move_file("docs"), moved).await;
    assert_eq!(client.refused(Method::POST, &routes::move_file("docs"), moved).await.code, ErrorCode::NotFound);
    let (_, lines) = client.call(Method::GET, &routes::files("docs", Some("dir")), "").await;
    let lines = String::from_utf8(lines.to_vec()).unwrap();
    let files: Vec<RemoteFile> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!((files[0].path.as_str(), files[0].size), ("dir/newer.txt", 1));

    client.done(Method::DELETE, &routes::content("docs", "dir/newer.txt"), "").await;
    let gone = client.refused(Method::GET, &routes::content("docs", "dir/newer.txt"), "").await;
    assert_eq!(gone.code, ErrorCode::NotFound);
    assert_eq!(std::fs::read_dir(machine.paths.state.join("incoming")).unwrap().count(), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_answers_when_its_cycle_has_ended() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    let client = machine.client();
    idle(&running).await;
    machine.write("late.txt", "late");
    let (status, body) = client.call(Method::POST, &routes::sync("docs", Some(30)), "").await;
    assert_eq!(status, StatusCode::OK);
    let reply: SyncReply = serde_json::from_slice(&body).unwrap();
    assert!(reply.ended);
    assert_eq!(machine.stored("docs"), 1);

    client.done(Method::POST, &routes::pause("docs"), "").await;
    until(&running, "paused", |status| status.folders[0].state == FolderState::Paused).await;
    machine.write("later.txt", "later");
    client.done(Method::POST, &routes::resume("docs"), "").await;
    until(&running, "sent", |status| status.idle && status.totals.counts.synced_files == 2).await;
    client.done(Method::POST, &routes::scan("docs", true), "").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_make_no_sense_are_refused_with_a_code_and_a_hint() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    let client = machine.client();
    idle(&running).await;
    let long = "x".repeat(70_000);
    let cases = [
        (Method::GET, "/v1/nothing".to_owned(), "", ErrorCode::NoRoute),
        (Method::GET, "/v2/status".to_owned(), "", ErrorCode::NoRoute),
        (Method::POST, routes::STATUS.to_owned(), "", ErrorCode::BadRequest),
        (Method::GET, routes::pause("docs"), "", ErrorCode::BadRequest),
        (Method::GET, "/v1/folders/docs/nothing".to_owned(), "", ErrorCode::NoRoute),
        (Method::GET, routes::folder("other"), "", ErrorCode::NoFolder),
        (Method::POST, routes::pause("other"), "", ErrorCode::NoFolder),
        (Method::GET, "/v1/folders/a%00b".to_owned(), "", ErrorCode::BadRequest),
        (Method::GET, "/v1/folders/docs/log?after=x".to_owned(), "", ErrorCode::BadRequest),
        (Method::GET, "/v1/folders/docs/log?from=1".to_owned(), "", ErrorCode::BadRequest),
        (Method::POST, routes::conflict("docs", 7), r#"{"resolution": "skip"}"#, ErrorCode::NotFound),
        (Method::POST, routes::conflict("docs", 7), r#"{"resolution": "guess"}"#, ErrorCode::BadRequest),
        (Method::POST, "/v1/folders/docs/holds/x".to_owned(), r#"{"accept": true}"#, ErrorCode::BadRequest),
        (Method::POST, routes::hold("docs", 7), r#"{"accept": true}"#, ErrorCode::NotFound),
        (Method::GET, routes::content("docs", "../etc/passwd"), "", ErrorCode::BadRequest),
        (Method::GET, routes::content("docs", "nothing"), "", ErrorCode::NotFound),
        (Method::GET, routes::files("docs", Some("/abs")), "", ErrorCode::BadRequest),
        (Method::POST, routes::FOLDERS.to_owned(), "{", ErrorCode::BadRequest),
        (Method::POST, routes::FOLDERS.to_owned(), &long, ErrorCode::TooLarge),
        (Method::POST, routes::FOLDERS.to_owned(), r#"{"label": "x", "path": "rel"}"#, ErrorCode::BadRequest),
        (Method::POST, routes::FOLDERS.to_owned(), r#"{"label": "x", "path": "/no/where"}"#, ErrorCode::BadFolder),
        (Method::DELETE, routes::folder("other"), "", ErrorCode::NoFolder),
    ];
    for (method, route, body, code) in cases {
        let error = client.refused(method.clone(), &route, body).await;
        assert_eq!(error.code, code, "{method} {route}: {error:?}");
    }
    // What was sent may be a password: it is not repeated.
    let error = client.refused(Method::POST, routes::UNLOCK, r#"{"password": 12345678}"#).await;
    assert!(!error.message.contains("12345678"), "{error:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_web_page_may_speak() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    let client = machine.client();
    for header in
        [("origin", "http://localhost"), ("origin", "null"), ("referer", "http://x/"), ("sec-fetch-site", "none")]
    {
        for (method, route) in
            [(Method::GET, routes::STATUS), (Method::POST, routes::LOCK), (Method::GET, "/v1/nothing")]
        {
            let (status, body) = client.call_with(method, route, "", &[header]).await;
            assert_eq!(error_of(status, &body).code, ErrorCode::Forbidden, "{header:?} {route}");
        }
    }
    assert!(!running.status().daemon.locked);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_thirty_third_connection_is_told_that_there_are_too_many() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    let client = machine.client();
    let mut open = Vec::new();
    for _ in 0..32 {
        let request = Request::get(routes::EVENTS).header("host", "hcfs").body(Full::<Bytes>::default()).unwrap();
        open.push(client.send(request).await);
    }
    let mut refused = tokio::net::UnixStream::connect(&machine.paths.socket).await.unwrap();
    let mut answer = String::new();
    refused.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(error_of(StatusCode::SERVICE_UNAVAILABLE, body.as_bytes()).code, ErrorCode::Busy);
    // Streams end with the daemon: nothing is left hanging.
    tokio::time::timeout(machine::DEADLINE, running.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_a_key_runs_once() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    let client = machine.client();
    let path = machine.dir.path().join("photos");
    std::fs::create_dir(&path).unwrap();
    let body = format!("{{\"label\": \"photos\", \"path\": {:?}}}", path.to_str().unwrap());
    let key = [(routes::IDEMPOTENCY_KEY, "k1")];
    let first = client.call_with(Method::POST, routes::FOLDERS, &body, &key).await;
    let again = client.call_with(Method::POST, routes::FOLDERS, &body, &key).await;
    assert_eq!(first, again);
    assert_eq!(first.0, StatusCode::OK, "{first:?}");
    let without = client.refused(Method::POST, routes::FOLDERS, &body).await;
    assert_eq!(without.code, ErrorCode::Exists);
    let wrong = client.call_with(Method::POST, routes::LOCK, "", &[(routes::IDEMPOTENCY_KEY, "")]).await;
    assert_eq!(error_of(wrong.0, &wrong.1).code, ErrorCode::BadRequest);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_displaced_is_listed_explained_and_brought_back() {
    let machine = Machine::with_folder();
    machine.write("a b.txt", "first");
    machine.write("ignored.tmp", "x");
    machine.write(".hcfsignore", "*.tmp\n");
    let running = machine.start().await;
    let client = machine.client();
    idle(&running).await;
    let state = async |path: &str| client.get::<Explanation>(&routes::explain("docs", path)).await;
    let explained = state("a b.txt").await;
    assert_eq!((explained.state.as_str(), explained.next), ("synced", None));
    assert_eq!(explained.local.unwrap().hash, explained.remote.unwrap().hash);
    assert_eq!(state("ignored.tmp").await.state, "ignored");
    assert_eq!(state("nowhere").await.state, "absent");

    // Deleted by another device: it goes to the trash here.
    client.done(Method::DELETE, &routes::content("docs", "a b.txt"), "").await;
    let _: SyncReply =
        serde_json::from_slice(&client.call(Method::POST, &routes::sync("docs", None), "").await.1).unwrap();
    let page: Page<TrashedFile> = client.get(&routes::trash("docs", 0, 10)).await;
    let [entry] = page.items.as_slice() else { panic!("{page:?}") };
    assert_eq!((entry.path.as_str(), entry.size, page.next), ("a b.txt", 5, None));
    let history: History = client.get(&routes::history("docs", "a b.txt")).await;
    assert_eq!(history.versions.len(), 1);
    assert_eq!((history.versions[0].place.as_str(), &history.versions[0].trash_id), ("trash", &Some(entry.id.clone())));

    // Its name is taken meanwhile: nothing is overwritten.
    machine.write("a b.txt", "second");
    let (_, body) = client.call(Method::POST, &routes::restore("docs", &entry.id), "").await;
    let restored: Restored = serde_json::from_slice(&body).unwrap();
    assert_eq!((restored.path.as_str(), restored.beside), ("a b (restored).txt", true));
    let again = client.refused(Method::POST, &routes::restore("docs", &entry.id), "").await;
    assert_eq!(again.code, ErrorCode::NotFound);
    // What came back is sent like anything else.
    until(&running, "three files", |_| machine.stored("docs") == 3).await;

    client.done(Method::DELETE, &routes::content("docs", "a b (restored).txt"), "").await;
    let _: SyncReply =
        serde_json::from_slice(&client.call(Method::POST, &routes::sync("docs", None), "").await.1).unwrap();
    let (_, body) = client.call(Method::DELETE, &routes::whole_trash("docs"), "").await;
    let gone: Emptied = serde_json::from_slice(&body).unwrap();
    assert_eq!((gone.files, gone.bytes), (1, 5));
    let page: Page<TrashedFile> = client.get(&routes::trash("docs", 0, 10)).await;
    assert!(page.items.is_empty());
    let wrong = client.refused(Method::GET, &routes::explain("docs", "../x"), "").await;
    assert_eq!(wrong.code, ErrorCode::BadRequest);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_root_is_a_hold_from_the_start_and_is_settled_through_the_socket() {
    let machine = Machine::with_folder();
    machine.write("a.txt", "alpha");
    let running = machine.start().await;
    idle(&running).await;
    running.stop().await;
    std::fs::remove_dir_all(machine.root()).unwrap();

    // The daemon is started while the directory is missing.
    let running = machine.start().await;
    let client = machine.client();
    let status = until(&running, "halted", |status| status.folders[0].state == FolderState::Halted).await;
    let trouble = status.folders[0].trouble.clone().unwrap();
    assert_eq!((trouble.code, status.folders[0].counts.holds), (ErrorCode::BadFolder, 1));
    assert!(trouble.hint.contains("hcfs holds"), "{trouble:?}");
    let holds: Page<Hold> = client.get(&routes::holds("docs", 0, 10)).await;
    let [hold] = holds.items.as_slice() else { panic!("{holds:?}") };
    assert_eq!(
        (hold.kind.as_str(), hold.count, hold.examples.as_slice()),
        ("root_missing", 1, &["a.txt".to_owned()][..])
    );
    let unknown = client.refused(Method::POST, &routes::hold("docs", 99), r#"{"accept": false}"#).await;
    assert_eq!(unknown.code, ErrorCode::NotFound);

    client.done(Method::POST, &routes::hold("docs", hold.id), r#"{"accept": false}"#).await;
    idle(&running).await;
    assert_eq!(std::fs::read(machine.root().join("a.txt")).unwrap(), b"alpha");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_listens_when_it_is_asked_for_and_each_link_is_another() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    let client = machine.client();
    let links: Vec<PageLink> = [client.post(routes::PAGE).await, client.post(routes::PAGE).await].into();
    let address = |link: &PageLink| link.url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    assert_eq!(address(&links[0]), address(&links[1]));
    assert_ne!(links[0].url, links[1].url);
    assert!(links[0].expires_at > running.status().daemon.started_at);
    assert!(tokio::net::TcpStream::connect(address(&links[0])).await.is_ok());
    running.stop().await;
    assert!(tokio::net::TcpStream::connect(address(&links[0])).await.is_err(), "it ends with the daemon");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_told_and_keeps_no_daemon_from_running() {
    let machine = Machine::with_folder();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = std::fs::read_to_string(&machine.paths.config).unwrap();
    std::fs::write(&machine.paths.config, format!("{config}\n[page]\nenabled = true\nport = {port}\n")).unwrap();
    let running = machine.start().await;
    idle(&running).await;
    let error = machine.client().refused(Method::POST, routes::PAGE, "").await;
    assert_eq!(error.code, ErrorCode::Config);
    assert!(error.message.contains(&port.to_string()), "{error:?}");
    // As soon as it is free it is taken.
    drop(taken);
    let link: PageLink = machine.client().post(routes::PAGE).await;
    assert!(link.url.starts_with(&format!("http://127.0.0.1:{port}/")), "{}", link.url);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_changed_and_written_down() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    let client = machine.client();
    let limits: Limits = client.get(routes::LIMITS).await;
    assert_eq!((limits.upload, limits.download, limits.transfers), (0, 0, 8));
    let wanted = Limits { upload: 1_000_000, transfers: 3, ..limits };
    client.done(Method::POST, routes::LIMITS, &serde_json::to_string(&wanted).unwrap()).await;
    assert_eq!(client.get::<Limits>(routes::LIMITS).await, wanted);
    assert!(std::fs::read_to_string(&machine.paths.config).unwrap().contains("upload = \"1000000\""));
    idle(&running).await;
    for transfers in [0, 65] {
        let wrong = serde_json::to_string(&Limits { transfers, ..limits }).unwrap();
        let error = client.refused(Method::POST, routes::LIMITS, &wrong).await;
        assert_eq!(error.code, ErrorCode::BadRequest);
    }
    assert_eq!(client.get::<Limits>(routes::LIMITS).await, wanted);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_log_is_read_alone() {
    let machine = Machine::with_folder();
    for number in 0..5 {
        machine.write(&format!("{number}"), "x");
    }
    let running = machine.start().await;
    idle(&running).await;
    let client = machine.client();
    let all: Page<LogEvent> = client.get(&routes::log("docs", 0, 100)).await;
    let newest: Page<LogEvent> = client.get(&routes::recent_log("docs", 2)).await;
    assert_eq!((newest.items.as_slice(), newest.next), (&all.items[all.items.len() - 2..], None));
    let error = client.refused(Method::GET, &format!("{}&after=1", routes::recent_log("docs", 2)), "").await;
    assert_eq!(error.code, ErrorCode::BadRequest);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_is_given_as_numbers() {
    let machine = Machine::with_folder();
    machine.write("a", "alpha");
    let running = machine.start().await;
    idle(&running).await;
    let request = Request::get(routes::METRICS).header("host", "hcfs").body(Full::default()).unwrap();
    let answer = machine.client().send(request).await;
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    for line in [
        "hcfs_build_info{version=\"1.2.3\"} 1",
        "hcfs_locked 0",
        "hcfs_server_reachable 1",
        "hcfs_folder_state{folder=\"docs\",state=\"idle\"} 1",
        "hcfs_folder_state{folder=\"docs\",state=\"offline\"} 0",
        "hcfs_folder_files{folder=\"docs\",side=\"synced\"} 1",
        "hcfs_folder_synced_bytes{folder=\"docs\"} 5",
        "hcfs_folder_pending_bytes{folder=\"docs\",direction=\"up\"} 0",
        "hcfs_folder_waiting{folder=\"docs\",kind=\"hold\"} 0",
        "hcfs_folder_moved_bytes_total{folder=\"docs\",direction=\"up\"} 5",
        "# TYPE hcfs_folder_moved_bytes counter",
        "# UNIT hcfs_folder_moved_bytes bytes",
        "# EOF",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
    }
    assert!(!text.contains(machine.dir.path().to_str().unwrap()), "no path stands there");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_clients_that_change_one_thing_at_once_one_does() {
    let machine = Machine::with_folder();
    for number in 0..60 {
        machine.write(&format!("{number}.txt"), "x");
    }
    let running = machine.start().await;
    idle(&running).await;
    let (one, two) = (machine.client(), machine.client());

    let path = machine.dir.path().join("photos");
    std::fs::create_dir(&path).unwrap();
    let body = format!("{{\"label\": \"photos\", \"path\": {:?}}}", path.to_str().unwrap());
    let (first, second) =
        tokio::join!(one.call(Method::POST, routes::FOLDERS, &body), two.call(Method::POST, routes::FOLDERS, &body));
    let (done, refused) = if first.0 == StatusCode::OK { (first, second) } else { (second, first) };
    assert_eq!(done.0, StatusCode::OK);
    assert_eq!(error_of(refused.0, &refused.1).code, ErrorCode::Exists);
    let photos = routes::folder("photos");
    let (first, second) = tokio::join!(one.call(Method::DELETE, &photos, ""), two.call(Method::DELETE, &photos, ""));
    let (done, refused) = if first.0 == StatusCode::OK { (first, second) } else { (second, first) };
    assert_eq!(done.0, StatusCode::OK);
    assert_eq!(error_of(refused.0, &refused.1).code, ErrorCode::NoFolder);

    // A hold gets one answer: the second client is told that there is none any more.
    for number in 0..60 {
        std::fs::remove_file(machine.root().join(format!("{number}.txt"))).unwrap();
    }
    one.post::<SyncReply>(&routes::sync("docs", None)).await;
    let holds: Page<Hold> = one.get(&routes::holds("docs", 0, 10)).await;
    let hold = routes::hold("docs", holds.items[0].id);
    let restore = r#"{"accept": false}"#;
    let (first, second) = tokio::join!(one.call(Method::POST, &hold, restore), two.call(Method::POST, &hold, restore));
    let (done, refused) = if first.0 == StatusCode::OK { (first, second) } else { (second, first) };
    assert_eq!(done.0, StatusCode::OK);
    assert_eq!(error_of(refused.0, &refused.1).code, ErrorCode::NotFound);
    until(&running, "settled", |status| status.idle && status.totals.counts.synced_files == 60).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_where_json_is_due_is_refused_before_it_is_read() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    for announced in [true, false] {
        let mut stream = tokio::net::UnixStream::connect(&machine.paths.socket).await.unwrap();
        let length = if announced { "content-length: 1073741824" } else { "transfer-encoding: chunked" };
        let head = format!("POST /v1/folders HTTP/1.1\r\nhost: hcfs\r\n{length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Far less than all of it, and far more than is taken: the rest would not even fit the socket's buffer.
        let part = vec![b' '; 256 * 1024];
        let sent = async {
            if !announced {
                stream.write_all(format!("{:x}\r\n", part.len()).as_bytes()).await?;
            }
            stream.write_all(&part).await
        };
        // It may be closed while this still sends.
        let _ = tokio::time::timeout(machine::DEADLINE, sent).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(machine::DEADLINE, stream.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 413 "), "announced {announced}: {read:?} {answer:?}");
        assert!(answer.contains("\"too_large\""), "{answer}");
    }
    let status: Status = machine.client().get(routes::STATUS).await;
    assert_eq!(status.daemon.version, "1.2.3");
    running.stop().await;
}
