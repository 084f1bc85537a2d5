use std::time::Duration;

use hcfs_server::{MetadataError, Server, ServerConfig, ServerError, tokens};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{account, ciphertext, eventually, hash, native, rig, storage};

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let rig = rig().await;
    let first = rig.put("a", 1_000, 1, None).await;
    let second = rig.put("a", 300_000, 2, Some(first)).await;
    rig.put("b", 10, 3, None).await;
    let before = rig.listing().await;
    let rig = rig.restart().await;
    assert_eq!(rig.listing().await, before);
    assert_eq!(rig.revision("a").await, Some(second));
    assert_eq!(rig.get(&rig.file_route("download", "a")).await.body, ciphertext(300_000, 2));
}

#[tokio::test]
async fn a_data_directory_has_one_server() {
    let rig = rig().await;
    let config = || ServerConfig::new(rig.directory.path().to_owned(), "127.0.0.1:0".parse().unwrap());
    let Err(error) = Server::start(config()).await else { panic!("two servers") };
    assert!(matches!(error, ServerError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(rig.directory.path().to_str().unwrap()), "{error}");
    let config = config();
    rig.running.shutdown().await.unwrap();
    Server::start(config).await.unwrap().shutdown().await.unwrap();
}

#[tokio::test]
async fn a_start_removes_what_nobody_needs_and_nothing_else() {
    let rig = rig().await;
    rig.put("a", 1_000, 1, None).await;
    let kept = rig.blob_path(hash(&ciphertext(1_000, 1)));
    let orphans: Vec<_> = (0..50).map(|seed| rig.object_path(&hash(&ciphertext(10, 100 + seed)).to_hex())).collect();
    let stray = rig.directory.path().join("blobs/incoming/0123");
    let session = rig.directory.path().join("blobs/sessions").join("ab".repeat(16));
    let foreign = kept.with_file_name("README");
    let rig = rig
        .restart_after(|_| {
            for path in orphans.iter().chain([&stray, &session, &foreign]) {
                std::fs::write(path, b"left over").unwrap();
            }
        })
        .await;
    assert!(!stray.exists(), "before the first request");
    assert!(!session.exists(), "before the first request");
    eventually("the orphans are gone", || orphans.iter().all(|path| !path.exists())).await;
    assert!(kept.exists() && foreign.exists());
    assert_eq!(rig.get(&rig.file_route("download", "a")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let Err(error) = Server::start(ServerConfig::new(file.clone(), listen)).await else { panic!("a file") };
    assert!(matches!(error, ServerError::Data { .. }), "{error}");

    let garbage = directory.path().join("garbage");
    std::fs::create_dir(&garbage).unwrap();
    std::fs::write(garbage.join("metadata.sqlite3"), [7; 4096]).unwrap();
    let Err(error) = Server::start(ServerConfig::new(garbage.clone(), listen)).await else { panic!("garbage") };
    assert!(matches!(error, ServerError::Database { .. }), "{error}");
    assert!(matches!(tokens::create(&storage(&garbage), &account(1), "x").await, Err(ServerError::Database { .. })));

    let newer = directory.path().join("newer");
    tokens::create(&storage(&newer), &account(1), "x").await.unwrap();
    let db = rusqlite::Connection::open(newer.join("metadata.sqlite3")).unwrap();
    db.pragma_update(None, "user_version", 999).unwrap();
    let Err(error) = Server::start(ServerConfig::new(newer, listen)).await else { panic!("newer") };
    let ServerError::Database { source, .. } = &error else { panic!("{error}") };
    assert!(matches!(source, MetadataError::Newer { found: 999, .. }));
    assert!(!error.hint().is_empty());
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let rig = rig().await;
    let directory = tempfile::TempDir::new().unwrap();
    let config = ServerConfig::new(directory.path().to_owned(), rig.running.address());
    let Err(error) = Server::start(config).await else { panic!("two listeners") };
    assert!(matches!(error, ServerError::Listen { .. }) && error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_shutdown_lets_a_running_upload_finish() {
    let rig = rig().await;
    let blob = ciphertext(1_000_000, 1);
    let body = native(&rig.manifest("a", 1_000_000, &blob, None), &blob);
    let mut stream = tokio::net::TcpStream::connect(rig.running.address()).await.unwrap();
    let head = format!(
        "POST /upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\
         content-type: multipart/form-data; boundary={}\r\n\r\n",
        rig.token,
        body.len(),
        crate::harness::BOUNDARY
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..600_000]).await.unwrap();
    eventually("the upload is on the disk", || rig.blob_files().len() == 1).await;

    let address = rig.running.address();
    let running = tokio::spawn(rig.running.shutdown());
    let refused = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, refused).await.expect("it still listens");
    stream.write_all(&body[600_000..]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    running.await.unwrap().unwrap();
}
