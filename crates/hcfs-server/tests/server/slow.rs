use std::time::Duration;

use hcfs_server::ServerError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{BOUNDARY, PATIENCE, Rig, ciphertext, eventually, native, rig, rig_with, until_closed};

async fn impatient() -> Rig {
    rig_with(|config| {
        config.limits.header_timeout = Duration::from_millis(200);
        config.limits.stall_timeout = Duration::from_millis(200);
    })
    .await
}

#[tokio::test]
async fn a_client_that_never_asks_is_let_go() {
    let rig = impatient().await;
    for opening in ["", "P", "PRI * HTTP/2.0\r\n", "GET /health HTTP/1.1\r\nhost:"] {
        let mut stream = TcpStream::connect(rig.running.address()).await.unwrap();
        stream.write_all(opening.as_bytes()).await.unwrap();
        until_closed(stream).await;
    }
}

#[tokio::test]
async fn a_body_that_stops_is_answered_and_leaves_nothing() {
    let rig = impatient().await;
    let blob = ciphertext(1_000_000, 1);
    let body = native(&rig.manifest("a", 1_000_000, &blob, None), &blob);
    let mut stream = TcpStream::connect(rig.running.address()).await.unwrap();
    let head = format!(
        "POST /upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n",
        rig.token,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..700_000]).await.unwrap();
    let answer = until_closed(stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    eventually("the upload is gone", || rig.blob_files().is_empty()).await;
}

#[tokio::test]
async fn a_client_that_stops_reading_is_let_go() {
    let rig = impatient().await;
    rig.put("a", 30_000_000, 1, None).await;
    let mut stream = TcpStream::connect(rig.running.address()).await.unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        rig.file_route("download", "a"),
        rig.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 1000];
    stream.read_exact(&mut first).await.unwrap();
    // The server's shutdown waits for connections: it ends only if this one is let go.
    tokio::time::timeout(Duration::from_secs(4), rig.running.shutdown()).await.expect("it holds on").unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let rig = rig_with(|config| config.limits.connections = 1).await;
    let ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut answer = [0; 12];
    let mut first = TcpStream::connect(rig.running.address()).await.unwrap();
    first.write_all(ask).await.unwrap();
    first.read_exact(&mut answer).await.unwrap();
    let mut second = TcpStream::connect(rig.running.address()).await.unwrap();
    second.write_all(ask).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), second.read_exact(&mut answer)).await;
    assert!(early.is_err(), "two connections at once");
    drop(first);
    tokio::time::timeout(PATIENCE, second.read_exact(&mut answer)).await.expect("its turn never came").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let rig = rig_with(|config| config.limits.shutdown_timeout = Duration::from_millis(200)).await;
    let mut stream = rig.announce_upload().await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100", "it waits for the body");
    let stopped = tokio::time::timeout(Duration::from_secs(4), rig.running.shutdown()).await.expect("it waits on");
    assert!(matches!(stopped, Err(ServerError::Cut)), "{stopped:?}");
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let rig = rig().await;
    let length = 8 << 20;
    let mut stream = TcpStream::connect(rig.running.address()).await.unwrap();
    let head =
        format!("POST /upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer none\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![0; length / 2]).await.unwrap();
    let mut answer = vec![0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("it waits for the body").unwrap();
    assert_eq!(answer, b"HTTP/1.1 401");
    stream.write_all(&vec![0; length / 2]).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(until_closed(stream).await.ends_with("ok"), "the connection goes on");
}
