//! The services a server shares with others: one PostgreSQL for all tests of this program, and S3 stores in it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hcfs_server::{Bucket, Secret};
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;

use crate::client::{KEY, SECRET};

/// Runs a cluster until its input ends, which it does when the tests' process does, and leaves nothing.
const CLUSTER: &str = r#"
set -e
directory=$(mktemp -d /tmp/hcfs-postgres.XXXXXX)
end() { "$1/pg_ctl" -D "$directory/data" -m immediate stop >>"$directory/log" 2>&1; rm -rf "$directory"; }
trap 'rm -rf "$directory"' EXIT
"$1/initdb" -D "$directory/data" -U hcfs -A trust --no-sync --locale=C.UTF-8 --encoding=UTF8 >"$directory/log" 2>&1 ||
    { cat "$directory/log" >&2; exit 1; }
"$1/pg_ctl" -D "$directory/data" -w -l "$directory/log" -o "-k $directory -c listen_addresses= -c fsync=off \
    -c full_page_writes=off -c max_connections=200" start >>"$directory/log" 2>&1 ||
    { cat "$directory/log" >&2; exit 1; }
trap 'end "$1"' EXIT
echo "$directory"
read -r _ || true
"#;

struct Cluster {
    directory: PathBuf,
    _input: ChildStdin,
    _script: Child,
}

/// The one cluster of this program.
fn cluster() -> &'static Cluster {
    static CLUSTER_OF_ALL: OnceLock<Cluster> = OnceLock::new();
    CLUSTER_OF_ALL.get_or_init(|| {
        let programs = programs().expect("PostgreSQL is not installed: cargo xtask test installs it");
        let mut command = if rustix::process::geteuid().is_root() {
            // The server refuses to run as root.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        command.args(["-c", CLUSTER, "cluster"]).arg(programs).current_dir("/");
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell runs");
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.trim().is_empty(), "PostgreSQL does not start");
        Cluster { directory: line.trim().into(), _input: script.stdin.take().unwrap(), _script: script }
    })
}

/// The directory of PostgreSQL's programs; Debian keeps them off the search path.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.map(|entry| entry.unwrap().path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    versions.into_iter().rev().chain(on_path.unwrap_or_default()).find(|directory| directory.join("initdb").is_file())
}

/// The URL of a new, empty database.
pub async fn database() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("hcfs_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let client = connect("postgres").await;
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    url(&name)
}

/// A connection to a database of the cluster.
pub async fn connect(name: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&url(name), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn url(name: &str) -> String {
    let host = cluster().directory.to_str().unwrap().replace('/', "%2F");
    format!("postgres://hcfs@{host}/{name}")
}

/// An S3 store with one bucket, in a directory; served until it is dropped.
pub struct S3 {
    pub directory: TempDir,
    address: SocketAddr,
    served: tokio::task::JoinHandle<()>,
}

impl S3 {
    pub async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::create_dir(directory.path().join("bucket")).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(directory.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = service.clone();
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A client that goes is no failure.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { directory, address, served }
    }

    pub fn bucket(&self) -> Bucket {
        Bucket {
            bucket: "bucket".to_owned(),
            prefix: "some/where".to_owned(),
            endpoint: Some(format!("http://{}", self.address)),
            region: Some("us-east-1".to_owned()),
            credentials: Some((KEY.to_owned(), Secret::new(SECRET.to_owned()))),
        }
    }

    pub fn url(&self) -> String {
        format!("s3://bucket/some/where?endpoint=http://{}&region=us-east-1", self.address)
    }

    /// Where it keeps the objects of the bucket.
    pub fn objects(&self) -> PathBuf {
        self.directory.path().join("bucket/some/where")
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.served.abort();
    }
}

/// All files below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}
