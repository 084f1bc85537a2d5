use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use hcfs_api::{ExitCode, FolderMode, Resolution, SourceKind, SourceSpec};

use super::*;

const ACCOUNT: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

fn read(line: &str) -> Result<Invocation, Stop> {
    parse(std::iter::once("hcfs").chain(line.split_whitespace()))
}

#[track_caller]
fn socket(line: &str) -> SocketCommand {
    match read(line).unwrap().command {
        Command::Socket(command) => command,
        other => panic!("{line}: {other:?}"),
    }
}

#[track_caller]
fn local(line: &str) -> LocalCommand {
    match read(line).unwrap().command {
        Command::Local(command) => command,
        other => panic!("{line}: {other:?}"),
    }
}

fn path(text: &str) -> hcfs_model::RelPath {
    hcfs_model::RelPath::new(text).unwrap()
}

fn label(text: &str) -> hcfs_model::FolderLabel {
    hcfs_model::FolderLabel::new(text).unwrap()
}

#[test]
fn the_definition_contradicts_itself_nowhere() {
    Invocation::command().debug_assert();
}

#[track_caller]
fn is_read<const N: usize>(table: [(&str, SocketCommand); N]) {
    for (line, expected) in table {
        assert_eq!(socket(line), expected, "{line}");
    }
}

#[test]
fn commands_of_the_daemon() {
    let table = [
        ("sync", SocketCommand::Sync(SyncOptions::default())),
        (
            "sync a b --timeout 5",
            SocketCommand::Sync(SyncOptions { labels: vec![label("a"), label("b")], dry_run: false, timeout: Some(5) }),
        ),
        ("sync --dry-run", SocketCommand::Sync(SyncOptions { dry_run: true, ..SyncOptions::default() })),
        ("status --watch", SocketCommand::Status(StatusOptions { watch: true })),
        ("wait --timeout 0", SocketCommand::Wait(WaitOptions { timeout: Some(0) })),
        ("folder list", SocketCommand::Folder(FolderCommand::List)),
        (
            "folder add photos /p --mode send-only --ignore *.o --ignore b/",
            SocketCommand::Folder(FolderCommand::Add(AddedFolder {
                label: label("photos"),
                dir: "/p".into(),
                mode: FolderMode::SendOnly,
                ignore: vec!["*.o".into(), "b/".into()],
            })),
        ),
        ("folder pause a", SocketCommand::Folder(FolderCommand::Pause(Labels { labels: vec![label("a")] }))),
        (
            "folder scan a --full",
            SocketCommand::Folder(FolderCommand::Scan(ScannedFolders { labels: vec![label("a")], full: true })),
        ),
    ];
    is_read(table);
}

#[test]
fn commands_for_what_is_wrong_and_for_files() {
    let table = [
        ("conflicts", SocketCommand::Conflicts(ConflictsOptions::default())),
        (
            "conflicts resolve a/b accept-remote --label x",
            SocketCommand::Conflicts(ConflictsOptions {
                label: Some(label("x")),
                command: Some(ConflictCommand::Resolve(ResolvedConflict {
                    path: path("a/b"),
                    resolution: Resolution::AcceptRemote,
                })),
            }),
        ),
        ("problems --label x", SocketCommand::Problems(ProblemsOptions { label: Some(label("x")) })),
        (
            "holds accept 7",
            SocketCommand::Holds(HoldsOptions {
                label: None,
                command: Some(HoldCommand::Accept(AnsweredHold { id: 7 })),
            }),
        ),
        ("trash", SocketCommand::Trash(TrashOptions::default())),
        (
            "trash restore a/b --label x",
            SocketCommand::Trash(TrashOptions {
                label: Some(label("x")),
                command: Some(TrashCommand::Restore(RestoredFile { what: "a/b".into() })),
            }),
        ),
        ("trash empty", SocketCommand::Trash(TrashOptions { label: None, command: Some(TrashCommand::Empty) })),
        ("history a", SocketCommand::History(AskedPath { path: "a".into(), label: None })),
        ("explain /d/a", SocketCommand::Explain(AskedPath { path: "/d/a".into(), label: None })),
        ("log -f", SocketCommand::Log(LogOptions { follow: true, label: None })),
        (
            "search Report --label x",
            SocketCommand::Search(SearchOptions { text: "Report".into(), label: Some(label("x")) }),
        ),
        ("ls a/b/", SocketCommand::Ls(LsOptions { path: Some(path("a/b")), label: None })),
        (
            "get a/b c --range -5 --force",
            SocketCommand::Get(GetOptions {
                remote: path("a/b"),
                local: Some("c".into()),
                range: Some(ByteRange::Last(5)),
                force: true,
                label: None,
            }),
        ),
        (
            "cat a --range 1-2",
            SocketCommand::Cat(CatOptions { remote: path("a"), range: Some(ByteRange::Between(1, 2)), label: None }),
        ),
        (
            "put a b --label x",
            SocketCommand::Put(PutOptions {
                local: "a".into(),
                remote: path("b"),
                force: false,
                label: Some(label("x")),
            }),
        ),
        ("rm a b", SocketCommand::Rm(RmOptions { paths: vec![path("a"), path("b")], label: None })),
        ("mv a b", SocketCommand::Mv(MvOptions { from: path("a"), to: path("b"), label: None })),
        ("ui", SocketCommand::Ui(UiOptions::default())),
        ("ui --print", SocketCommand::Ui(UiOptions { print: true })),
        ("unlock", SocketCommand::Unlock),
    ];
    is_read(table);
}

