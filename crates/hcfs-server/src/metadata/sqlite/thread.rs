//! The two threads that own the database's connections.
//!
//! The writer takes every request that waits and commits them as one transaction, each in its own savepoint: a group of
//! small uploads costs one fsync instead of one each. An answer leaves only after the commit it depends on.

use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::metadata::{MetadataError, Outcome};

/// Requests that may wait for a thread before senders wait.
const QUEUE: usize = 1024;
/// Requests of one commit: bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// A request to the writer.
trait Job: Send {
    /// Does the work inside the savepoint; says whether it is to be kept.
    fn run(&mut self, db: &Connection) -> bool;
    /// Sends the answer, now that the transaction is committed or lost.
    fn settle(self: Box<Self>, committed: Outcome<()>);
}

struct Request<T, W> {
    work: Option<W>,
    done: Option<Outcome<T>>,
    answer: oneshot::Sender<Outcome<T>>,
}

impl<T, W> Job for Request<T, W>
where
    T: Send,
    W: FnOnce(&Connection) -> Outcome<T> + Send,
{
    fn run(&mut self, db: &Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        let done = work(db);
        let keep = done.is_ok();
        self.done = Some(done);
        keep
    }

    fn settle(self: Box<Self>, committed: Outcome<()>) {
        let answer = match (self.done, committed) {
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(done), Ok(())) => done,
            (None, Ok(())) => Err(MetadataError::Closed),
        };
        // Whoever asked may have gone; the commit stands all the same.
        let _ = self.answer.send(answer);
    }
}

/// A thread with its queue; it ends when the queue is closed and empty.
struct Worker<J> {
    queue: Option<mpsc::Sender<J>>,
    thread: Option<JoinHandle<()>>,
}

impl<J: Send + 'static> Worker<J> {
    fn start(name: &str, serve: impl FnOnce(mpsc::Receiver<J>) + Send + 'static) -> Outcome<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(jobs))
            .map_err(|_| MetadataError::Closed)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    async fn send(&self, job: J) -> Outcome<()> {
        let queue = self.queue.as_ref().ok_or(MetadataError::Closed)?;
        queue.send(job).await.map_err(|_| MetadataError::Closed)
    }
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a database thread ended by a panic");
        }
    }
}

/// The thread that writes.
pub(super) struct WriteThread(Worker<Box<dyn Job>>);

impl WriteThread {
    pub(super) fn start(db: Connection) -> Outcome<Self> {
        Worker::start("hcfs-db-write", move |jobs| write_loop(db, jobs)).map(Self)
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Box::new(Request { work: Some(work), done: None, answer })).await?;
        answered.await.map_err(|_| MetadataError::Closed)?
    }
}

fn write_loop(mut db: Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        let committed = commit_group(&mut db, &mut group);
        for job in group {
            job.settle(committed.clone());
        }
    }
}

fn commit_group(db: &mut Connection, group: &mut [Box<dyn Job>]) -> Outcome<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group {
        tx.execute_batch("SAVEPOINT job")?;
        if !job.run(&tx) {
            // Some failures (a full disk) end the whole transaction, and with it the work of the group so far.
            if tx.is_autocommit() {
                return Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT),
                    Some("the transaction was rolled back".to_owned()),
                )
                .into());
            }
            tx.execute_batch("ROLLBACK TO job")?;
        }
        tx.execute_batch("RELEASE job")?;
    }
    Ok(tx.commit()?)
}

type ReadJob = Box<dyn FnOnce(&mut Connection) + Send>;

/// The thread that reads.
pub(super) struct ReadThread(Worker<ReadJob>);

impl ReadThread {
    pub(super) fn start(mut db: Connection) -> Outcome<Self> {
        let serve = move |mut jobs: mpsc::Receiver<ReadJob>| {
            while let Some(job) = jobs.blocking_recv() {
                job(&mut db);
            }
        };
        Worker::start("hcfs-db-read", serve).map(Self)
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let (answer, answered) = oneshot::channel();
        let job: ReadJob = Box::new(move |db| {
            let done = db.transaction().map_err(MetadataError::from).and_then(|tx| work(&tx));
            let _ = answer.send(done);
        });
        self.0.send(job).await?;
        answered.await.map_err(|_| MetadataError::Closed)?
    }
}
