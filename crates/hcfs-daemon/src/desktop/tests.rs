use super::*;

fn folders(states: &[(&str, FolderState)]) -> BTreeMap<String, Glance> {
    states.iter().map(|&(label, state)| (label.to_owned(), Glance { state, disk_full: false })).collect()
}

/// What is told of the folder `docs` as it goes through these states.
fn told(states: &[FolderState]) -> Vec<Vec<Need>> {
    let mut rule = Rule::default();
    let step = |state: &FolderState| {
        rule.look(&folders(&[("docs", *state)]));
        rule.take().into_iter().map(|notice| notice.need).collect()
    };
    states.iter().map(step).collect()
}

#[test]
fn a_state_is_told_when_it_begins_and_again_only_after_the_folder_worked() {
    use FolderState::{Idle, Locked, Offline, OverQuota, Scanning, Starting, Syncing, Unauthorised};
    assert_eq!(told(&[Starting, Scanning, Syncing, Idle]), [vec![], vec![], vec![], vec![]], "what works is not told");
    assert_eq!(
        told(&[Unauthorised, Scanning, Unauthorised, Offline, Unauthorised]),
        [vec![Need::Unauthorised], vec![], vec![], vec![], vec![]]
    );
    assert_eq!(told(&[OverQuota, Idle, OverQuota]), [vec![Need::OverQuota], vec![], vec![Need::OverQuota]]);
    assert_eq!(
        told(&[Locked, Locked, Starting, Idle, Locked]),
        [vec![Need::Locked], vec![], vec![], vec![], vec![Need::Locked]]
    );
}

#[test]
fn a_lock_is_one_thing_for_all_folders_and_a_refusal_one_for_each() {
    let mut rule = Rule::default();
    rule.look(&folders(&[("a", FolderState::Locked), ("b", FolderState::Locked)]));
    let notices = rule.take();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].summary, "hcfs is locked");
    rule.look(&folders(&[("a", FolderState::Unauthorised), ("b", FolderState::Unauthorised)]));
    let summaries: Vec<String> = rule.take().into_iter().map(|notice| notice.summary).collect();
    assert_eq!(summaries, ["a: the server refuses the token", "b: the server refuses the token"]);
}

#[test]
fn a_full_disk_is_told_until_it_has_room_again() {
    let mut rule = Rule::default();
    let mut seen = Vec::new();
    for (state, disk_full) in [
        (FolderState::Attention, true),
        (FolderState::Syncing, false),
        (FolderState::Attention, true),
        (FolderState::Idle, false),
        (FolderState::Attention, true),
    ] {
        rule.look(&BTreeMap::from([("docs".to_owned(), Glance { state, disk_full })]));
        seen.push(rule.take().len());
    }
    assert_eq!(seen, [1, 0, 0, 0, 1]);
}

#[test]
fn conflicts_found_together_are_one_notification_and_each_is_told_once() {
    let mut rule = Rule::default();
    for kind in ["conflict", "uploaded", "conflict", "held", "resolved", "conflict", "problem"] {
        rule.happened("docs", kind);
    }
    rule.happened("photos", "conflict");
    let summaries: Vec<String> = rule.take().into_iter().map(|notice| notice.summary).collect();
    assert_eq!(summaries, ["docs: 3 conflicts", "docs: a change waits for your yes", "photos: 1 conflict"]);
    assert_eq!(rule.take(), []);
    // Those that are open and were told stay in the state: it says nothing new.
    rule.look(&folders(&[("docs", FolderState::Attention), ("photos", FolderState::Held)]));
    assert_eq!(rule.take(), []);
}

#[test]
fn a_folder_that_was_removed_and_added_again_is_new() {
    let mut rule = Rule::default();
    rule.look(&folders(&[("docs", FolderState::Unauthorised)]));
    assert_eq!(rule.take().len(), 1);
    rule.look(&folders(&[]));
    rule.look(&folders(&[("docs", FolderState::Unauthorised)]));
    assert_eq!(rule.take().len(), 1);
}

#[test]
fn where_the_bus_is() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = dir.path().to_owned();
    let env = |address: Option<&'static str>, runtime: Option<PathBuf>| -> Environment {
        Arc::new(move |name| match name {
            "DBUS_SESSION_BUS_ADDRESS" => address.map(Into::into),
            "XDG_RUNTIME_DIR" => runtime.clone().map(Into::into),
            _ => None,
        })
    };
    assert_eq!(session_bus(&env(None, None)), None);
    assert_eq!(session_bus(&env(None, Some(runtime.clone()))), None, "there is no bus in it");
    assert_eq!(session_bus(&env(Some("unix:path=/b"), None)).as_deref(), Some("unix:path=/b"));
    std::fs::write(runtime.join("bus"), "").unwrap();
    let found = session_bus(&env(Some(""), Some(runtime.clone()))).unwrap();
    assert_eq!(found, format!("unix:path={}/bus", runtime.display()));
}