#[test]
fn commands_for_sources() {
    let source = |command| SocketCommand::Source(command);
    let added = AddedSource {
        name: "p".into(),
        kind: SourceKind::StorageFile,
        items: vec!["a".into(), "b".into()],
        all: false,
        into: "docs/p".into(),
        every: Some("1h".into()),
        service: ServiceOptions {
            base_url: Some("https://files.example".into()),
            credential: Some("env:TOKEN".into()),
            customer_id: Some("c".into()),
            ..ServiceOptions::default()
        },
    };
    let ran = RanSource { name: "p".into(), again: vec!["x".into()], again_all: false, timeout: Some(5) };
    let table = [
        (
            "source add p storage_file --item a --item b --into docs/p --every 1h --base-url https://files.example \
             --credential env:TOKEN --customer-id c",
            source(SourceCommand::Add(Box::new(added.clone()))),
        ),
        ("source list", source(SourceCommand::List)),
        ("source show p", source(SourceCommand::Show(NamedSource { name: "p".into() }))),
        ("source test p", source(SourceCommand::Test(NamedSource { name: "p".into() }))),
        ("source run p --again x --timeout 5", source(SourceCommand::Run(ran))),
        ("source cancel p", source(SourceCommand::Cancel(NamedSource { name: "p".into() }))),
        ("source remove p", source(SourceCommand::Remove(NamedSource { name: "p".into() }))),
    ];
    is_read(table);
    let spec = added.spec();
    assert_eq!((spec.items.len(), spec.customer_id.as_deref(), spec.all), (2, Some("c"), false));
    for line in ["source add p ftp --into a", "source add p url", "source add p url --into a --all --item b"] {
        assert_eq!(read(line).unwrap_err().exit(), ExitCode::Usage, "{line}");
    }
    let LocalCommand::Fetch(fetch) = local("fetch url https://a/b - --force") else { panic!() };
    assert_eq!((fetch.target.as_deref(), fetch.force), (Some(Path::new("-")), true));
    assert_eq!(fetch.spec(), SourceSpec { items: vec!["https://a/b".into()], ..SourceSpec::of(SourceKind::Url) });
}

