//! Files on the server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hcfs_api::RemoteFile;

use super::*;
use crate::client::{Client, FileBody};

const READ: &str = "GET /v1/folders/documents/content?path=letters%2Fa.txt";
const TEXT: &[u8] = b"a text of more than seven bytes";

fn with(reply: Reply) -> Daemon {
    Daemon::start().on(FOLDERS, one_folder()).on(READ, reply)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(super) fn file(path: &str) -> RemoteFile {
    RemoteFile {
        path: path.into(),
        size: 2048,
        hash: "ab".into(),
        file_id: "cd".into(),
        revision: 1,
        revision_id: "ef".into(),
    }
}

pub(super) fn lines(files: &[RemoteFile]) -> String {
    files.iter().map(|file| serde_json::to_string(file).unwrap() + "\n").collect()
}

#[tokio::test]
async fn ls_lists_files_as_they_come() {
    let all = [file("a.txt"), file("letters/b.txt")];
    let route = "GET /v1/folders/documents/files";
    let script = || Daemon::start().on(FOLDERS, one_folder()).on(route, Reply::text(&lines(&all)));
    let outcome = hcfs(&script().socket(), &["ls"]).await;
    assert_eq!(
        (outcome.code, outcome.out.as_str()),
        (ExitCode::Done, "   2.0 KiB  a.txt\n   2.0 KiB  letters/b.txt\n")
    );
    let outcome = hcfs(&script().socket(), &["ls", "--json"]).await;
    assert_eq!(outcome.json(), serde_json::json!({"schema": 1, "files": all}));
    let empty = Daemon::start().on(FOLDERS, one_folder()).on(route, Reply::text(""));
    let outcome = hcfs(&empty.socket(), &["ls", "--json"]).await;
    assert_eq!((outcome.code, outcome.json()), (ExitCode::Done, serde_json::json!({"schema": 1, "files": []})));
}

#[tokio::test]
async fn ls_of_a_directory_nobody_has_is_an_error() {
    let route = "GET /v1/folders/documents/files?below=letters";
    let daemon = Daemon::start().on(FOLDERS, one_folder()).on(route, Reply::text(""));
    let outcome = hcfs(&daemon.socket(), &["ls", "letters/"]).await;
    assert_eq!(outcome.code, ExitCode::Failed);
    assert!(outcome.err.contains("below \"letters\""), "{}", outcome.err);
}

#[tokio::test]
async fn a_list_that_breaks_off_is_an_error() {
    let text = lines(&[file("a.txt"), file("b.txt")]);
    let route = "GET /v1/folders/documents/files";
    for reply in [
        Reply::text(&text).cut(),
        Reply::text(&text[..text.len() - 5]),
        Reply::text("{}\n"),
        Reply::text(&"x".repeat(70_000)),
    ] {
        let daemon = Daemon::start().on(FOLDERS, one_folder()).on(route, reply);
        let outcome = hcfs(&daemon.socket(), &["ls"]).await;
        assert_eq!(outcome.code, ExitCode::Failed, "{}", outcome.out);
        assert!(outcome.err.starts_with("error: the daemon"), "{}", outcome.err);
    }
}

#[tokio::test]
async fn cat_prints_the_very_bytes() {
    let bytes: Vec<u8> = (0..=255).collect();
    let daemon = with(Reply::content(&bytes, bytes.len()));
    let (terminal, screen) = Terminal::scripted();
    assert_eq!(hcfs_at(&daemon.socket(), &["cat", "letters/a.txt"], terminal).await, ExitCode::Done);
    assert_eq!(screen.take_out_bytes(), bytes);
    assert_eq!(screen.take_err(), "");
}

#[tokio::test]
async fn ranges_are_asked_for_and_nothing_else_is_taken_for_one() {
    for (range, header) in [("2-5", "bytes=2-5"), ("2-", "bytes=2-"), ("-3", "bytes=-3")] {
        let daemon = with(Reply::part(b"part"));
        let outcome = hcfs(&daemon.socket(), &["cat", "letters/a.txt", "--range", range]).await;
        assert_eq!((outcome.code, outcome.out.as_str()), (ExitCode::Done, "part"), "{}", outcome.err);
        assert_eq!(daemon.seen().pop().unwrap().range.as_deref(), Some(header));
    }
    let daemon = with(Reply::content(TEXT, TEXT.len()));
    let outcome = hcfs(&daemon.socket(), &["cat", "letters/a.txt", "--range", "0-3"]).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (ExitCode::Failed, ""));
    let daemon = with(Reply::error(ErrorCode::BadRange, "the range lies outside", "ask for less"));
    assert_eq!(hcfs(&daemon.socket(), &["cat", "letters/a.txt", "--range", "9-"]).await.code, ExitCode::Usage);
}

