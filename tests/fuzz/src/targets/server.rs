//! The server as a whole, behind its socket: requests of any bytes, and forms of any shape.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use hcfs_model::AccountAddress;
use hcfs_server::{RunningServer, Server, ServerConfig, Storage, tokens};

use super::kind;
use crate::Target;

const WORDS: &[&str] = &[
    "GET ",
    "POST ",
    "PUT ",
    "DELETE ",
    "HEAD ",
    " HTTP/1.1\r\n",
    "\r\n",
    "\r\n\r\n",
    "/upload",
    "/get_state/",
    "/download/",
    "/upload/session",
    "/chunk/",
    "/finalize",
    "/rename_files",
    "/register_folder",
    "/browse/",
    "/search_files/",
    "/changes/",
    "/upload_batch",
    "/delete_files",
    "?offset=",
    "&limit=",
    "content-length: ",
    "transfer-encoding: chunked",
    "range: bytes=",
    "if-match: ",
    "expect: 100-continue",
    "content-type: multipart/form-data; boundary=x",
    "content-type: application/json",
    "--x\r\n",
    "--x--\r\n",
    "content-disposition: form-data; name=\"manifest\"",
    "name=\"ciphertext\"",
    "name=\"file\"",
    "name=\"account_ss58\"",
    "ACCOUNT",
    "37a8eec1ce19687d",
    "18446744073709551615",
    "%2e%2e",
    "%00",
];

pub(super) const REQUEST: Target = Target { name: "server_request", words: WORDS, run: request };
pub(super) const UPLOAD: Target = Target { name: "server_upload", words: WORDS, run: upload };

struct Site {
    address: SocketAddr,
    account: String,
    token: String,
    /// Serves as long as the process lives.
    _running: RunningServer,
    _runtime: tokio::runtime::Runtime,
    _place: tempfile::TempDir,
}

fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let account = AccountAddress::from_public_key([1; 32]);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = ServerConfig::new(place.path().to_owned(), "127.0.0.1:0".parse().unwrap());
        let storage = Storage::local(place.path().to_owned());
        let token = runtime.block_on(tokens::create(&storage, &account, "fuzz")).unwrap();
        let running = runtime.block_on(Server::start(config)).unwrap();
        Site {
            address: running.address(),
            account: account.as_str().to_owned(),
            token,
            _running: running,
            _runtime: runtime,
            _place: place,
        }
    })
}

/// The type of the frame a server's side of HTTP/2 begins with.
const FRAME_SETTINGS: u8 = 4;
/// What a connection begins with that speaks HTTP/2 from the start.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Sends bytes, and reads until the server closes. What it says begins with a status, and is no failure of its own; to
/// HTTP/2 it answers in frames.
fn exchange(bytes: &[u8]) {
    let mut stream = TcpStream::connect(site().address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The server may have closed already.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    if bytes.starts_with(PREFACE) {
        assert!(answer.is_empty() || answer.get(3) == Some(&FRAME_SETTINGS), "{answer:?}");
        return;
    }
    let first = String::from_utf8_lossy(answer.split(|&byte| byte == b'\r').next().unwrap_or_default()).into_owned();
    assert!(first.is_empty() || first.starts_with("HTTP/1."), "{first}");
    assert!(!first.contains(" 500 ") && !first.contains(" 502 "), "{first}: {}", String::from_utf8_lossy(&answer));
}

fn with_account(input: &[u8]) -> Vec<u8> {
    let text: Vec<u8> = input.to_vec();
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut rest = &text[..];
    while let Some(at) = rest.windows(7).position(|window| window == b"ACCOUNT") {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(site().account.as_bytes());
        rest = &rest[at + 7..];
    }
    out.extend_from_slice(rest);
    out
}

/// Any bytes after a first line and a token that are right, or from the start.
fn request(input: &[u8]) {
    let (which, rest) = kind(input);
    let rest = with_account(rest);
    let mut bytes = Vec::new();
    if which % 4 != 0 {
        let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
        bytes.extend_from_slice(&rest[..end]);
        bytes.extend_from_slice(
            format!("host: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n", site().token).as_bytes(),
        );
        bytes.extend_from_slice(&rest[end..]);
    } else {
        bytes = rest;
    }
    exchange(&bytes);
}

/// Any body as a form, a session's part, or a batch.
fn upload(input: &[u8]) {
    let (which, body) = kind(input);
    let body = with_account(body);
    let (target, kind) = match which % 5 {
        0..=2 => ("/upload", "multipart/form-data; boundary=x"),
        3 => ("/upload/session", "application/json"),
        _ => ("/upload_batch", "application/vnd.hcfs.batch"),
    };
    let mut bytes = format!(
        "POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n",
        site().token,
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&body);
    exchange(&bytes);
}