#[test]
fn commands_of_the_server() {
    let account = hcfs_model::AccountAddress::parse(ACCOUNT).unwrap();
    let table = [
        (
            "server --listen [::1]:0 --data /d --print-address --tls-cert c --tls-key k --trust-proxy ::1 \
             --trust-proxy 10.0.0.0/8 --metrics [::1]:9 --name n --open-registration --token-days 9 --quota 8 \
             --billing-bypass-file b --address-tokens"
                .to_owned(),
            LocalCommand::Server(ServerOptions {
                listen: Some("[::1]:0".parse().unwrap()),
                data: Some("/d".into()),
                print_address: true,
                serve: Box::new(ServeOptions {
                    tls_cert: Some("c".into()),
                    tls_key: Some("k".into()),
                    trust_proxy: vec!["::1".into(), "10.0.0.0/8".into()],
                    metrics: Some("[::1]:9".parse().unwrap()),
                    name: Some("n".into()),
                    open_registration: true,
                    token_days: Some(9),
                    quota: Some(8),
                    billing_bypass_file: Some("b".into()),
                    address_tokens: true,
                }),
                command: None,
                ..ServerOptions::default()
            }),
        ),
        (
            format!("server token create --account {ACCOUNT} --label laptop --days 3 --data /d"),
            LocalCommand::Server(ServerOptions {
                data: Some("/d".into()),
                command: Some(ServerCommand::Token(TokenCommand::Create(TokenCreate {
                    account: account.clone(),
                    label: "laptop".into(),
                    days: Some(3),
                }))),
                ..ServerOptions::default()
            }),
        ),
        (
            format!("server account quota {ACCOUNT} 5"),
            LocalCommand::Server(ServerOptions {
                command: Some(ServerCommand::Account(AccountCommand::Quota(AccountQuota {
                    account: account.clone(),
                    bytes: Some(5),
                }))),
                ..ServerOptions::default()
            }),
        ),
        (
            "server invitation create --label aunt".to_owned(),
            LocalCommand::Server(ServerOptions {
                command: Some(ServerCommand::Invitation(InvitationCommand::Create(InvitationCreate {
                    label: "aunt".into(),
                    days: 7,
                }))),
                ..ServerOptions::default()
            }),
        ),
        (
            format!("server token revoke --account {ACCOUNT} 00ff"),
            LocalCommand::Server(ServerOptions {
                command: Some(ServerCommand::Token(TokenCommand::Revoke(TokenRevoke { account, id: "00ff".into() }))),
                ..ServerOptions::default()
            }),
        ),
    ];
    for (line, expected) in table {
        assert_eq!(local(&line), expected, "{line}");
    }
}

#[test]
fn commands_that_publish_a_file() {
    let server = |line: &str| match local(line) {
        LocalCommand::Server(options) => options.command.unwrap(),
        other => panic!("{line}: {other:?}"),
    };
    let file = PublishOptions {
        account: hcfs_model::AccountAddress::parse(ACCOUNT).unwrap(),
        folder: hcfs_model::FolderLabel::new("photos").unwrap(),
        path: "alps/1.jpg".into(),
    };
    let words = format!("--account {ACCOUNT} --folder photos alps/1.jpg");
    assert_eq!(server(&format!("server publish {words}")), ServerCommand::Publish(file.clone()));
    assert_eq!(server(&format!("server withdraw {words}")), ServerCommand::Withdraw(file));
    assert!(read(&format!("server publish --account {ACCOUNT} alps/1.jpg")).is_err());
}

#[test]
fn commands_of_this_process() {
    let account = hcfs_model::AccountAddress::parse(ACCOUNT).unwrap();
    let table = [
        ("up".to_owned(), LocalCommand::Up(UpOptions { dir: None })),
        ("up ./d".to_owned(), LocalCommand::Up(UpOptions { dir: Some("./d".into()) })),
        ("daemon".to_owned(), LocalCommand::Daemon),
        (
            format!(
                "init --folder d --label l --server https://s --account {ACCOUNT} --token-file t --mnemonic-file m \
                 --unlock keyfile:/k --device n"
            ),
            LocalCommand::Init(InitOptions {
                folder: Some("d".into()),
                label: Some(label("l")),
                server: Some("https://s".into()),
                account: Some(account),
                token_file: Some("t".into()),
                mnemonic_file: Some("m".into()),
                unlock: Some("keyfile:/k".into()),
                device: Some("n".into()),
            }),
        ),
        ("key show-account".to_owned(), LocalCommand::Key(KeyCommand::ShowAccount)),
        ("key export-mnemonic".to_owned(), LocalCommand::Key(KeyCommand::ExportMnemonic)),
        ("key change-password".to_owned(), LocalCommand::Key(KeyCommand::ChangePassword)),
        (
            "key import --mnemonic-file m".to_owned(),
            LocalCommand::Key(KeyCommand::Import(KeyImport { mnemonic_file: Some("m".into()) })),
        ),
    ];
    for (line, expected) in table {
        assert_eq!(local(&line), expected, "{line}");
    }
    assert_eq!(read("version").unwrap().command, Command::Version);
    let service = |line: &str| match read(line).map(|read| read.command) {
        Ok(Command::Local(LocalCommand::Service(command))) => Some(command),
        _ => None,
    };
    let of_ana = ServiceScope { system: true, user: Some("ana".into()) };
    assert_eq!(service("service install"), Some(ServiceCommand::Install(ServiceScope::default())));
    assert_eq!(service("service uninstall --system --user ana"), Some(ServiceCommand::Uninstall(of_ana)));
    assert_eq!(service("service status --user ana"), None, "of whom else than oneself?");
}

