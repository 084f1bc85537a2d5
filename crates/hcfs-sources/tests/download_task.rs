//! The media downloader.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod bench;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bench::{
    Onlooker, Seen, Server, Step, answer, base, content, failure, fetch, fetch_into, fetch_item, json, ok, open, part,
    pattern, ranged, try_open,
};
use hcfs_sources::{
    CancellationToken, DownloadTaskSettings, Fetched, Item, Resume, Settings, Source, SourceError, Stage, Validators,
};

const MEDIUM: &str = "https://www.youtube.com/watch?v=dQw4w9WgXcQ";
const TASK: &str = "550e8400-e29b-41d4-a716-446655440000";
const MP4: &str = "Content-Type: video/mp4\r\nContent-Disposition: attachment; filename*=utf-8''Never%20Gonna.mp4\r\n";

fn settings(server: &Server) -> DownloadTaskSettings {
    DownloadTaskSettings {
        base: base(server),
        items: vec![MEDIUM.to_owned()],
        quality: Some("720p".to_owned()),
        deadline: Duration::from_secs(60),
        cleanup: true,
    }
}

fn source(server: &Server) -> Arc<dyn Source> {
    open(Settings::DownloadTask(settings(server)))
}

fn task(id: &str, status: &str, progress: &str) -> String {
    format!(
        r#"{{"id":"{id}","url":"{MEDIUM}","title":"Never Gonna","status":"{status}","progress":{progress},"speed":"",
        "filesize":5,"filename":"Never Gonna__{id}.mp4","quality":"720p","error_message":"no such video","completed_at":null}}"#
    )
}

/// Does the service's part: the states a task goes through, one for each look, and the file at the end.
struct Service {
    /// Tasks that are there before one is started.
    before: Vec<String>,
    states: Vec<(&'static str, &'static str)>,
    file: File,
}

/// Answers each request for the file.
type File = Box<dyn Fn(&Seen, usize) -> Vec<Step> + Send + Sync>;

#[derive(Default)]
struct Count {
    started: usize,
    looks: usize,
    files: usize,
}

impl Service {
    fn going_through(states: &[(&'static str, &'static str)]) -> Self {
        Self { before: vec![], states: states.to_vec(), file: Box::new(|_, _| ok(MP4, b"video")) }
    }

