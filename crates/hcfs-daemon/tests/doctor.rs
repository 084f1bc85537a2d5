//! Each check of `hcfs doctor`, seen right and made wrong.
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

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use hcfs_api::{ApiError, Check, ErrorCode, ServerTest, Status, Verdict, routes};
use hcfs_daemon::Environment;
use hcfs_daemon::doctor::{CHECKS, Met, examine};
use hyper::Method;
use machine::{Machine, env, idle, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const VERSION: &str = "1.2.3";

fn silent() -> Met {
    Met::Silent(ApiError::new(ErrorCode::Offline, "no daemon answers", "start it"))
}

/// What is found on a machine without a daemon. No service manager is asked.
async fn found(machine: &Machine) -> Vec<Check> {
    found_with(machine, &env(), &silent()).await
}

async fn found_with(machine: &Machine, env: &Environment, met: &Met) -> Vec<Check> {
    let env = env.clone();
    let env: Environment = Arc::new(move |name| match name {
        "PATH" if env("PATH").is_none() => Some("/no/programs".into()),
        name => env(name),
    });
    let checks = examine(&machine.paths, &env, VERSION, met).await;
    for check in &checks {
        assert!(CHECKS.contains(&check.name.as_str()), "{check:?}");
        assert!(!check.message.is_empty(), "{check:?}");
        assert_eq!(
            check.verdict == Verdict::Ok,
            check.hint.is_empty(),
            "a hint where, and only where, it helps: {check:?}"
        );
    }
    checks
}

#[track_caller]
fn the<'c>(checks: &'c [Check], name: &str) -> &'c Check {
    let mut named = checks.iter().filter(|check| check.name == name);
    let first = named.next().unwrap_or_else(|| panic!("{name} is missing: {checks:#?}"));
    named.fold(first, |worst, check| if check.verdict > worst.verdict { check } else { worst })
}

