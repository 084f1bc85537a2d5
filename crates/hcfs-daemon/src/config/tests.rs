use super::*;

fn paths() -> Paths {
    Paths {
        config: "/home/me/.config/hcfs/config.toml".into(),
        state: "/home/me/.local/state/hcfs".into(),
        socket: "/run/user/1/hcfs/hcfs.sock".into(),
        server_data: "/home/me/.local/share/hcfs/server".into(),
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("config.toml"), text, &paths())
}

fn env(vars: &'static [(&'static str, &'static str)]) -> Environment {
    Arc::new(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
}

/// Every key there is.
const FULL: &str = r#"
device = "laptop-home"
[server]
url = "https://example.org/"
account = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
token = "file:/etc/hcfs/token"
poll_seconds = 60
[unlock]
with = "credential:hcfs"
[[folder]]
label = "documents"
path = "/home/me/Documents/"
ignore = ["*.tmp", "target/"]
mode = "receive-only"
conflicts = "accept-remote"
share_paths = true
max_delete = { files = 5, percent = 50 }
trash_days = 7
trash_size = "5GB"
[[folder]]
label = "photos"
path = "/home/me/Photos"
[limits]
upload = "10MB/s"
download = "0"
transfers = 3
[socket]
readers = "operators"
"#;

#[test]
fn every_key_is_read() {
    let config = parse(FULL).unwrap();
    assert_eq!(config.device, "laptop-home");
    assert_eq!(config.server.url.as_deref(), Some("https://example.org"));
    assert_eq!(config.server.token, Some(SecretPlace::File("/etc/hcfs/token".into())));
    assert!(config.server.account.is_some());
    assert_eq!(config.server.poll_seconds, 60);
    assert_eq!(config.unlock, Unlock::Credential("hcfs".into()));
    assert_eq!(config.readers.as_deref(), Some("operators"));
    assert_eq!(config.limits, Limits { upload: 10_000_000, download: 0, transfers: 3 });
    let documents = &config.folders[&FolderLabel::new("documents").unwrap()];
    assert_eq!(
        *documents,
        FolderConfig {
            path: "/home/me/Documents".into(),
            ignore: vec!["*.tmp".into(), "target/".into()],
            mode: FolderMode::ReceiveOnly,
            conflicts: Resolution::AcceptRemote,
            share_paths: true,
            max_delete: MaxDelete { files: 5, percent: 50 },
            trash_days: 7,
            trash_size: 5_000_000_000,
        }
    );
    let photos = &config.folders[&FolderLabel::new("photos").unwrap()];
    assert_eq!(*photos, FolderConfig::at("/home/me/Photos".into()));
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(parse("").unwrap(), Config::defaults());
    assert!(!Config::defaults().device.is_empty());
}

/// (text, line, column, key, part of the message, part of the hint)
const WRONG: &[(&str, usize, usize, &str, &str, &str)] = &[
    ("device = laptop", 1, 10, "", "", "TOML"),
    ("devise = \"a\"", 1, 1, "devise", "is not a key", "did you mean `device`?"),
    ("[server]\nurl = 3", 2, 7, "server.url", "is a whole number", "a text in quotes"),
    ("[server]\nurl = \"http://example.org\"", 2, 7, "server.url", "not encrypted", "https"),
    ("[server]\naccount = \"5Grw\"", 2, 11, "server.account", "not an account", "whole address"),
    ("[server]\ntoken = \"s3cret\"", 2, 9, "server.token", "does not say where", "never the token itself"),
    ("[server]\ntoken = \"file:token\"", 2, 9, "server.token", "absolute", "file:/PATH"),
    ("[server]\nport = 1", 2, 1, "server.port", "is not a key", "url, account"),
    ("server = 1", 1, 10, "server", "is a whole number", "a section"),
    ("[unlock]", 1, 1, "unlock.with", "is missing", "prompt"),
    ("[unlock]\nwith = \"magic\"", 2, 8, "unlock.with", "does not say", "keyfile:/PATH"),
    ("[folder]\nlabel = \"a\"", 1, 1, "folder", "is a section", "[[folder]]"),
    ("[[folder]]\nlabel = \"a\"", 1, 1, "folder.path", "is missing", "directory"),
    ("[[folder]]\npath = \"/a\"", 1, 1, "folder.label", "is missing", "name"),
    ("[[folder]]\nlabel = \"a/b\"\npath = \"/a\"", 2, 9, "folder.label", "slash", "same name"),
    ("[[folder]]\nlabel = \"a\"\npath = \"a\"", 3, 8, "folder.path", "not an absolute path", "starting with /"),
    ("[[folder]]\nlabel = \"a\"\npath = \"/a\"\nmode = \"both\"", 4, 8, "folder.mode", "not a mode", "send-only"),
    (
        "[[folder]]\nlabel = \"a\"\npath = \"/a\"\nshare_paths = \"no\"",
        4,
        15,
        "folder.share_paths",
        "true or false",
        "",
    ),
    ("[[folder]]\nlabel = \"a\"\npath = \"/a\"\nignore = [1]", 4, 10, "folder.ignore", "list of texts", ""),
    (
        "[[folder]]\nlabel = \"a\"\npath = \"/a\"\nmax_delete = { percent = 101 }",
        4,
        26,
        "folder.max_delete.percent",
        "out of bounds",
        "0 to 100",
    ),
    ("[[folder]]\nlabel = \"a\"\npath = \"/a\"\ntrash_days = -1", 4, 14, "folder.trash_days", "out of bounds", "0 to"),
    (
        "[[folder]]\nlabel = \"a\"\npath = \"/a\"\n[[folder]]\nlabel = \"a\"\npath = \"/b\"",
        4,
        1,
        "folder.label",
        "another folder has",
        "own",
    ),
    (
        "[[folder]]\nlabel = \"a\"\npath = \"/a\"\n[[folder]]\nlabel = \"b\"\npath = \"/a/b\"",
        4,
        1,
        "folder.path",
        "lies inside folder \"a\"",
        "one another",
    ),
    (
        "[[folder]]\nlabel = \"a\"\npath = \"/a/b\"\n[[folder]]\nlabel = \"b\"\npath = \"/a\"",
        4,
        1,
        "folder.path",
        "holds folder \"a\"",
        "one another",
    ),
    (
        "[[folder]]\nlabel = \"a\"\npath = \"/home/me\"",
        1,
        1,
        "folder.path",
        "holds the program's state",
        "HCFS_STATE_DIR",
    ),
    ("[limits]\nupload = \"fast\"", 2, 10, "limits.upload", "not a rate", "10MB/s"),
    ("[limits]\ntransfers = 0", 2, 13, "limits.transfers", "out of bounds", "1 to 64"),
    ("[socket]\nreaders = \"a b\"", 2, 11, "socket.readers", "no group's name", "one group"),
    ("[socket]\nreaders = [\"a\"]", 2, 11, "socket.readers", "is a list", "a text in quotes"),
    ("[socket]\nreader = \"a\"", 2, 1, "socket.reader", "is not a key", "did you mean `readers`?"),
    ("[page]\nport = 65536", 2, 8, "page.port", "out of bounds", "0 to 65535"),
    ("[limits]\ntransfers = 2.5", 2, 13, "limits.transfers", "number with a point", "whole number"),
    ("device = \"ü\"\ndevice = \"b\"", 2, 1, "", "duplicate", ""),
    ("# ü\n  device = \"\"", 2, 12, "device", "is empty", "short name"),
];

#[test]
fn every_error_names_its_line_column_and_key() {
    for &(text, line, column, key, message, hint) in WRONG {
        let error = parse(text).unwrap_err();
        let shown = error.to_string();
        let ConfigError::At { line: at_line, column: at_column, key: at_key, .. } = &error else {
            panic!("{text:?}: {error:?}")
        };
        assert_eq!((*at_line, *at_column, at_key.as_str()), (line, column, key), "{text:?}: {shown}");
        assert!(shown.contains(message), "{text:?}: {shown}");
        assert!(error.hint().contains(hint) && !error.hint().is_empty(), "{text:?}: {}", error.hint());
        assert!(shown.starts_with(&format!("\"config.toml\" line {line}, column {column}: ")), "{shown}");
        assert!(key.is_empty() || shown.contains(&format!("`{key}`")), "{shown}");
        assert_eq!(error.code().exit().number(), 78, "{text:?}");
    }
}

#[test]
fn a_token_written_by_mistake_is_not_repeated() {
    let error = parse("[server]\ntoken = \"s3cret-t0ken\"").unwrap_err();
    assert!(!format!("{error} {error:?} {}", error.hint()).contains("s3cret"));
}

#[test]
fn the_environment_comes_before_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths { config: dir.path().join("config.toml"), ..paths() };
    std::fs::write(&paths.config, FULL).unwrap();
    let vars = env(&[
        ("HCFS_DEVICE", "tower"),
        ("HCFS_SERVER_URL", "http://127.0.0.1:7000"),
        ("HCFS_SERVER_TOKEN", "env:TOKEN"),
        ("HCFS_SERVER_POLL_SECONDS", "2"),
        ("HCFS_UNLOCK_WITH", "prompt"),
        ("HCFS_LIMITS_UPLOAD", "1KB"),
        ("HCFS_LIMITS_TRANSFERS", "9"),
        ("HCFS_PAGE_ENABLED", "true"),
        ("HCFS_PAGE_PORT", "7001"),
        ("HCFS_SOCKET_READERS", "watchers"),
        ("HCFS_SERVER_ACCOUNT", ""),
    ]);
    let config = Config::load(&paths, &vars).unwrap();
    assert_eq!(config.device, "tower");
    assert_eq!(config.server.url.as_deref(), Some("http://127.0.0.1:7000"));
    assert_eq!(config.server.token, Some(SecretPlace::Env("TOKEN".into())));
    assert_eq!(config.server.poll_seconds, 2);
    assert!(config.server.account.is_some(), "an empty variable is none");
    assert_eq!(config.unlock, Unlock::Prompt);
    assert_eq!(config.limits, Limits { upload: 1000, download: 0, transfers: 9 });
    assert_eq!(config.page, PageConfig { enabled: true, port: 7001 });
    assert_eq!(config.readers.as_deref(), Some("watchers"));
}

