//! The contract of the stores, over those that servers share.

use hcfs_server::{MetadataError, ServerError, Storage, contract, tokens};
use tempfile::TempDir;

use crate::services::{S3, connect, database};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_and_a_directory_keep_the_contract() {
    let directory = TempDir::new().unwrap();
    contract::run(&Storage::local(directory.path().to_owned()).with_database(&database().await).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_and_s3_keep_the_contract() {
    let (directory, s3) = (TempDir::new().unwrap(), S3::start().await);
    let storage = Storage { bucket: Some(s3.bucket()), ..Storage::local(directory.path().to_owned()) };
    contract::run(&storage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_and_s3_keep_the_contract() {
    let s3 = S3::start().await;
    let storage = Storage { bucket: Some(s3.bucket()), ..Storage::local("/nowhere".into()) };
    contract::run(&storage.with_database(&database().await).unwrap()).await;
    assert!(!std::path::Path::new("/nowhere").exists(), "nothing lies on this machine");
}

#[tokio::test]
async fn a_database_of_another_program_version_is_refused() {
    let url = database().await;
    let storage = Storage::local("/nowhere".into()).with_database(&url).unwrap();
    let account = hcfs_model::AccountAddress::from_public_key([1; 32]);
    // Servers that start at the same time take turns.
    let starts = (0..4).map(|_| tokens::list(&storage, &account));
    for listed in futures_util::future::join_all(starts).await {
        assert_eq!(listed.unwrap(), []);
    }
    let database = connect(url.rsplit('/').next().unwrap()).await;
    database.batch_execute("UPDATE migrations SET checksum = sha256('') WHERE number = 1").await.unwrap();
    let Err(ServerError::Database { source, .. }) = tokens::list(&storage, &account).await else { panic!("taken") };
    assert!(matches!(source, MetadataError::ForeignMigration(1)), "{source}");
    let newer = "INSERT INTO migrations (number, checksum) VALUES (999, sha256(''))";
    database.batch_execute(newer).await.unwrap();
    let Err(ServerError::Database { source, .. }) = tokens::list(&storage, &account).await else { panic!("taken") };
    assert!(matches!(source, MetadataError::Newer { found: 999, .. }), "{source}");
}

#[tokio::test]
async fn what_cannot_be_reached_is_named() {
    let account = hcfs_model::AccountAddress::from_public_key([1; 32]);
    let nobody = Storage::local("/nowhere".into()).with_database("postgres://hcfs@127.0.0.1:1/some").unwrap();
    let Err(error) = tokens::list(&nobody, &account).await else { panic!("reached") };
    assert!(error.to_string().contains("some") && !error.hint().is_empty(), "{error}");
    for url in ["mysql://h/d", "postgres://hcfs:secret@h/d", "postgres://h/d?nonsense=1"] {
        let Err(error) = Storage::local("/nowhere".into()).with_database(url) else { panic!("{url}") };
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    for url in ["https://b/p", "s3:///p", "s3://id:secret@b/p", "s3://b/p?acl=public"] {
        let Err(error) = Storage::local("/nowhere".into()).with_blobs(url) else { panic!("{url}") };
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