#[tokio::test]
async fn get_makes_a_file_like_any_other() {
    let daemon = with(Reply::content(TEXT, TEXT.len()));
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("copy.txt");
    let outcome = hcfs(&daemon.socket(), &["get", "letters/a.txt", target.to_str().unwrap(), "--json"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    assert_eq!(fs::read(&target).unwrap(), TEXT);
    assert_eq!(names(dir.path()), ["copy.txt"]);
    let other = dir.path().join("other");
    fs::write(&other, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&target), mode(&other));
    let json = outcome.json();
    assert_eq!((&json["path"], &json["bytes"]), (&"letters/a.txt".into(), &TEXT.len().into()));
    // A directory: the file keeps its name.
    let daemon = with(Reply::content(TEXT, TEXT.len()));
    let outcome = hcfs(&daemon.socket(), &["get", "letters/a.txt", dir.path().to_str().unwrap()]).await;
    assert_eq!(outcome.out, format!("letters/a.txt → {} (31 B)\n", dir.path().join("a.txt").display()));
    assert_eq!(names(dir.path()), ["a.txt", "copy.txt", "other"]);
}

#[tokio::test]
async fn get_replaces_nothing_unless_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("a.txt");
    fs::write(&target, "precious").unwrap();
    let line = ["get", "letters/a.txt", target.to_str().unwrap()];
    let daemon = with(Reply::content(TEXT, TEXT.len()));
    let outcome = hcfs(&daemon.socket(), &line).await;
    assert_eq!(outcome.code, ExitCode::Failed);
    assert!(outcome.err.contains("--force"), "{}", outcome.err);
    assert!(daemon.seen().is_empty());
    let outcome = hcfs(&daemon.socket(), &[line[0], line[1], line[2], "--force"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
    assert_eq!(fs::read(&target).unwrap(), TEXT);
}

#[tokio::test]
async fn get_does_not_replace_what_appears_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("a.txt");
    let appearing = target.clone();
    let daemon = with(Reply::content(TEXT, TEXT.len()).and(move || fs::write(appearing, "precious").unwrap()));
    let outcome = hcfs(&daemon.socket(), &["get", "letters/a.txt", target.to_str().unwrap(), "--json"]).await;
    assert_eq!((outcome.code, outcome.error()["code"].as_str()), (ExitCode::Failed, Some("exists")));
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    assert_eq!(names(dir.path()), ["a.txt"]);
}

#[tokio::test]
async fn a_body_that_is_cut_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("a.txt");
    let daemon = with(Reply::content(&TEXT[..10], TEXT.len()));
    let outcome = hcfs(&daemon.socket(), &["get", "letters/a.txt", target.to_str().unwrap()]).await;
    assert_eq!(outcome.code, ExitCode::Failed);
    assert!(outcome.err.starts_with("error: \"letters/a.txt\" broke off after "), "{}", outcome.err);
    assert!(outcome.err.contains(" of 31 bytes"), "{}", outcome.err);
    assert!(names(dir.path()).is_empty());
    let daemon = with(Reply::content(&TEXT[..10], TEXT.len()));
    assert_eq!(hcfs(&daemon.socket(), &["cat", "letters/a.txt"]).await.code, ExitCode::Failed);
}

#[tokio::test]
async fn get_into_a_directory_that_is_not_there_says_so() {
    let daemon = with(Reply::content(TEXT, TEXT.len()));
    let target = daemon.dir().join("missing/a.txt");
    let outcome = hcfs(&daemon.socket(), &["get", "letters/a.txt", target.to_str().unwrap()]).await;
    assert_eq!(outcome.code, ExitCode::Failed);
    assert!(outcome.err.starts_with(&format!("error: cannot write \"{}\"", target.display())), "{}", outcome.err);
}

const WRITE: &str = "PUT /v1/folders/documents/content?path=b.bin&replace=false";
const REPLACE: &str = "PUT /v1/folders/documents/content?path=b.bin&replace=true";

#[tokio::test]
async fn put_sends_the_very_bytes() {
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    for content in [bytes, Vec::new()] {
        let daemon = Daemon::start().on(FOLDERS, one_folder()).on(WRITE, Reply::done());
        let local = daemon.dir().join("b");
        fs::write(&local, &content).unwrap();
        let outcome = hcfs(&daemon.socket(), &["put", local.to_str().unwrap(), "b.bin"]).await;
        assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
        assert!(daemon.seen().pop().unwrap().body == content);
    }
}

