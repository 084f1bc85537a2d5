//! What the status says is so: idle only where the folder is what the server has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test code")]

mod kit;

use hcfs_engine::FolderState;
use hcfs_model::{ProblemCode, RelPath};
use hcfs_remote::RemoteErrorKind;
use hcfs_remote::memory::{Call, Fault};
use kit::{Device, folder, server};

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

#[tokio::test]
async fn a_deletion_by_command_is_looked_for_though_its_answer_was_lost() {
    let server = server();
    let a = Device::new("a", &server);
    a.write("x", "1");
    a.settle().await;
    a.remote.fail_next(|call| matches!(call, Call::Delete(_)), Fault::AnswerLost);
    a.handle().remove(path("x")).await.unwrap_err();
    assert!(server.files(folder()).is_empty());
    a.until(|status| status.state == FolderState::Idle && status.local_files == 0).await;
    assert!(a.tree().is_empty());
}

#[tokio::test]
async fn an_upload_nobody_answered_for_is_looked_for_before_all_is_idle() {
    let server = server();
    let a = Device::new("a", &server);
    a.settle().await;
    a.remote.fail_next(|call| matches!(call, Call::Upload { .. }), Fault::AnswerLost);
    a.remote.fail_next(|call| matches!(call, Call::Probe(_)), Fault::Refused(RemoteErrorKind::Unavailable));
    a.write("x", "1");
    a.sync().await;
    assert_eq!(a.remote.pending_faults(), 0);
    a.delete("x");
    a.until(|status| status.state == FolderState::Idle).await;
    // Whether the deletion or the upload came first nobody can tell: the content wins.
    assert_eq!((a.tree().len(), server.files(folder()).len()), (1, 1));
}

#[tokio::test]
async fn a_file_missing_from_the_listing_is_a_problem_until_the_server_says_that_it_is_gone() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    a.write("x", "1");
    a.settle().await;
    b.settle().await;
    a.delete("x");
    a.settle().await;
    b.remote.fail_next(|call| matches!(call, Call::Probe(_)), Fault::Refused(RemoteErrorKind::Inconsistent));
    let status = b.sync().await;
    assert_eq!(status.state, FolderState::Attention);
    let [problem] = &status.problems[..] else { panic!("{:?}", status.problems) };
    assert_eq!((problem.path.clone(), problem.code), (Some(path("x")), ProblemCode::ServerError));
    assert_eq!(b.read("x"), b"1");
    b.settle().await;
    assert!(b.tree().is_empty());
}

#[tokio::test]
async fn where_the_ignore_rules_cannot_be_read_nothing_is_taken_for_ignored() {
    let server = server();
    let (a, b) = (Device::new("a", &server), Device::new("b", &server));
    b.settle().await;
    b.write("d/.hcfsignore", [0xff]);
    a.write("d/x", "1");
    a.settle().await;
    let status = b.sync().await;
    assert_eq!(status.state, FolderState::Attention);
    assert!(status.problems.iter().any(|problem| problem.path == Some(path("d/x"))), "{:?}", status.problems);
    b.delete("d/.hcfsignore");
    b.settle().await;
    assert_eq!(b.read("d/x"), b"1");
}
