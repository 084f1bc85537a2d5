//! What every test of a service needs: a server that speaks as its script says, a part, and one who looks on.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

#[path = "../../../hcfs-http/tests/scripted/mod.rs"]
pub mod scripted;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hcfs_model::UnixNanos;
use hcfs_sources::{
    BaseUrl, Brought, CancellationToken, Client, ClientConfig, Credential, Fetched, Item, Job, Part, Progress, Resume,
    Settings, Source, SourceError, Tempo, Validators, Watcher,
};
pub use scripted::{Seen, Server, Step, answer, quick, send};

pub const SECRET: &str = "s3cret-t0ken";
/// A moment in 2026.
pub const NOW: UnixNanos = UnixNanos(1_795_000_000_000_000_000);

pub fn secret() -> Credential {
    Credential::new(SECRET).unwrap()
}

pub fn base(server: &Server) -> BaseUrl {
    BaseUrl::parse(&format!("http://{}", server.address)).unwrap()
}

/// Patience for a machine that has much else to do.
pub fn tempo() -> Tempo {
    let millisecond = Duration::from_millis(1);
    Tempo { retry: quick(3), poll: millisecond, poll_longest: 4 * millisecond, keep: Duration::ZERO }
}

pub fn open(settings: Settings) -> Arc<dyn Source> {
    try_open(settings).map_err(|error| error.to_string()).unwrap()
}

pub fn try_open(settings: Settings) -> Result<Arc<dyn Source>, SourceError> {
    hcfs_sources::open(settings, Client::new(ClientConfig::default()).unwrap(), tempo())
}

pub fn part() -> Part {
    Part::new(tempfile::tempfile().unwrap())
}

/// What is in the part's file.
pub fn content(part: &Part) -> Vec<u8> {
    content_of(&part.file)
}

fn content_of(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Remembers what it was told, and stops the fetch once so many bytes are kept.
#[derive(Default)]
pub struct Onlooker {
    pub told: Mutex<Vec<Progress>>,
    pub kept: Mutex<Vec<Resume>>,
    pub stop: Option<(u64, CancellationToken)>,
    pub refuse: bool,
}

#[async_trait]
impl Watcher for Onlooker {
    fn progress(&self, progress: Progress) {
        self.told.lock().unwrap().push(progress);
    }

    async fn keep(&self, resume: &Resume) -> io::Result<()> {
        if self.refuse {
            return Err(io::Error::other("no room for it"));
        }
        self.kept.lock().unwrap().push(resume.clone());
        if let Some((at, cancel)) = &self.stop
            && resume.bytes() >= *at
        {
            cancel.cancel();
        }
        Ok(())
    }
}

pub async fn fetch_into(source: &dyn Source, item: &str, part: &mut Part) -> Result<Fetched, SourceError> {
    fetch_item(source, &Item::new(item), part, None, &Onlooker::default()).await
}

pub async fn fetch_item(
    source: &dyn Source,
    item: &Item,
    part: &mut Part,
    known: Option<&Validators>,
    onlooker: &Onlooker,
) -> Result<Fetched, SourceError> {
    let cancel = onlooker.stop.as_ref().map(|(_, cancel)| cancel.clone()).unwrap_or_default();
    let job = Job { known, part, watcher: onlooker, cancel, now: NOW };
    let fetched = source.fetch(item, job).await;
    if let Err(error) = &fetched {
        check_error(error);
    }
    fetched
}

/// Fetches into a new part.
pub async fn fetch(source: &dyn Source, item: &str) -> Result<(Brought, Vec<u8>), SourceError> {
    let mut part = part();
    match fetch_into(source, item, &mut part).await? {
        Fetched::Done(brought) => {
            let bytes = content(&part);
            assert_eq!(bytes.len() as u64, brought.size);
            assert_eq!(brought.hash.0, *blake3::hash(&bytes).as_bytes());
            Ok((brought, bytes))
        }
        Fetched::NotModified => panic!("nothing was known"),
    }
}

/// The error of a fetch, which leaves no byte behind that counts.
pub async fn failure(source: &dyn Source, item: &str) -> SourceError {
    let mut part = part();
    let error = fetch_into(source, item, &mut part).await.unwrap_err();
    assert_eq!(part.resume.bytes(), 0, "{error}");
    error
}

/// What holds for every error: no secret in it, not ended by a full stop, a hint where a person can act.
pub fn check_error(error: &SourceError) {
    let shown = format!("{error} {error:?} {:?}", error.hint());
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(!shown.contains("token="), "{shown}");
    assert!(!error.to_string().ends_with('.') && !error.to_string().contains('\n'), "{error}");
    assert!(!error.code().is_empty());
}

/// A 200 with these headers and this body.
pub fn ok(headers: &str, body: &[u8]) -> Vec<Step> {
    vec![answer("200 OK", headers, body)]
}

pub fn json(status: &str, body: &str) -> Vec<Step> {
    vec![answer(status, "Content-Type: application/json\r\n", body.as_bytes())]
}

/// A body served with ranges and an `ETag`, cut after `keep` bytes.
pub fn ranged(seen: &Seen, etag: &str, headers: &str, content: &[u8], keep: Option<usize>) -> Vec<Step> {
    let same = seen.header("if-range").is_none_or(|wanted| wanted == etag);
    let from = seen
        .header("range")
        .filter(|_| same)
        .map_or(0, |range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap());
    let rest = &content[from..];
    let line = match from {
        0 => "200 OK\r\n".to_owned(),
        from => format!("206 Part\r\nContent-Range: bytes {from}-{}/{}\r\n", content.len() - 1, content.len()),
    };
    let head = format!("HTTP/1.1 {line}ETag: {etag}\r\n{headers}Content-Length: {}\r\n\r\n", rest.len());
    match keep.filter(|keep| *keep < rest.len()) {
        Some(keep) => vec![send(&head), Step::Send(rest[..keep].to_vec()), Step::Cut],
        None => vec![send(&head), Step::Send(rest.to_vec())],
    }
}

pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251).to_le_bytes()[0]).collect()
}

/// A tar archive of these files.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in files {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        block[156] = b'0';
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend_from_slice(&block);
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}
