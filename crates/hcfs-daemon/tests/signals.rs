//! What signals do to a daemon. One test alone in its process: a signal reaches all of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests may fail loudly, and each uses a part of the machine"
)]

mod machine;

use hcfs_daemon::Ended;
use machine::{DEADLINE, Machine, idle};
use rustix::process::{Signal, getpid, kill_process};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_reloads_and_a_termination_ends() {
    let machine = Machine::with_folder();
    let mut running = machine.start().await;
    idle(&running).await;
    let text = std::fs::read_to_string(&machine.paths.config).unwrap();
    std::fs::write(&machine.paths.config, text.replace("\"test\"", "\"renamed\"")).unwrap();
    let mut changes = running.changes();

    kill_process(getpid(), Signal::HUP).unwrap();
    let waiting = tokio::time::timeout(DEADLINE, async {
        // The status may change for other reasons first.
        while running.status().daemon.device != "renamed" {
            tokio::select! {
                ended = running.wait() => panic!("{ended:?}"),
                changed = changes.changed() => changed.unwrap(),
            }
        }
    });
    waiting.await.unwrap();

    kill_process(getpid(), Signal::TERM).unwrap();
    assert_eq!(tokio::time::timeout(DEADLINE, running.wait()).await.unwrap(), Ended::Terminated);
    kill_process(getpid(), Signal::INT).unwrap();
    assert_eq!(tokio::time::timeout(DEADLINE, running.wait()).await.unwrap(), Ended::Interrupted);
    running.stop().await;
}