#[test]
fn where_a_server_keeps_things_and_how_it_is_looked_after() {
    let table = [
        (
            "server --database postgres://h/d --blobs s3://b/p".to_owned(),
            LocalCommand::Server(ServerOptions {
                storage: StorageOptions { database: Some("postgres://h/d".into()), blobs: Some("s3://b/p".into()) },
                ..ServerOptions::default()
            }),
        ),
        (
            "server check --hashes --blobs s3://b".to_owned(),
            LocalCommand::Server(ServerOptions {
                storage: StorageOptions { database: None, blobs: Some("s3://b".into()) },
                command: Some(ServerCommand::Check(CheckOptions { hashes: true })),
                ..ServerOptions::default()
            }),
        ),
        (
            "server gc --grace 0".to_owned(),
            LocalCommand::Server(ServerOptions {
                command: Some(ServerCommand::Gc(GcOptions { grace: 0 })),
                ..ServerOptions::default()
            }),
        ),
    ];
    for (line, expected) in table {
        assert_eq!(local(&line), expected, "{line}");
    }
}

#[test]
fn wrong_use_ends_with_2_and_names_what_is_wrong() {
    for (line, named) in [
        ("", "Usage"),
        ("no-such-command", "no-such-command"),
        ("status --bogus", "--bogus"),
        ("server --tls-cert c", "--tls-key"),
        ("server --metrics 9", "--metrics"),
        ("sync --dry-run --timeout 5", "--timeout"),
        ("sync --timeout -1", "-1"),
        ("wait --timeout 99999999999999999999", "99999999999999999999"),
        ("wait --timeout 31536001", "31536000"),
        ("folder pause", "LABEL"),
        ("folder remove a/b", "slash"),
        ("folder add a /p --mode both", "send-only"),
        ("conflicts resolve a throw-away", "keep-local"),
        ("conflicts --label a resolve b skip", "resolve"),
        ("rm ../a", ".."),
        ("rm", "PATH"),
        ("search ", "TEXT"),
        ("mv /a b", "starts with a slash"),
        ("get a --range 5-2", "ends before it starts"),
        ("get a --range +1-2", "A-B"),
        ("get a --range 1..2", "A-B"),
        ("get a --range -0", "nothing"),
        ("init --label l", "--folder"),
        ("init --account 5Grw", "--account"),
        ("init --password x", "--password"),
        ("server --listen localhost", "--listen"),
        ("server token create", "--account"),
        ("server --print-address token list --account x", "token"),
    ] {
        let stop = read(line).expect_err(line);
        assert_eq!(stop.exit(), ExitCode::Usage, "{line}");
        let text = stop.error.render().to_string();
        assert!(text.contains(named), "{line}: {text}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for line in ["--help", "-h", "help", "help sync", "conflicts resolve --help", "--version"] {
        let stop = read(line).expect_err(line);
        assert_eq!(stop.exit(), ExitCode::Done, "{line}");
        let (mut terminal, screen) = Terminal::scripted();
        assert_eq!(stop.print(&mut terminal), ExitCode::Done);
        assert!(screen.take_out().contains("hcfs"), "{line}");
        assert_eq!(screen.take_err(), "");
    }
}

#[test]
fn wrong_use_is_told_as_text_or_as_json() {
    let (mut terminal, screen) = Terminal::scripted();
    assert_eq!(read("sync --timeout x").unwrap_err().print(&mut terminal), ExitCode::Usage);
    let text = screen.take_err();
    assert!(text.starts_with("error: invalid value 'x' for '--timeout <S>'"), "{text}");
    assert_eq!(read("--json sync --timeout x").unwrap_err().print(&mut terminal), ExitCode::Usage);
    let json: serde_json::Value = serde_json::from_str(&screen.take_err()).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["error"]["code"], "bad_request");
    assert!(json["error"]["message"].as_str().unwrap().starts_with("invalid value 'x'"), "{json}");
    assert_eq!(screen.take_out(), "");
}

