use std::path::Path;

use hcfs_api::{AddSource, Paths, SourceSpec};

use super::*;
use crate::config::{Config, add_source, read_spec, remove_folder, remove_source};

const FOLDER: &str = "[[folder]]\nlabel = \"documents\"\npath = \"/home/me/Documents\"\n";

fn paths(config: &Path) -> Paths {
    Paths {
        config: config.to_owned(),
        state: "/home/me/.local/state/hcfs".into(),
        socket: "/run/user/1/hcfs/hcfs.sock".into(),
        server_data: "/home/me/.local/share/hcfs/server".into(),
    }
}

fn parse(sources: &str) -> Result<Config, ConfigError> {
    let file = Path::new("config.toml");
    Config::parse(file, &format!("{FOLDER}{sources}"), &paths(file))
}

/// One of each kind, with every key it has.
const FULL: &str = r#"
[[source]]
name = "pinned"
kind = "cid"
base_url = "https://storage.example"
credential = "file:/etc/hcfs/storage"
items = ["QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG"]
verify = "required"
into = "documents"
[[source]]
name = "passports"
kind = "storage_file"
base_url = "https://files.example/"
credential = "keyring:passports"
customer_id = "cust_12345"
items = ["file_78901"]
accept = "application/json"
into = "documents/passports/"
every = "1h"
[[source]]
name = "all"
kind = "storage_file"
base_url = "https://files.example"
credential = "credential:files"
all = true
into = "documents/all"
[[source]]
name = "reports"
kind = "signed_url"
base_url = "https://api.example"
credential = "env:REPORTS_KEY"
organization = "org_123"
items = ["file_abc123"]
into = "documents/a/b"
[[source]]
name = "videos"
kind = "download_task"
base_url = "http://127.0.0.1:8000"
items = ["https://media.example/watch?v=1"]
quality = "720p"
deadline = "2h"
cleanup = true
into = "documents/videos"
every = "1d"
[[source]]
name = "lists"
kind = "url"
items = ["https://example.org/list.csv"]
into = "documents"
"#;