#[tokio::test]
async fn put_replaces_only_when_told_to() {
    let daemon = Daemon::start()
        .on(FOLDERS, one_folder())
        .on(WRITE, Reply::error(ErrorCode::Exists, "\"b.bin\" is on the server already", "choose another name"))
        .on(FOLDERS, one_folder())
        .on(REPLACE, Reply::done());
    let local = daemon.dir().join("b");
    fs::write(&local, "x").unwrap();
    let outcome = hcfs(&daemon.socket(), &["put", local.to_str().unwrap(), "b.bin"]).await;
    assert_eq!(outcome.code, ExitCode::Failed);
    assert!(outcome.err.ends_with("hint: choose another name, or replace it with --force\n"), "{}", outcome.err);
    let outcome = hcfs(&daemon.socket(), &["put", local.to_str().unwrap(), "b.bin", "--force"]).await;
    assert_eq!(outcome.code, ExitCode::Done, "{}", outcome.err);
}

#[tokio::test]
async fn a_daemon_that_refuses_before_it_has_read_the_file_is_heard() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, local) = (dir.path().join("s"), dir.path().join("b"));
    fs::File::create(&local).unwrap().set_len(64 << 20).unwrap();
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let body = r#"{"error":{"code":"locked","message":"the keys are closed"}}"#;
            let head = format!("HTTP/1.1 423 Locked\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 100]).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, (head + body).as_bytes()).await.unwrap();
        }
    });
    for _ in 0..20 {
        let outcome = hcfs(&socket, &["put", local.to_str().unwrap(), "b.bin", "--label", "documents"]).await;
        assert_eq!((outcome.code, outcome.err.as_str()), (ExitCode::Locked, "error: the keys are closed\n"));
    }
}

#[tokio::test]
async fn put_of_what_is_no_file_asks_nobody() {
    let daemon = Daemon::start();
    let missing = daemon.dir().join("missing");
    let outcome = hcfs(&daemon.socket(), &["put", missing.to_str().unwrap(), "b.bin"]).await;
    assert_eq!(outcome.code, ExitCode::Failed);
    let outcome = hcfs(&daemon.socket(), &["put", daemon.dir().to_str().unwrap(), "b.bin"]).await;
    assert_eq!(outcome.code, ExitCode::Usage);
    assert!(daemon.seen().is_empty());
}

#[tokio::test]
async fn a_file_that_became_shorter_is_named_and_not_sent_as_whole() {
    let daemon = Daemon::start().on(WRITE, Reply::done());
    let local = daemon.dir().join("b");
    fs::write(&local, "short").unwrap();
    let body = FileBody::new(fs::File::open(&local).unwrap(), &local, 10, indicatif::ProgressBar::hidden());
    let error = Client::new(&daemon.socket()).put("documents", "b.bin", false, body).await.unwrap_err();
    assert_eq!(error.exit(), ExitCode::Failed);
    assert!(error.to_string().contains(local.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn rm_asks_once_for_all() {
    let line = ["rm", "a", "b"];
    let script = || {
        Daemon::start()
            .on(FOLDERS, one_folder())
            .on("DELETE /v1/folders/documents/content?path=a", Reply::done())
            .on("DELETE /v1/folders/documents/content?path=b", Reply::done())
    };
    let daemon = script();
    let outcome = hcfs(&daemon.socket(), &line).await;
    assert_eq!(outcome.code, ExitCode::Usage);
    assert!(outcome.err.contains("2 files") && outcome.err.contains("--yes"), "{}", outcome.err);
    assert_eq!(daemon.lines(), [FOLDERS]);
    let daemon = script();
    let (terminal, screen) = Terminal::scripted();
    screen.answer("y");
    assert_eq!(hcfs_at(&daemon.socket(), &line, terminal.asking()).await, ExitCode::Done);
    assert_eq!(screen.asked().len(), 1);
    assert_eq!(daemon.lines().len(), 3);
}

#[tokio::test]
async fn mv_sends_both_names() {
    let daemon = Daemon::start().on("POST /v1/folders/x/move", Reply::done());
    let outcome = hcfs(&daemon.socket(), &["mv", "a b", "c/d", "--label", "x"]).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (ExitCode::Done, "a b → c/d\n"));
    assert_eq!(daemon.seen()[0].body, br#"{"from":"a b","to":"c/d"}"#);
}