#[test]
fn a_wrong_variable_is_named() {
    for (vars, name) in [
        (env(&[("HCFS_SERVER_URL", "nowhere")]), "HCFS_SERVER_URL"),
        (env(&[("HCFS_LIMITS_TRANSFERS", "65")]), "HCFS_LIMITS_TRANSFERS"),
        (env(&[("HCFS_UNLOCK_WITH", "hope")]), "HCFS_UNLOCK_WITH"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { config: dir.path().join("none.toml"), ..paths() };
        let error = Config::load(&paths, &vars).unwrap_err();
        assert!(matches!(&error, ConfigError::Variable { variable, .. } if *variable == name), "{error:?}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_no_missing_file() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths { config: dir.path().to_owned(), ..paths() };
    assert!(matches!(Config::load(&paths, &env(&[])), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn folders_that_meet_through_a_link_lie_inside_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    std::fs::create_dir(&real).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let text = format!(
        "[[folder]]\nlabel = \"a\"\npath = {:?}\n[[folder]]\nlabel = \"b\"\npath = {:?}\n",
        real.to_str().unwrap(),
        link.join("not/yet").to_str().unwrap()
    );
    assert!(parse(&text).unwrap_err().to_string().contains("lies inside folder \"a\""));
}

mod editing {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn with_file(text: &str) -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { config: dir.path().join("sub/config.toml"), ..paths() };
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(&paths.config, text).unwrap();
        (dir, paths)
    }

    fn entry(label: &str, path: &str) -> FolderEntry {
        FolderEntry {
            label: FolderLabel::new(label).unwrap(),
            path: path.into(),
            mode: FolderMode::SendOnly,
            ignore: vec!["a \"quoted\" one".into()],
        }
    }

    #[test]
    fn a_folder_is_added_at_the_end_and_nothing_else_changes() {
        let (_dir, paths) = with_file(FULL);
        std::fs::set_permissions(&paths.config, std::fs::Permissions::from_mode(0o640)).unwrap();
        add_folder(&paths, &entry("new \"one\"", "/home/me/New\\one")).unwrap();
        let text = std::fs::read_to_string(&paths.config).unwrap();
        assert!(text.starts_with(FULL));
        let config = Config::load(&paths, &env(&[])).unwrap();
        let added = &config.folders[&FolderLabel::new("new \"one\"").unwrap()];
        assert_eq!(added.path, Path::new("/home/me/New\\one"));
        assert_eq!(added.mode, FolderMode::SendOnly);
        assert_eq!(added.ignore, ["a \"quoted\" one"]);
        assert_eq!(std::fs::metadata(&paths.config).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_folder_that_does_not_fit_changes_nothing() {
        let (_dir, paths) = with_file(FULL);
        for (label, path) in [("documents", "/elsewhere"), ("x", "/home/me/Documents/x"), ("y", "/home/me")] {
            let error = add_folder(&paths, &entry(label, path)).unwrap_err();
            assert_eq!(error.code(), hcfs_api::ErrorCode::Exists, "{error}");
        }
        assert_eq!(std::fs::read_to_string(&paths.config).unwrap(), FULL);
    }

    #[test]
    fn a_removed_folder_takes_its_lines_and_no_others() {
        let text = "# mine\ndevice = \"d\" # laptop\n\n[[folder]] # first\nlabel = \"a\"\npath = \"/a\"\n\
                    [folder.max_delete]\nfiles = 3 # few\n\n# the second\n[[folder]]\npath = \"/b\"\n\
                    ignore = [\n  \"[[folder]]\", # not a header\n]\nlabel = \"b\"\n\n[limits]\ntransfers = 2\n";
        let (_dir, paths) = with_file(text);
        remove_folder(&paths, &FolderLabel::new("a").unwrap()).unwrap();
        let left = std::fs::read_to_string(&paths.config).unwrap();
        let gone = "[[folder]] # first\nlabel = \"a\"\npath = \"/a\"\n[folder.max_delete]\nfiles = 3 # few\n";
        assert_eq!(left, text.replace(gone, ""));
        remove_folder(&paths, &FolderLabel::new("b").unwrap()).unwrap();
        let left = std::fs::read_to_string(&paths.config).unwrap();
        assert_eq!(left, "# mine\ndevice = \"d\" # laptop\n\n\n# the second\n\n[limits]\ntransfers = 2\n");
        let error = remove_folder(&paths, &FolderLabel::new("b").unwrap()).unwrap_err();
        assert_eq!(error.code(), hcfs_api::ErrorCode::NoFolder);
    }

    #[test]
    fn limits_are_set_in_their_place_under_their_header_or_at_the_end() {
        let limits = Limits { upload: 1_000_000, download: 0, transfers: 3 };
        let cases = [
            ("device = \"d\"", "device = \"d\"\n\n[limits]\nupload = \"1000000\"\ntransfers = 3\n"),
            (
                "[limits] # mine\ndownload = \"5\" # slow\n[unlock]\nwith = \"prompt\"\n",
                "[limits] # mine\nupload = \"1000000\"\ntransfers = 3\ndownload = \"0\" # slow\n[unlock]\nwith = \"prompt\"\n",
            ),
            ("[limits]\nupload = \"1MB/s\"\ntransfers = 3", "[limits]\nupload = \"1MB/s\"\ntransfers = 3"),
        ];
        for (before, after) in cases {
            let (_dir, paths) = with_file(before);
            set_limits(&paths, limits).unwrap();
            assert_eq!(std::fs::read_to_string(&paths.config).unwrap(), after);
            assert_eq!(Config::load(&paths, &env(&[])).unwrap().limits, limits);
        }
        let (_dir, paths) = with_file("limits = { transfers = 2 }\n");
        set_limits(&paths, Limits { upload: 0, download: 0, transfers: 9 }).unwrap();
        assert_eq!(std::fs::read_to_string(&paths.config).unwrap(), "limits = { transfers = 9 }\n");
        assert!(matches!(set_limits(&paths, limits), Err(ConfigError::NotEditable(_))));
    }

    #[test]
    fn folders_in_one_line_are_left_for_a_person_to_change() {
        let text = "folder = [{ label = \"a\", path = \"/a\" }, { label = \"b\", path = \"/b\" }]\n";
        let (_dir, paths) = with_file(text);
        let error = remove_folder(&paths, &FolderLabel::new("a").unwrap()).unwrap_err();
        assert!(matches!(error, ConfigError::NotEditable(_)), "{error:?}");
        assert!(matches!(add_folder(&paths, &entry("c", "/c")), Err(ConfigError::NotEditable(_))));
        assert_eq!(std::fs::read_to_string(&paths.config).unwrap(), text);
    }

    #[test]
    fn a_first_configuration_says_what_was_given() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { config: dir.path().join("a/b/config.toml"), ..paths() };
        let token = SecretPlace::File("/t".into());
        let unlock = Unlock::Keyfile("/k".into());
        create(&paths, "d", Some("https://example.org"), None, Some(&token), &unlock).unwrap();
        let config = Config::load(&paths, &env(&[])).unwrap();
        assert_eq!(config.device, "d");
        assert_eq!(config.server.url.as_deref(), Some("https://example.org"));
        assert_eq!((config.server.token, config.unlock), (Some(token), unlock));
        assert!(create(&paths, "other", None, None, None, &Unlock::Prompt).is_err(), "never over an existing one");
        assert_eq!(Config::load(&paths, &env(&[])).unwrap().device, "d");
    }

    #[test]
    fn a_linked_configuration_stays_a_link() {
        let (dir, paths) = with_file(FULL);
        let kept = dir.path().join("dotfiles.toml");
        std::fs::rename(&paths.config, &kept).unwrap();
        std::os::unix::fs::symlink(&kept, &paths.config).unwrap();
        add_folder(&paths, &entry("n", "/n")).unwrap();
        assert!(paths.config.is_symlink());
        assert!(std::fs::read_to_string(&kept).unwrap().contains("label = \"n\""));
    }
}

#[test]
fn the_example_of_the_package_shows_the_defaults_and_nothing_that_is_wrong() {
    let example = include_str!("../../../hcfs/packaging/config.toml");
    assert_eq!(parse(example).unwrap(), Config::defaults());
    let is_key = |line: &str| line.strip_prefix('#').is_some_and(|rest| !rest.starts_with(' '));
    let lines = example.lines().map(|line| if is_key(line) { &line[1..] } else { line });
    let all = parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    let folder = &all.folders[&FolderLabel::new("documents").unwrap()];
    let ignore = vec!["*.tmp".to_owned(), "target/".to_owned()];
    assert_eq!(*folder, FolderConfig { ignore, ..FolderConfig::at("/home/me/Documents".into()) });
    assert!(all.server.token.is_some() && all.server.account.is_some() && all.server.url.is_some());
}
