//! The account, the keys and who holds what.
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

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use hcfs_api::{Account, ErrorCode, FolderState, routes};
use hcfs_daemon::identity::{self, IdentityError, PhraseSource, Shown};
use hcfs_daemon::secret::Unlock;
use hcfs_daemon::setup::{NewFolder, Setup, change_unlock, set_up};
use hcfs_daemon::{BoxError, Config, Daemon, DaemonError, EmbeddedServer, OnLocked, Options};
use hcfs_model::AccountAddress;
use hyper::Method;
use machine::{Machine, Nobody, Person, env, idle, mode, phrase_text, until};
use zeroize::Zeroizing;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_daemon_waits_for_the_right_password() {
    let machine = Machine::with_password();
    machine.write("a.txt", "alpha");
    let running = machine.start().await;
    let client = machine.client();

    let status = running.status();
    assert!(status.daemon.locked && !status.idle);
    assert_eq!(status.folders[0].state, FolderState::Locked);
    assert_eq!(status.exit().number(), 6);
    let refused = client.refused(Method::POST, &routes::sync("docs", None), "").await;
    assert_eq!(refused.code, ErrorCode::Locked);

    for wrong in ["correct horsf", ""] {
        let body = serde_json::json!({ "password": wrong }).to_string();
        let refused = client.refused(Method::POST, routes::UNLOCK, &body).await;
        assert_eq!((refused.code, refused.exit().number()), (ErrorCode::WrongPassword, 6));
        assert!(running.status().daemon.locked);
    }
    assert_eq!(machine.stored("docs"), 0, "nothing happens without keys");
    client.done(Method::POST, routes::RELOAD, "").await;
    assert!(running.status().daemon.locked);

    client.done(Method::POST, routes::UNLOCK, r#"{"password": "correct horse"}"#).await;
    idle(&running).await;
    assert_eq!(machine.stored("docs"), 1);
    let again = client.refused(Method::POST, routes::UNLOCK, r#"{"password": "wrong"}"#).await;
    assert_eq!(again.code, ErrorCode::WrongPassword, "also where the keys are open");
    let account: Account = client.get(routes::ACCOUNT).await;
    assert_eq!(account.account.as_deref(), Some(machine.server.account().as_str()));

    client.done(Method::POST, routes::LOCK, "").await;
    assert_eq!(running.status().folders[0].state, FolderState::Locked);
    client.done(Method::POST, routes::UNLOCK, r#"{"password": "correct horse"}"#).await;
    idle(&running).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_daemon_for_a_state_and_for_a_socket() {
    let machine = Machine::with_folder();
    let running = machine.start().await;
    let refused = machine.try_start().await.err().unwrap();
    assert_eq!(refused.exit().number(), 7, "{refused}");
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");

    let mut other = Machine::with_folder();
    other.paths.socket.clone_from(&machine.paths.socket);
    let refused = other.try_start().await.err().unwrap();
    assert_eq!(refused.exit().number(), 7, "{refused}");
    assert!(refused.to_string().contains("hcfs.sock"), "{refused}");
    assert!(refused.hint().contains("HCFS_SOCKET"));
    idle(&running).await;
    running.stop().await;
    let next = machine.start().await;
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_without_an_account_is_no_place_to_start() {
    let machine = Machine::bare();
    let refused = machine.try_start().await.err().unwrap();
    assert!(matches!(refused, DaemonError::Identity(IdentityError::None(_))), "{refused}");
    assert_eq!(refused.exit().number(), 78);
    assert!(refused.hint().contains("hcfs init"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_file_that_went_wrong_is_said_with_its_own_code() {
    let machine = Machine::with_folder();
    std::fs::write(machine.paths.unlock_key(), "another\n").unwrap();
    let running = machine.start().await;
    let trouble = running.status().folders[0].trouble.clone().unwrap();
    assert_eq!(trouble.code, ErrorCode::WrongPassword);
    running.stop().await;

    let config = Config::load(&machine.paths, &env()).unwrap();
    let options = Options { on_locked: OnLocked::Fail, ..machine.options() };
    let refused = Daemon::start(config, options, None).await.err().unwrap();
    assert_eq!(refused.exit().number(), 6, "{refused}");

    std::fs::set_permissions(machine.paths.unlock_key(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let refused = machine.try_start().await.err().unwrap();
    assert_eq!(refused.exit().number(), 77, "{refused}");
    assert!(!machine.paths.socket.exists(), "what did not start leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_named_and_missing_keeps_it_locked() {
    let machine = Machine::with_folder();
    let text = std::fs::read_to_string(&machine.paths.config).unwrap();
    std::fs::write(&machine.paths.config, text.replace("env:TOKEN", "env:NOTHING")).unwrap();
    let refused = machine.try_start().await.err().unwrap();
    assert_eq!(refused.exit().number(), 6, "a secret is missing");
    assert!(refused.to_string().contains("NOTHING"), "{refused}");
}

#[derive(Default)]
struct Inside {
    starts: AtomicU32,
    ends: AtomicU32,
}

#[async_trait]
impl EmbeddedServer for Inside {
    async fn start(&self, data: &Path, account: &AccountAddress) -> Result<(String, Zeroizing<String>), BoxError> {
        assert!(data.ends_with("server") && account.as_str().starts_with('5'));
        self.starts.fetch_add(1, Ordering::SeqCst);
        Ok(("http://127.0.0.1:1".into(), Zeroizing::new("token".into())))
    }

    async fn shutdown(&self) {
        self.ends.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_address_the_embedded_server_runs_as_long_as_the_daemon() {
    let machine = Machine::with_folder();
    let text = std::fs::read_to_string(&machine.paths.config).unwrap();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("url") && !line.starts_with("token"))
        .fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(&machine.paths.config, &text).unwrap();
    assert_eq!(machine.try_start().await.err().unwrap().exit().number(), 78, "this program has none of its own");

    let inside = Arc::new(Inside::default());
    let config = Config::load(&machine.paths, &env()).unwrap();
    let running = Daemon::start(config, machine.options(), Some(inside.clone())).await.unwrap();
    let status = idle(&running).await;
    assert!(status.server.embedded);
    assert_eq!(status.server.url.as_deref(), Some("http://127.0.0.1:1"));
    let client = machine.client();
    client.done(Method::POST, routes::RELOAD, "").await;
    client.done(Method::POST, routes::LOCK, "").await;
    assert_eq!((inside.starts.load(Ordering::SeqCst), inside.ends.load(Ordering::SeqCst)), (1, 0));
    running.stop().await;
    assert_eq!((inside.starts.load(Ordering::SeqCst), inside.ends.load(Ordering::SeqCst)), (1, 1));
}

fn first_run(phrase: PhraseSource) -> Setup {
    Setup { device: None, server: None, account: None, token: None, unlock: None, phrase, folder: None }
}

#[test]
fn a_first_run_without_a_terminal_keeps_the_words_in_a_closed_file() {
    let machine = Machine::bare();
    let mut nobody = Nobody::default();
    let new = NewFolder { path: machine.root(), label: None, create: true };
    let setup = Setup { folder: Some(new), ..first_run(PhraseSource::New) };
    let ready = set_up(&machine.paths, &env(), &setup, &mut nobody).unwrap();
    let file = machine.paths.recovery_phrase();
    assert_eq!(ready.shown, Shown::InFile(file.clone()));
    assert!(nobody.shown.contains(file.to_str().unwrap()), "{}", nobody.shown);
    assert_eq!((mode(&file), mode(&machine.paths.sealed_phrase()), mode(&machine.paths.state)), (0o600, 0o600, 0o700));
    let words = std::fs::read_to_string(&file).unwrap();
    assert_eq!(words.split_whitespace().count(), 24);
    assert!(!nobody.shown.contains(words.trim()));
    assert_eq!(ready.label.unwrap().as_str(), "docs");
    assert_eq!(ready.config.unlock, Unlock::Keyfile(machine.paths.unlock_key()));
    assert!(machine.root().is_dir());

    // As if the first run had been interrupted before the words were sealed: they are still the account.
    std::fs::remove_file(machine.paths.sealed_phrase()).unwrap();
    let again = set_up(&machine.paths, &env(), &setup, &mut Nobody::default()).unwrap();
    assert_eq!((&again.account, &again.shown), (&ready.account, &ready.shown));

    // Another run finds everything, and shows nothing.
    std::fs::remove_file(&file).unwrap();
    let again = set_up(&machine.paths, &env(), &setup, &mut Nobody::default()).unwrap();
    assert_eq!((again.account, again.shown), (ready.account, Shown::KnownAlready));
    assert_eq!(again.config, ready.config);
    assert!(!file.exists());
}

#[test]
fn a_first_run_at_a_terminal_shows_the_words_once() {
    let machine = Machine::bare();
    let mut person = Person { types: vec!["a", "b", "long password", "long password"], sees: String::new() };
    let setup = Setup { unlock: Some(Unlock::Prompt), ..first_run(PhraseSource::New) };
    let ready = set_up(&machine.paths, &env(), &setup, &mut person).unwrap();
    assert_eq!(ready.shown, Shown::OnTerminal);
    assert!(person.sees.contains("The two were not the same"), "{}", person.sees);
    assert!(person.sees.contains(" 1. ") && person.sees.contains("24. "), "{}", person.sees);
    let words = identity::open_with(&machine.paths, "long password").unwrap().words();
    assert!(words.split(' ').all(|word| person.sees.contains(word)));
    assert!(!machine.paths.recovery_phrase().exists());
}

#[test]
fn importing_the_same_words_joins_the_account_and_others_are_refused() {
    let machine = Machine::with_folder();
    let same = first_run(PhraseSource::Import(phrase_text()));
    let ready = set_up(&machine.paths, &env(), &same, &mut Nobody::default()).unwrap();
    assert_eq!(ready.account, machine.server.account());
    let before = std::fs::read(machine.paths.sealed_phrase()).unwrap();

    let other = Zeroizing::new(format!("{}about", "abandon ".repeat(11)));
    let refused = set_up(&machine.paths, &env(), &first_run(PhraseSource::Import(other)), &mut Nobody::default());
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Exists, "{refused}");
    let wrong = Zeroizing::new("abandon ".repeat(24));
    let refused = set_up(&machine.paths, &env(), &first_run(PhraseSource::Import(wrong)), &mut Nobody::default());
    let refused = refused.unwrap_err();
    assert_eq!(refused.exit().number(), 2, "{refused}");
    assert_eq!(std::fs::read(machine.paths.sealed_phrase()).unwrap(), before);
}

#[test]
fn a_configuration_that_exists_is_not_changed_behind_its_owners_back() {
    let machine = Machine::with_folder();
    let text = std::fs::read(&machine.paths.config).unwrap();
    let setup = Setup { server: Some("https://other.example.org".into()), ..first_run(PhraseSource::New) };
    let refused = set_up(&machine.paths, &env(), &setup, &mut Nobody::default()).unwrap_err();
    assert!(refused.to_string().contains("server.url"), "{refused}");
    let missing = NewFolder { path: machine.dir.path().join("none"), label: None, create: false };
    let setup = Setup { folder: Some(missing), ..first_run(PhraseSource::New) };
    let refused = set_up(&machine.paths, &env(), &setup, &mut Nobody::default()).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::BadFolder);
    assert_eq!(std::fs::read(&machine.paths.config).unwrap(), text);
}

#[test]
fn a_new_password_closes_the_old_one_out() {
    let machine = Machine::with_folder();
    let keyfile = Unlock::Keyfile(machine.paths.unlock_key());
    let same = change_unlock(&machine.paths, &env(), &keyfile, &mut Nobody::default()).unwrap_err();
    assert!(same.hint().contains("another place"), "{same}");

    let before = std::fs::read_to_string(&machine.paths.config).unwrap();
    let mut person = Person { types: vec!["new", "new"], sees: String::new() };
    change_unlock(&machine.paths, &env(), &Unlock::Prompt, &mut person).unwrap();
    assert!(identity::open(&machine.paths, &keyfile, &env(), None).is_err());
    assert_eq!(*identity::open_with(&machine.paths, "new").unwrap().words(), *phrase_text());
    let after = std::fs::read_to_string(&machine.paths.config).unwrap();
    assert_eq!(after, before.replace(&format!("\"{keyfile}\""), "\"prompt\""));

    let mut person = Person { types: vec!["wrong", "newer"], sees: String::new() };
    let refused = change_unlock(&machine.paths, &env(), &Unlock::Prompt, &mut person).unwrap_err();
    assert_eq!(refused.exit().number(), 6, "{refused}");
    assert!(identity::open_with(&machine.paths, "new").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_are_added_removed_and_reloaded_while_it_runs() {
    let machine = Machine::with_folder();
    let mut text = std::fs::read_to_string(&machine.paths.config).unwrap();
    text.push_str("# a person's own words\n");
    std::fs::write(&machine.paths.config, &text).unwrap();
    let running = machine.start().await;
    let client = machine.client();
    idle(&running).await;

    let photos = machine.dir.path().join("photos");
    std::fs::create_dir(&photos).unwrap();
    std::fs::write(photos.join("p.jpg"), "p").unwrap();
    let body = serde_json::json!({ "label": "photos", "path": photos }).to_string();
    client.done(Method::POST, routes::FOLDERS, &body).await;
    until(&running, "two folders", |status| status.idle && status.folders.len() == 2).await;
    assert_eq!(machine.stored("photos"), 1);

    let inside = serde_json::json!({ "label": "in", "path": photos.join("in") }).to_string();
    std::fs::create_dir(photos.join("in")).unwrap();
    assert_eq!(client.refused(Method::POST, routes::FOLDERS, &inside).await.code, ErrorCode::Exists);

    client.done(Method::DELETE, &routes::folder("photos"), "").await;
    assert_eq!(running.status().folders.len(), 1);
    assert_eq!(std::fs::read_to_string(&machine.paths.config).unwrap().trim_end(), text.trim_end());
    assert!(photos.join("p.jpg").exists());
    assert_eq!(machine.stored("photos"), 1, "files stay on both sides");

    // What was remembered of it is put aside: another directory at its place would not be accepted for it otherwise.
    std::fs::rename(&photos, machine.dir.path().join("photos.old")).unwrap();
    std::fs::create_dir(&photos).unwrap();
    client.done(Method::POST, routes::FOLDERS, &body).await;
    until(&running, "two folders again", |status| status.idle && status.folders.len() == 2).await;

    assert_eq!(std::fs::read(photos.join("p.jpg")).unwrap(), b"p", "it came from the server");

    std::fs::write(&machine.paths.config, "devise = 1\n").unwrap();
    let refused = client.refused(Method::POST, routes::RELOAD, "").await;
    assert_eq!(refused.code, ErrorCode::Config);
    assert!(refused.message.contains("line 1"), "{refused:?}");
    assert_eq!(running.status().folders.len(), 2, "the configuration in force stays");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_start_says_why_and_recovers() {
    let machine = Machine::with_folder();
    std::fs::remove_dir(machine.root()).unwrap();
    let running = machine.start().await;
    let client = machine.client();
    let status = until(&running, "halted", |status| status.folders[0].state == FolderState::Halted).await;
    let trouble = status.folders[0].trouble.clone().unwrap();
    assert_eq!(trouble.code, ErrorCode::BadFolder);
    assert!(trouble.message.contains("does not exist") && !trouble.hint.is_empty(), "{trouble:?}");
    assert_eq!(client.refused(Method::POST, &routes::sync("docs", None), "").await.code, ErrorCode::BadFolder);

    std::fs::create_dir(machine.root()).unwrap();
    machine.write("a.txt", "a");
    // Does not wait for the pause to end, and answers when the folder has been started.
    client.done(Method::POST, &routes::scan("docs", false), "").await;
    idle(&running).await;
    assert_eq!(machine.stored("docs"), 1);
    running.stop().await;
}