/// Every command, and those below it.
fn walk(command: &clap::Command, path: &str, see: &mut impl FnMut(&clap::Command, &str)) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        see(sub, &path);
        walk(sub, &path, see);
    }
}

#[test]
fn every_command_has_an_example_that_is_right() {
    let mut seen = 0;
    walk(&Invocation::command(), "hcfs", &mut |command, path| {
        let about = command.get_about().unwrap_or_else(|| panic!("{path} does not say what it does")).to_string();
        assert!(about.len() > 10 && !about.ends_with('.') && !about.contains('\n'), "{path}: {about}");
        let help = command.get_after_help().unwrap_or_else(|| panic!("{path} has no example")).to_string();
        assert!(help.starts_with("Example"), "{path}: {help}");
        let examples: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert!(!examples.is_empty(), "{path}: {help}");
        for example in examples {
            assert!(example.starts_with("hcfs "), "{path}: {example}");
            let end = example.find(['|', '>']).or_else(|| example.find("&&")).unwrap_or(example.len());
            let line = example[5..end].replace("5Grw…", ACCOUNT).replace('\'', "");
            let line = line.split("&&").next().unwrap_or_default();
            assert!(read(line).is_ok(), "{path}: {example}: {}", read(line).unwrap_err().error);
            seen += 1;
        }
    });
    assert!(seen > 40, "{seen}");
}

#[test]
fn no_option_takes_a_secret() {
    walk(&Invocation::command(), "hcfs", &mut |command, path| {
        for option in command.get_arguments() {
            let name = option.get_long().unwrap_or_default();
            assert!(!["password", "mnemonic", "token", "phrase", "secret"].contains(&name), "{path} --{name}");
        }
    });
}

#[test]
fn options_come_before_the_environment() {
    let env = |name: &str| match name {
        "HOME" => Some("/home/me".into()),
        "HCFS_SOCKET" => Some("/run/env.sock".into()),
        "HCFS_CONFIG" => Some("/env.toml".into()),
        _ => None,
    };
    let options = read("status --socket /run/opt.sock --state-dir state").unwrap().options;
    let paths = options.paths(&env).unwrap();
    assert_eq!(paths.socket, Path::new("/run/opt.sock"));
    assert_eq!(paths.config, Path::new("/env.toml"));
    assert_eq!(paths.state, std::env::current_dir().unwrap().join("state"));
    let empty = GlobalOptions { socket: Some(PathBuf::new()), ..GlobalOptions::default() };
    assert_eq!(empty.paths(&env).unwrap().socket, Path::new("/home/me/.local/state/hcfs/run/hcfs.sock"));
    let long = GlobalOptions { socket: Some("x".repeat(200).into()), ..GlobalOptions::default() };
    assert!(matches!(long.paths(&env), Err(PathsError::SocketTooLong(_))));
}

#[test]
fn options_of_every_command_may_stand_behind_it() {
    let invocation = read("folder remove a --yes -q --json").unwrap();
    assert!(invocation.options.yes && invocation.options.quiet && invocation.options.json);
}

#[test]
fn the_help_of_the_program() {
    insta::assert_snapshot!(Invocation::command().term_width(100).render_help());
    let after = Invocation::command().get_after_help().unwrap().to_string();
    for code in ExitCode::ALL {
        let told = format!("{} {}", code.number(), code.meaning());
        assert!(after.contains(&told), "{told}");
    }
}

#[test]
fn every_command_of_the_guide_to_getting_things_back_exists() {
    let guide = include_str!("../../../hcfs/docs/recovery.md");
    let lines = guide.lines().filter_map(|line| line.strip_prefix("hcfs "));
    let quoted = guide.split('`').skip(1).step_by(2).filter_map(|text| text.strip_prefix("hcfs "));
    let mut commands = 0;
    for line in lines.chain(quoted) {
        let line = line.split(" #").next().unwrap().replace("SS58", ACCOUNT).replace("NAME", "docs");
        // What a table completes in its cells.
        let line = line.replace("report.odt …", "report.odt skip").replace("ID", "7");
        read(line.trim()).unwrap_or_else(|stop| panic!("{line}: {}", stop.message()));
        commands += 1;
    }
    assert!(commands > 12, "{commands}");
}
