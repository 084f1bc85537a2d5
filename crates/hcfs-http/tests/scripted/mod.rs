//! A server on loopback that answers each request as a script says, byte by byte.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hcfs_http::{BaseUrl, Client, ClientConfig, Deadlines, RetryPolicy, Url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does next on a connection.
pub enum Step {
    Send(Vec<u8>),
    /// Closes the connection.
    Cut,
    /// Says nothing until the client closes.
    Silence,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[derive(Default)]
struct Record {
    seen: Vec<Seen>,
    connections: usize,
}

pub struct Server {
    pub address: SocketAddr,
    record: Arc<Mutex<Record>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves `script`, which gets each request and its number counted from zero.
    pub async fn start<F>(script: F) -> Self
    where
        F: Fn(&Seen, usize) -> Vec<Step> + Send + Sync + 'static,
    {
        let script = Arc::new(script);
        let record: Arc<Mutex<Record>> = Arc::default();
        let kept = Arc::clone(&record);
        let (address, task) = listen(move |stream| {
            record.lock().unwrap().connections += 1;
            serve(stream, Arc::clone(&script), Arc::clone(&record))
        })
        .await;
        Self { address, record: kept, task }
    }

    pub fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    pub fn base(&self) -> BaseUrl {
        BaseUrl::parse(&format!("http://{}", self.address)).unwrap()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.record.lock().unwrap().seen.clone()
    }

    pub fn connections(&self) -> usize {
        self.record.lock().unwrap().connections
    }
}

/// Accepts connections and gives each to `serve`.
pub async fn listen<F, R>(serve: F) -> (SocketAddr, JoinHandle<()>)
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
        }
    });
    (address, task)
}

async fn serve<F>(mut stream: TcpStream, script: Arc<F>, record: Arc<Mutex<Record>>)
where
    F: Fn(&Seen, usize) -> Vec<Step> + Send + Sync + 'static,
{
    let mut buffer = Vec::new();
    while let Some(seen) = read_request(&mut stream, &mut buffer).await {
        let number = {
            let mut record = record.lock().unwrap();
            record.seen.push(seen.clone());
            record.seen.len() - 1
        };
        for step in script(&seen, number) {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Cut => return,
                Step::Silence => {
                    let _ = stream.read(&mut [0; 1024]).await;
                    return;
                }
            }
        }
    }
}

/// Reads one request with its body; none once the client has closed.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
    let mut seen = Seen { head, body: Vec::new() };
    if let Some(len) = seen.header("content-length").map(|len| len.parse::<usize>().unwrap()) {
        while buffer.len() < len {
            more(stream, buffer).await?;
        }
        seen.body = buffer.drain(..len).collect();
    } else if seen.header("transfer-encoding") == Some("chunked") {
        loop {
            let line = loop {
                if let Some(line) = find(buffer, b"\r\n") {
                    break line;
                }
                more(stream, buffer).await?;
            };
            let digits: Vec<u8> = buffer.drain(..line + 2).take(line).collect();
            let len = usize::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap();
            while buffer.len() < len + 2 {
                more(stream, buffer).await?;
            }
            seen.body.extend(buffer.drain(..len + 2).take(len));
            if len == 0 {
                break;
            }
        }
    }
    Some(seen)
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let count = stream.read_buf(buffer).await.ok()?;
    (count > 0).then_some(())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// An answer with a declared length.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Step {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Step::Send(bytes)
}

pub fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

pub fn client() -> Client {
    Client::new(ClientConfig::default()).unwrap()
}

pub const SHORT: Duration = Duration::from_millis(150);

/// Long enough never to pass in a test that goes well.
pub const LONG: Duration = Duration::from_secs(20);

pub fn deadlines() -> Deadlines {
    Deadlines { connect: LONG, first_byte: LONG, stall: LONG, total: None }
}

pub fn quick(attempts: u32) -> RetryPolicy {
    RetryPolicy {
        attempts,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(1),
        jitter: false,
        seed: Some(0),
    }
}