#[test]
fn every_key_of_every_kind_is_read() {
    let sources = parse(FULL).unwrap().sources;
    assert_eq!(sources.keys().collect::<Vec<_>>(), ["all", "lists", "passports", "pinned", "reports", "videos"]);
    let passports = &sources["passports"];
    assert_eq!(passports.into_text(), "documents/passports");
    assert_eq!(passports.every, Some(Duration::from_secs(3600)));
    assert_eq!(
        passports.service,
        Service::StorageFile {
            base_url: "https://files.example".into(),
            credential: SecretPlace::Keyring("passports".into()),
            customer_id: Some("cust_12345".into()),
            items: Items::These(vec!["file_78901".into()]),
            accept: Some("application/json".into()),
        }
    );
    assert!(matches!(&sources["all"].service, Service::StorageFile { items: Items::All, .. }));
    assert!(matches!(&sources["pinned"].service, Service::Cid { verify: Verify::Required, .. }));
    assert!(
        matches!(&sources["reports"].service, Service::SignedUrl { organization, .. } if organization == "org_123")
    );
    assert!(matches!(
        &sources["videos"].service,
        Service::DownloadTask { deadline, cleanup: true, .. } if deadline.as_secs() == 7200
    ));
    assert_eq!(sources["lists"].every, None);
    assert_eq!(sources["lists"].into_text(), "documents");
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    let cases = [
        ("kind = \"ftp\"", "source.kind", "cid, storage_file"),
        ("kind = \"url\"\ninto = \"documents\"", "source.items", "list what to bring"),
        ("kind = \"url\"\nitems = []\ninto = \"documents\"", "source.items", "list ids"),
        ("kind = \"url\"\nitems = [\"a\", \"a\"]\ninto = \"documents\"", "source.items", "list ids"),
        ("kind = \"url\"\nitems = [\"a\\nb\"]\ninto = \"documents\"", "source.items", "list ids"),
        ("kind = \"url\"\nitems = [\"a\"]", "source.into", "LABEL/DIRECTORY"),
        ("kind = \"url\"\nitems = [\"a\"]\ninto = \"photos\"", "source.into", "label of a [[folder]]"),
        ("kind = \"url\"\nitems = [\"a\"]\ninto = \"documents/../x\"", "source.into", "without .."),
        ("kind = \"url\"\nitems = [\"a\"]\ninto = \"documents/.\"", "source.into", "without .."),
        ("kind = \"url\"\nitems = [\"a\"]\ninto = \"documents\"\nevery = \"often\"", "source.every", "15m"),
        ("kind = \"url\"\nitems = [\"a\"]\ninto = \"documents\"\ncleanup = true", "source.cleanup", "keys here"),
        ("kind = \"url\"\nitems = [\"a\"]\ninto = \"documents\"\nall = true", "source.all", "keys here"),
        ("kind = \"cid\"\nitems = [\"a\"]\ninto = \"documents\"", "source.base_url", "https://host"),
        ("kind = \"cid\"\nbase_url = \"http://storage.example\"", "source.base_url", "https"),
        (
            "kind = \"cid\"\nbase_url = \"https://a\"\nitems = [\"a\"]\ninto = \"documents\"",
            "source.credential",
            "file:",
        ),
        ("kind = \"cid\"\nbase_url = \"https://a\"\ncredential = \"s3cret\"", "source.credential", "never the token"),
    ];
    for (text, key, hint) in cases {
        let error = parse(&format!("[[source]]\nname = \"s\"\n{text}\n")).unwrap_err();
        let ConfigError::At { key: at, hint: said, .. } = &error else { panic!("{text}: {error:?}") };
        // What is missing is found in the order of reading; a key that is given wrongly is found at all.
        let missing = ["source.into"].contains(&at.as_str()) && !text.contains("into");
        assert!(at == key || missing, "{text}: {error}");
        assert!(at != key || said.contains(hint), "{text}: {said}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let twice = FULL.replace("\"lists\"", "\"all\"");
    assert!(parse(&twice).unwrap_err().to_string().contains("another source has already"));
    let receiving = FOLDER.to_owned() + "mode = \"receive-only\"\n" + FULL;
    let file = Path::new("config.toml");
    let error = Config::parse(file, &receiving, &paths(file)).unwrap_err();
    assert!(error.to_string().contains("sends nothing"), "{error}");
}

fn spec() -> SourceSpec {
    SourceSpec {
        base_url: Some("https://files.example".into()),
        credential: Some("file:/etc/hcfs/files".into()),
        customer_id: Some("cust \"1\"".into()),
        items: vec!["file_1".into(), "file_2".into()],
        ..SourceSpec::of(SourceKind::StorageFile)
    }
}

#[test]
fn a_source_is_added_and_removed_and_every_other_byte_stays() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(&dir.path().join("config.toml"));
    let before = format!("# mine\n{FOLDER}# the end");
    std::fs::write(&paths.config, &before).unwrap();
    let added =
        AddSource { name: "passports".into(), spec: spec(), into: "documents/p".into(), every: Some("1h".into()) };
    add_source(&paths, &added).unwrap();
    let text = std::fs::read_to_string(&paths.config).unwrap();
    assert!(text.starts_with(&before), "{text}");
    let config = Config::parse(&paths.config, &text, &paths).unwrap();
    assert_eq!(config.sources["passports"].service, read_spec(&spec()).unwrap());
    let error = add_source(&paths, &added).unwrap_err();
    assert_eq!(error.code(), hcfs_api::ErrorCode::Exists);
    let folder = FolderLabel::new("documents").unwrap();
    let error = remove_folder(&paths, &folder).unwrap_err();
    assert!(error.hint().contains("hcfs source remove passports"), "{error}");
    remove_source(&paths, "passports").unwrap();
    assert_eq!(std::fs::read_to_string(&paths.config).unwrap(), before + "\n\n");
    assert_eq!(remove_source(&paths, "passports").unwrap_err().code(), hcfs_api::ErrorCode::NoSource);
    remove_folder(&paths, &folder).unwrap();
}

#[test]
fn what_is_asked_for_is_checked_as_the_file_is() {
    let wrong = SourceSpec { quality: Some("720p".into()), ..spec() };
    let error = read_spec(&wrong).unwrap_err();
    assert_eq!(error.code(), hcfs_api::ErrorCode::BadRequest);
    assert!(error.to_string().contains("`quality`"), "{error}");
    let with_token = SourceSpec { credential: Some("s3cret".into()), ..spec() };
    assert!(!format!("{:?}", read_spec(&with_token).unwrap_err()).contains("s3cret"));
}