#[track_caller]
fn says(checks: &[Check], name: &str, verdict: Verdict, words: &str) {
    let check = the(checks, name);
    assert_eq!(check.verdict, verdict, "{check:?}");
    assert!(format!("{} {}", check.message, check.hint).contains(words), "{words:?}: {check:?}");
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A server that says it is well, by a clock that is `ahead` seconds off, and takes the token `token`.
async fn server(ahead: i64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let account = hcfs_crypto::phrase::MasterPhrase::parse(&machine::phrase_text()).unwrap().account();
    let folders: Arc<str> = format!(r#"{{"Success": {{"base_address": "{account}", "folders": []}}}}"#).into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let folders = folders.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read_exact(&mut byte).await.is_err() {
                        return;
                    }
                    head.extend(byte);
                }
                let head = String::from_utf8(head).unwrap();
                let (status, body) = if head.starts_with("GET /health ") {
                    ("200 OK", r#"{"status": "healthy", "version": "9"}"#)
                } else if head.to_lowercase().contains("authorization: bearer token\r\n") {
                    ("200 OK", &*folders)
                } else {
                    ("401 Unauthorized", r#"{"Error": {"error": "unauthorized", "message": "no"}}"#)
                };
                let now = i64::try_from(
                    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
                );
                let date = http_date(now.unwrap() + ahead);
                let answer = format!(
                    "HTTP/1.1 {status}\r\ndate: {date}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                     connection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

fn http_date(seconds: i64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(seconds).unwrap());
    httpdate::fmt_http_date(at)
}

fn config(machine: &Machine, from: &str, to: &str) {
    let text = fs::read_to_string(&machine.paths.config).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&machine.paths.config, text.replace(from, to)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_machine_has_nothing_to_mend() {
    let machine = Machine::with_folder();
    chmod(&machine.paths.state, 0o700);
    config(&machine, "https://example.org", &server(0).await);
    let checks = found(&machine).await;
    for check in &checks {
        let expected = match check.name.as_str() {
            "daemon" => Verdict::Warn,
            // As the machine under the tests has it.
            "file_system" | "free_space" => check.verdict,
            _ => Verdict::Ok,
        };
        assert_eq!(check.verdict, expected, "{check:?}");
    }
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    for name in CHECKS {
        let seen = names.contains(&name);
        // The words were imported, only a daemon knows how a folder stands, and nobody but the owner is to read.
        assert_eq!(seen, !["recovery_phrase", "folder", "readers"].contains(&name), "{name}");
    }
    assert!(checks.iter().filter(|check| check.name == "marker").all(|check| check.about.as_deref() == Some("docs")));
    assert!(fs::read_dir(machine.root()).unwrap().next().is_none(), "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_configuration_hides_nothing_else() {
    let machine = Machine::with_folder();
    chmod(&machine.paths.state, 0o700);
    config(&machine, "[server]", "[sever]");
    let checks = found(&machine).await;
    says(&checks, "configuration", Verdict::Fail, "sever");
    says(&checks, "state_directory", Verdict::Ok, "private");
    says(&checks, "account", Verdict::Ok, "sealed");

    let machine = Machine::with_folder();
    chmod(&machine.paths.config, 0o666);
    says(&found(&machine).await, "configuration", Verdict::Fail, "chmod go-w");

    let machine = Machine::bare();
    let checks = found(&machine).await;
    says(&checks, "configuration", Verdict::Warn, "hcfs init");
    says(&checks, "account", Verdict::Fail, "hcfs init");
    says(&checks, "server", Verdict::Ok, "embedded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_and_the_state_are_closed_to_others() {
    let machine = Machine::with_folder();
    let state = &machine.paths.state;
    for (mode, verdict, words) in [(0o770, Verdict::Fail, "written by other"), (0o755, Verdict::Warn, "chmod 700")] {
        chmod(state, mode);
        says(&found(&machine).await, "state_directory", verdict, words);
    }
    chmod(state, 0o700);
    for secret in [machine.paths.sealed_phrase(), machine.paths.unlock_key()] {
        chmod(&secret, 0o640);
        let checks = found(&machine).await;
        says(&checks, "secret", Verdict::Fail, &format!("chmod 600 \"{}\"", secret.display()));
        chmod(&secret, 0o600);
    }
    let token = machine.dir.path().join("token");
    config(&machine, "env:TOKEN", &format!("file:{}", token.display()));
    let checks = found(&machine).await;
    says(&checks, "secret", Verdict::Fail, "token");
    fs::write(&token, "token\n").unwrap();
    chmod(&token, 0o644);
    says(&found(&machine).await, "secret", Verdict::Warn, "chmod 600");
    chmod(&token, 0o600);
    says(&found(&machine).await, "secret", Verdict::Ok, "alone");
    fs::write(machine.paths.recovery_phrase(), "words").unwrap();
    says(&found(&machine).await, "recovery_phrase", Verdict::Warn, "delete the file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_opens_the_account_is_tried() {
    let machine = Machine::with_folder();
    says(&found(&machine).await, "unlock", Verdict::Ok, "opens the recovery phrase");
    let key = machine.paths.unlock_key();
    fs::write(&key, "another secret, long enough to be one, but not the right one for this").unwrap();
    says(&found(&machine).await, "unlock", Verdict::Fail, "password");
    config(&machine, &format!("keyfile:{}", key.display()), "credential:phrase");
    says(&found(&machine).await, "unlock", Verdict::Ok, "service manager");
    config(&machine, "credential:phrase", "keyring");
    let checks = found(&machine).await;
    says(&checks, "keyring", Verdict::Fail, "unlock");
    says(&checks, "unlock", Verdict::Fail, "keyring");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_its_clock_and_the_token() {
    let machine = Machine::with_folder();
    config(&machine, "https://example.org", "http://127.0.0.1:9");
    let checks = found(&machine).await;
    says(&checks, "server", Verdict::Fail, "127.0.0.1:9");
    assert!(!checks.iter().any(|check| ["clock", "token"].contains(&check.name.as_str())), "{checks:?}");

    for (ahead, words) in [(3600, "behind the server's"), (-3600, "ahead of the server's")] {
        let machine = Machine::with_folder();
        config(&machine, "https://example.org", &server(ahead).await);
        let checks = found(&machine).await;
        says(&checks, "clock", Verdict::Warn, words);
        says(&checks, "token", Verdict::Ok, "takes it");
        assert!(the(&checks, "clock").message.contains("60 min") || the(&checks, "clock").message.contains("1 h"));
    }

    let machine = Machine::with_folder();
    config(&machine, "https://example.org", &server(0).await);
    let wrong: Environment = Arc::new(|name| (name == "TOKEN").then(|| "another".into()));
    says(&found_with(&machine, &wrong, &silent()).await, "token", Verdict::Fail, "does not accept the token");
    let none: Environment = Arc::new(|_| None);
    says(&found_with(&machine, &none, &silent()).await, "token", Verdict::Fail, "TOKEN is not set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_that_are_gone_closed_or_strange() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    idle(&running).await;
    running.stop().await;
    says(&found(&machine).await, "marker", Verdict::Ok, "there");
    let marker = machine.root().join(".hcfs/marker");
    fs::write(machine.root().join(".hcfs/MARKER"), "").unwrap();
    says(&found(&machine).await, "file_system", Verdict::Warn, "upper and lower case");
    fs::remove_file(machine.root().join(".hcfs/MARKER")).unwrap();
    fs::remove_file(marker).unwrap();
    says(&found(&machine).await, "marker", Verdict::Fail, "marker is gone");
    fs::remove_dir_all(machine.root()).unwrap();
    says(&found(&machine).await, "directory", Verdict::Fail, "does not exist");
    fs::write(machine.root(), "").unwrap();
    let checks = found(&machine).await;
    says(&checks, "directory", Verdict::Fail, "not a directory");
    assert!(!checks.iter().any(|check| check.name == "watches"), "there is nothing to watch");
    fs::remove_file(machine.root()).unwrap();
    // A directory in which nobody may make files, not even root.
    std::os::unix::fs::symlink("/proc/self", machine.root()).unwrap();
    says(&found(&machine).await, "directory", Verdict::Fail, "cannot be written");
}

/// The daemon as a client meets it.
async fn met(machine: &Machine) -> Met {
    let client = machine.client();
    let status: Status = client.get(routes::STATUS).await;
    let server = match status.daemon.locked {
        true => None,
        false => Some(Ok(client.post::<ServerTest>(routes::TEST_SERVER).await)),
    };
    Met::Running { status: Box::new(status), server }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_daemon_answers_for_its_server_and_its_folders() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    idle(&running).await;
    let checks = found_with(&machine, &env(), &met(&machine).await).await;
    says(&checks, "daemon", Verdict::Ok, "version 1.2.3");
    says(&checks, "folder", Verdict::Ok, "idle");
    says(&checks, "server", Verdict::Ok, "https://example.org");
    says(&checks, "token", Verdict::Ok, "takes it");
    let Met::Running { mut status, .. } = met(&machine).await else { panic!() };
    status.daemon.version = "1.0.0".into();
    let no_route = ApiError::new(ErrorCode::NoRoute, "there is no route", "restart the daemon");
    let old = Met::Running { status, server: Some(Err(no_route)) };
    let checks = found_with(&machine, &env(), &old).await;
    says(&checks, "daemon", Verdict::Warn, "it is version 1.0.0, and this program 1.2.3");
    says(&checks, "server", Verdict::Warn, "restart the daemon");

    fs::remove_dir_all(machine.root()).unwrap();
    machine.client().call(Method::POST, &routes::scan("docs", true), "").await;
    until(&running, "halted", |status| status.folders[0].trouble.is_some()).await;
    let checks = found_with(&machine, &env(), &met(&machine).await).await;
    says(&checks, "directory", Verdict::Fail, "does not exist");
    assert_ne!(the(&checks, "folder").verdict, Verdict::Ok, "{checks:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_readers_out_is_told() {
    let machine = Machine::with_folder();
    // A group that this process may give a file to: its own.
    let own = std::os::unix::fs::MetadataExt::gid(&fs::metadata(machine.dir.path()).unwrap()).to_string();
    let text = fs::read_to_string(&machine.paths.config).unwrap();
    fs::write(&machine.paths.config, format!("{text}\n[socket]\nreaders = \"{own}\"\n")).unwrap();
    chmod(machine.dir.path(), 0o711);
    let running = machine.start().await;
    let with_programs: Environment = Arc::new(|name| if name == "PATH" { std::env::var_os(name) } else { env()(name) });
    let look = async || found_with(&machine, &with_programs, &met(&machine).await).await;
    let directory = machine.paths.socket_dir();
    says(&look().await, "readers", Verdict::Warn, &format!("cannot pass through \"{}\"", directory.display()));
    chmod(directory, 0o711);
    says(&look().await, "readers", Verdict::Ok, "can look on");
    chmod(&machine.paths.socket, 0o600);
    says(&look().await, "readers", Verdict::Warn, "may not give the socket");
    config(&machine, &format!("\"{own}\""), "\"no-such-group\"");
    says(&look().await, "readers", Verdict::Warn, "groupadd no-such-group");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_daemon_is_told_and_its_server_is_not_asked_for_a_token() {
    let machine = Machine::with_password();
    let running = machine.start().await;
    let checks = found_with(&machine, &env(), &met(&machine).await).await;
    says(&checks, "unlock", Verdict::Fail, "hcfs unlock");
    let refused = machine.client().refused(Method::POST, routes::TEST_SERVER, "").await;
    assert_eq!(refused.code, ErrorCode::Locked);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_the_place_of_the_socket() {
    let machine = Machine::with_folder();
    says(&found(&machine).await, "daemon", Verdict::Warn, "none answers");
    fs::create_dir_all(machine.paths.socket_dir()).unwrap();
    fs::write(&machine.paths.socket, "").unwrap();
    says(&found(&machine).await, "daemon", Verdict::Fail, "not a socket");
    let foreign = Met::Silent(ApiError::new(ErrorCode::Permission, "the socket is another user's", "be that user"));
    fs::remove_file(&machine.paths.socket).unwrap();
    says(&found_with(&machine, &env(), &foreign).await, "daemon", Verdict::Fail, "another user");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_manager_says_is_understood() {
    let machine = Machine::with_folder();
    let programs = machine.dir.path().join("programs");
    fs::create_dir(&programs).unwrap();
    let systemctl = programs.join("systemctl");
    let path = programs.clone();
    let env: Environment = Arc::new(move |name| match name {
        "PATH" => Some(path.clone().into_os_string()),
        "USER" => Some("nobody-at-all".into()),
        name => env()(name),
    });
    for (user, system, verdict, words) in [
        ("loaded enabled active", "", Verdict::Ok, "logged in"),
        ("loaded disabled inactive", "", Verdict::Warn, "hcfs service install"),
        ("loaded enabled failed", "", Verdict::Fail, "hcfs service install"),
        ("not-found - inactive", "not-found - inactive", Verdict::Warn, "hcfs service install"),
        ("not-found - inactive", "loaded enabled active", Verdict::Ok, "hcfs@"),
        ("", "loaded enabled active", Verdict::Ok, "hcfs@"),
        ("", "", Verdict::Ok, "no systemd"),
    ] {
        let answer = |said: &str| {
            let parts: Vec<&str> = said.split(' ').collect();
            match parts.as_slice() {
                [load, file, active] => {
                    format!("echo UnitFileState={file}; echo LoadState={load}; echo ActiveState={active}")
                }
                _ => "exit 1".to_owned(),
            }
        };
        let script = format!("#!/bin/sh\nif [ \"$1\" = --user ]; then {}; else {}; fi\n", answer(user), answer(system));
        fs::write(&systemctl, script).unwrap();
        chmod(&systemctl, 0o755);
        says(&found_with(&machine, &env, &silent()).await, "service", verdict, words);
    }
}