    async fn start(self) -> Server {
        let count = Mutex::new(Count::default());
        Server::start(move |seen, _| {
            let mut count = count.lock().unwrap();
            let line = seen.head.lines().next().unwrap();
            if line.starts_with("POST /api/download ") {
                count.started += 1;
                json("200 OK", &format!(r#"{{"download_id":"{TASK}"}}"#))
            } else if line.starts_with("GET /api/downloads ") {
                let mut tasks = self.before.clone();
                if count.started > 0 || self.before.is_empty() && count.looks > 0 {
                    let at = count.looks.min(self.states.len()) - 1;
                    let (status, progress) = self.states[at];
                    tasks.push(task(TASK, status, progress));
                }
                count.looks += 1;
                json("200 OK", &format!("[{}]", tasks.join(",")))
            } else if line.ends_with("/file HTTP/1.1") {
                count.files += 1;
                (self.file)(seen, count.files - 1)
            } else if line.starts_with("DELETE ") {
                json("200 OK", "{}")
            } else {
                vec![answer("400 What", "", b"")]
            }
        })
        .await
    }
}

fn lines(server: &Server) -> Vec<String> {
    server
        .seen()
        .iter()
        .map(|seen| seen.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned())
        .collect()
}

#[tokio::test]
async fn a_task_is_started_waited_for_fetched_and_removed() {
    let states = [
        ("pending", "0"),
        ("downloading", "12.5"),
        ("downloading", "99.9"),
        ("processing", "100"),
        ("completed", "100"),
    ];
    let server = Service::going_through(&states).start().await;
    let (onlooker, mut part) = (Onlooker::default(), part());
    let fetched = fetch_item(&*source(&server), &Item::new(MEDIUM), &mut part, None, &onlooker).await.unwrap();
    let Fetched::Done(brought) = fetched else { panic!("nothing was known") };
    assert_eq!((brought.name.as_str(), content(&part).as_slice()), ("Never Gonna.mp4", b"video".as_slice()));
    let file = format!("GET /api/download/{TASK}/file");
    let mut expected = vec!["GET /api/downloads", "POST /api/download"];
    expected.extend(["GET /api/downloads"; 5]);
    expected.push(&file);
    assert_eq!(lines(&server), expected);
    let order: serde_json::Value = serde_json::from_slice(&server.seen()[1].body).unwrap();
    assert_eq!(order, serde_json::json!({"url": MEDIUM, "quality": "720p"}));
    assert_eq!(server.seen()[1].header("content-type"), Some("application/json"));
    assert!(server.seen().iter().all(|seen| seen.header("authorization").is_none()));

    let stages: Vec<Stage> = onlooker.told.lock().unwrap().iter().map(|told| told.stage.clone()).collect();
    let preparing = |status: &str, percent| Stage::Preparing { status: status.to_owned(), percent: Some(percent) };
    assert_eq!(
        stages[..4],
        [
            preparing("pending", 0),
            preparing("downloading", 12),
            preparing("downloading", 99),
            preparing("processing", 100)
        ]
    );
    assert_eq!(stages[4], Stage::Bringing);

    // The record names the task before it is waited for.
    assert!(onlooker.kept.lock().unwrap()[0].to_text().contains(TASK));
    source(&server).finish(&Item::new(MEDIUM), &part.resume).await.unwrap();
    assert_eq!(lines(&server).last().unwrap(), &format!("DELETE /api/downloads/{TASK}/remove"));
    let keeping = open(Settings::DownloadTask(DownloadTaskSettings { cleanup: false, ..settings(&server) }));
    let requests = server.seen().len();
    keeping.finish(&Item::new(MEDIUM), &part.resume).await.unwrap();
    assert_eq!(server.seen().len(), requests);
    keeping.abandon(&Item::new(MEDIUM), &part.resume).await.unwrap();
    assert_eq!(lines(&server).last().unwrap(), &format!("DELETE /api/downloads/{TASK}"));
    keeping.abandon(&Item::new(MEDIUM), &Resume::default()).await.unwrap();
    assert_eq!(server.seen().len(), requests + 1);
}

#[tokio::test]
async fn a_task_is_found_again_and_not_started_twice() {
    // By its id.
    let server = Service::going_through(&[("downloading", "1"); 100]).start().await;
    let mut part = part();
    let cancel = CancellationToken::new();
    let onlooker = Onlooker { stop: Some((0, cancel)), ..Onlooker::default() };
    let stopped = fetch_item(&*source(&server), &Item::new(MEDIUM), &mut part, None, &onlooker).await;
    assert!(matches!(stopped, Err(SourceError::Cancelled { .. })), "{stopped:?}");
    let record = Resume::from_text(&part.resume.to_text());
    drop(server);
    let server = Service { before: vec![task(TASK, "completed", "100")], ..Service::going_through(&[]) }.start().await;
    part.resume = record;
    fetch_into(&*source(&server), MEDIUM, &mut part).await.unwrap();
    assert_eq!(lines(&server), ["GET /api/downloads".to_owned(), format!("GET /api/download/{TASK}/file")]);

    // By its address, when the record was lost.
    fetch(&*source(&server), MEDIUM).await.unwrap();
    assert!(lines(&server).iter().all(|line| !line.starts_with("POST")));
}

#[tokio::test]
async fn other_tasks_are_left_alone() {
    let other = task("other", "completed", "100");
    let before = vec![
        task("failed", "error", "0"),
        task("stopped", "cancelled", "0"),
        other.replace("720p", "360p"),
        other.replace("dQw4", "xxxx"),
    ];
    let server = Service { before, ..Service::going_through(&[("completed", "100")]) }.start().await;
    fetch(&*source(&server), MEDIUM).await.unwrap();
    assert_eq!(lines(&server).iter().filter(|line| line.starts_with("POST")).count(), 1);
}

#[tokio::test]
async fn what_was_brought_is_not_started_again() {
    let server = Service::going_through(&[]).start().await;
    let known = Validators::default();
    let fetched =
        fetch_item(&*source(&server), &Item::new(MEDIUM), &mut part(), Some(&known), &Onlooker::default()).await;
    assert_eq!(fetched.unwrap(), Fetched::NotModified);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn tasks_that_end_badly_are_told_apart() {
    for (status, code, shown) in [
        ("error", "task_failed", format!("the service could not get \"{MEDIUM}\": no such video")),
        ("cancelled", "task_cancelled", format!("the task for \"{MEDIUM}\" was cancelled at the service")),
    ] {
        let server = Service::going_through(&[("pending", "0"), (status, "null")]).start().await;
        let mut part = part();
        let error = fetch_into(&*source(&server), MEDIUM, &mut part).await.unwrap_err();
        assert_eq!((error.code(), error.to_string()), (code, shown));
        assert!(error.hint().is_some() && !part.resume.to_text().contains(TASK), "the next run starts anew");
    }
}

#[tokio::test]
async fn a_wait_that_does_not_end_has_a_deadline() {
    let server = Service::going_through(&[("downloading", "5"); 1]).start().await;
    let deadline = Duration::from_millis(50);
    let source = open(Settings::DownloadTask(DownloadTaskSettings { deadline, ..settings(&server) }));
    let mut part = part();
    let error = fetch_into(&*source, MEDIUM, &mut part).await.unwrap_err();
    assert!(matches!(&error, SourceError::TaskTooSlow { status, .. } if status == "downloading"), "{error:?}");
    assert!(error.is_transient() && part.resume.to_text().contains(TASK), "the next run goes on waiting");
}

#[tokio::test]
async fn the_three_kinds_of_404_are_told_apart() {
    let refused = |_: &Seen, _: usize| json("404 Not Found", r#"{"detail":"Descarga no disponible o no completada"}"#);
    for (after, code) in [
        ("[]".to_owned(), "task_unknown"),
        (format!("[{}]", task(TASK, "processing", "100")), "task_not_completed"),
        (format!("[{}]", task(TASK, "completed", "100")), "task_file_gone"),
    ] {
        let server = Server::start(move |seen, number| match number {
            0 => json("200 OK", &format!("[{}]", task(TASK, "completed", "100"))),
            1 => refused(seen, number),
            _ => json("200 OK", &after),
        })
        .await;
        let error = failure(&*source(&server), MEDIUM).await;
        assert_eq!(error.code(), code);
        assert!(error.is_transient() && error.to_string().contains(MEDIUM), "{error}");
        assert_eq!(server.seen().len(), 3);
    }
}

#[tokio::test]
async fn a_task_that_vanishes_while_it_is_waited_for_is_unknown() {
    let server = Server::start(|_, number| match number {
        0 => json("200 OK", &format!("[{}]", task(TASK, "pending", "0"))),
        _ => json("200 OK", "[]"),
    })
    .await;
    let mut part = part();
    let error = fetch_into(&*source(&server), MEDIUM, &mut part).await.unwrap_err();
    assert!(matches!(error, SourceError::TaskUnknown { .. }) && !part.resume.to_text().contains(TASK));
}

#[tokio::test]
async fn a_cut_file_goes_on() {
    let body = pattern(5000);
    let served = body.clone();
    let file = move |seen: &Seen, number: usize| ranged(seen, "\"1\"", MP4, &served, (number < 2).then_some(1500));
    let server = Service { file: Box::new(file), ..Service::going_through(&[("completed", "100")]) }.start().await;
    let (_, bytes) = fetch(&*source(&server), MEDIUM).await.unwrap();
    assert!(bytes == body);
    assert_eq!(server.seen().last().unwrap().header("range"), Some("bytes=3000-"));
}

#[tokio::test]
async fn answers_that_lie_are_refused() {
    for body in
        [r#"{"download_id":"../../x"}"#, r#"{"download_id":"a/b"}"#, r#"{"id":"x"}"#, "<html>", r#"{"download_id":7}"#]
    {
        let server = Server::start(move |_, number| json("200 OK", if number == 0 { "[]" } else { body })).await;
        let error = failure(&*source(&server), MEDIUM).await;
        assert!(matches!(error, SourceError::BadAnswer { .. }), "{error:?}");
        assert_eq!(server.seen().len(), 2);
    }
    let server = Server::start(|_, _| json("200 OK", r#"{"tasks":[]}"#)).await;
    assert!(matches!(failure(&*source(&server), MEDIUM).await, SourceError::BadAnswer { .. }));
    // A new task that the service does not want.
    let server = Server::start(|_, number| match number {
        0 => json("200 OK", "[]"),
        _ => json("400 Bad Request", r#"{"detail":"unsupported site"}"#),
    })
    .await;
    let error = failure(&*source(&server), MEDIUM).await;
    assert_eq!(error.to_string(), format!("the service could not get \"{MEDIUM}\": unsupported site"));
    // A lost answer to a new task: it is not started twice.
    let server = Server::start(|_, number| if number == 0 { json("200 OK", "[]") } else { vec![Step::Cut] }).await;
    assert!(matches!(failure(&*source(&server), MEDIUM).await, SourceError::Http(_)));
    assert_eq!(server.seen().len(), 2);
    // A page in place of the file.
    let page = |_: &Seen, _: usize| ok("Content-Type: text/html\r\n", b"<html>");
    let server = Service { file: Box::new(page), ..Service::going_through(&[("completed", "100")]) }.start().await;
    assert!(matches!(failure(&*source(&server), MEDIUM).await, SourceError::WrongContent { .. }));
}

#[tokio::test]
async fn bad_settings_are_refused() {
    let server = Server::start(|_, _| vec![]).await;
    for bad in ["", "youtube", "file:///etc/passwd", "https://a b", "https://a\r\nX: y", "https://u:p@a/"] {
        let items = vec![bad.to_owned()];
        assert!(
            try_open(Settings::DownloadTask(DownloadTaskSettings { items, ..settings(&server) })).is_err(),
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn a_test_says_what_it_found() {
    let before = vec![task("a", "completed", "100"), task("b", "pending", "0")];
    let server = Service { before, ..Service::going_through(&[]) }.start().await;
    let found = source(&server).test().await.unwrap();
    assert_eq!(found[1..], ["it needs no credential", "it has 2 tasks, 1 of them not yet done"]);
    let server = Server::start(|_, _| vec![answer("404 Not Found", "", b"")]).await;
    assert!(source(&server).test().await.is_err());
}
