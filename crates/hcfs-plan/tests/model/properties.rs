//! What must hold for every three trees. Each property takes its world and a seed, and says what it found broken.

use std::collections::BTreeSet;

use hcfs_model::Rows;
use hcfs_plan::{Action, ConflictKind, Context, MaxDelete, Mode, Plan, Reason, Resolution, plan};
use hcfs_testkit::{Op, Rng, Trees};

use super::{Device, Run, Server, Violation, ensure};

/// What makes a triple of trees: an agreed folder, and what happened since on each side and to the record.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) base: Vec<Op>,
    pub(crate) here: Vec<Op>,
    pub(crate) there: Vec<Op>,
    pub(crate) unagree: Vec<Op>,
}

impl Story {
    /// A story that a seed tells. Few contents make equal ones frequent, many make losses visible.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let contents = [2, 4, 60][rng.below(3)];
        let mut list =
            |most: usize| -> Vec<Op> { (0..rng.below(most + 1)).map(|_| Op::random(rng, contents)).collect() };
        let (base, here, there, unagree) = (list(24), list(6), list(6), list(2));
        // Operations remove as much as they make; a folder of some size is mostly written.
        let base = base.into_iter().filter(|op| matches!(op, Op::Write { .. }) || rng.chance(20)).collect();
        let unagree = if rng.chance(20) { unagree } else { Vec::new() };
        Self { base, here, there, unagree }
    }

    pub(crate) fn trees(&self) -> Trees {
        let mut trees = Trees::agreed(&self.base);
        self.here.iter().for_each(|op| trees.here(*op));
        self.there.iter().for_each(|op| trees.there(*op));
        self.unagree.iter().for_each(|op| trees.unagree(*op));
        trees
    }
}

fn planned(rows: &Rows, context: &Context) -> Result<Plan, Violation> {
    plan(rows, context).map_err(|error| error.to_string())
}

/// Contents that nobody replaced or deleted knowingly: changed here, or not yet seen by this device.
fn fresh(rows: &Rows) -> BTreeSet<[u8; 32]> {
    let mut fresh = BTreeSet::new();
    for row in rows.values() {
        let agreed = row.synced.as_ref().map(|synced| synced.hash);
        fresh.extend(row.local.iter().map(|local| local.hash).filter(|hash| Some(*hash) != agreed).map(|hash| hash.0));
        if let Some(remote) = &row.remote {
            let seen = row.synced.as_ref().is_some_and(|synced| synced.revision == remote.revision);
            if Some(remote.hash) != agreed || (row.local.is_none() && !seen) {
                fresh.insert(remote.hash.0);
            }
        }
    }
    fresh
}

fn contents(values: impl Iterator<Item = u8>) -> BTreeSet<[u8; 32]> {
    values.map(|content| hcfs_testkit::hash(content).0).collect()
}

/// Every fresh content of before is live on either side; every content that was on disk is there, on the server or in
/// the trash.
fn nothing_lost(before: &Rows, device: &Device, server: &Server) -> Result<(), Violation> {
    let mut reachable = contents(device.local.values().map(|file| file.content));
    reachable.extend(contents(server.rows.values().map(|version| version.content)));
    for content in fresh(before) {
        ensure!(reachable.contains(&content), "content {} is gone", content[0]);
    }
    reachable.extend(contents(device.trash.iter().copied()));
    for row in before.values() {
        if let Some(local) = &row.local {
            ensure!(reachable.contains(&local.hash.0), "content {} that was on disk is gone", local.hash.0[0]);
        }
    }
    Ok(())
}

/// Plans and runs until nothing is to be done; at most `most` plans with actions.
fn settle(device: &mut Device, server: &mut Server, most: usize, rng: &mut Rng) -> Result<Plan, Violation> {
    for round in 0.. {
        let next = planned(&device.rows(server), &device.context(server))?;
        if next.is_empty() {
            return Ok(next);
        }
        ensure!(round < most, "plan {} still has actions: {:?}", round + 1, next.actions().collect::<Vec<_>>());
        device.run(&next, server, Run::Whole, rng)?;
    }
    unreachable!("the rounds are bounded")
}

fn in_step(device: &Device, server: &Server) -> Result<(), Violation> {
    let here: Vec<_> = device.local.iter().map(|(path, file)| (path, file.content)).collect();
    let there: Vec<_> = server.contents().into_iter().collect();
    ensure!(here == there, "{} has {here:?}, the server has {there:?}", device.name);
    let rows = device.rows(server);
    let open = rows.iter().find(|(_, row)| !row.is_agreed());
    ensure!(open.is_none(), "not agreed: {open:?}");
    Ok(())
}

/// The plan of any triple runs whole, loses nothing, and leaves nothing to do.
pub(crate) fn one_device(story: &Story, rng: &mut Rng) -> Result<(), Violation> {
    let (mut device, mut server) = Device::of("one", &story.trees());
    let before = device.rows(&server);
    let context = device.context(&server);
    let first = planned(&before, &context)?;
    ensure!(first == planned(&before, &context)?, "the same rows give two plans");
    ensure!(first.reported.is_empty() && first.holds.is_empty(), "reported without a reason: {:?}", first.reported);
    device.run(&first, &mut server, Run::Whole, rng)?;
    nothing_lost(&before, &device, &server)?;
    let gave_way = first.conflicts.iter().any(|conflict| conflict.kind == ConflictKind::FileAndDirectory);
    let last = settle(&mut device, &mut server, usize::from(gave_way), rng)?;
    ensure!(last.is_settled(), "quiet, but not settled: {last:?}");
    nothing_lost(&before, &device, &server)?;
    in_step(&device, &server)
}

/// A plan that is stopped anywhere loses nothing, and the next plans reach the end. No temporary name is left.
pub(crate) fn killed(story: &Story, rng: &mut Rng) -> Result<(), Violation> {
    let (mut device, mut server) = Device::of("one", &story.trees());
    let before = device.rows(&server);
    for _ in 0..2 {
        let next = planned(&device.rows(&server), &device.context(&server))?;
        let actions = next.actions().count();
        device.run(&next, &mut server, Run::Killed(rng.below(actions + 1)), rng)?;
        nothing_lost(&before, &device, &server)?;
    }
    let last = settle(&mut device, &mut server, 3, rng)?;
    ensure!(last.is_settled(), "quiet, but not settled: {last:?}");
    nothing_lost(&before, &device, &server)?;
    let temporary = server.rows.keys().find(|path| path.as_str().starts_with(".hcfs-rename-"));
    ensure!(temporary.is_none(), "{temporary:?} was left");
    in_step(&device, &server)
}

/// Devices that change their files and share one server come to hold the same, with every content that was made.
pub(crate) fn two_devices(story: &Story, rng: &mut Rng) -> Result<(), Violation> {
    let base = Trees::agreed(&story.base);
    let (mut ours, mut theirs) = (base.clone(), base);
    story.here.iter().for_each(|op| ours.here(*op));
    story.there.iter().for_each(|op| theirs.here(*op));
    let (one, mut server) = Device::of("one", &ours);
    let (other, _) = Device::of("other", &theirs);
    let old = contents(server.rows.values().map(|version| version.content));
    let mut made = fresh(&one.rows(&server));
    made.extend(fresh(&other.rows(&server)));
    // What one device only moved, the other may have deleted or edited knowingly.
    made.retain(|content| !old.contains(content));
    let mut devices = [one, other];
    let mut quiet = 0;
    for round in 0.. {
        let device = &mut devices[round % 2];
        let next = planned(&device.rows(&server), &device.context(&server))?;
        quiet = if next.is_empty() { quiet + 1 } else { 0 };
        if quiet == 2 {
            ensure!(next.is_settled(), "quiet, but not settled: {next:?}");
            break;
        }
        ensure!(round < 10, "round {round} still has actions: {:?}", next.actions().collect::<Vec<_>>());
        let actions = next.actions().count();
        let how = if round < 2 && rng.chance(30) { Run::Killed(rng.below(actions + 1)) } else { Run::Whole };
        device.run(&next, &mut server, how, rng)?;
    }
    devices.iter().try_for_each(|device| in_step(device, &server))?;
    let kept = contents(server.rows.values().map(|version| version.content));
    let lost: Vec<u8> = made.difference(&kept).map(|content| content[0]).collect();
    ensure!(lost.is_empty(), "contents {lost:?} are gone");
    Ok(())
}

/// Under any restriction the plan runs, loses nothing, keeps to the restriction, and comes to rest.
pub(crate) fn restricted(story: &Story, rng: &mut Rng) -> Result<(), Violation> {
    let (mut device, mut server) = Device::of("one", &story.trees());
    let before = device.rows(&server);
    let restrict = restriction(&before, rng);
    let (local, remote, synced) = (device.local.clone(), server.rows.clone(), device.synced.len());
    let mut last = None;
    for round in 0.. {
        let mut context = device.context(&server);
        restrict(&mut context);
        let next = planned(&device.rows(&server), &context)?;
        keeps(&next, &context)?;
        if next.is_empty() {
            last = Some(context);
            break;
        }
        ensure!(round < 4, "round {round} still has actions: {:?}", next.actions().collect::<Vec<_>>());
        device.run(&next, &mut server, Run::Whole, rng)?;
    }
    let Some(context) = last else { return Ok(()) };
    if context.decided.is_empty() {
        nothing_lost(&before, &device, &server)?;
    }
    match context.policy.mode {
        Mode::SendOnly => ensure!(local == device.local, "a send-only folder was changed"),
        Mode::ReceiveOnly => ensure!(remote == server.rows, "a receive-only folder changed the server"),
        Mode::Sync => {}
    }
    ensure!(
        context.baseline || device.synced.len() >= synced || !context.ignored.is_empty(),
        "forgot before a baseline"
    );
    for path in &context.blocked {
        ensure!(local.get(path) == device.local.get(path), "{path} is blocked, and changed on disk");
        ensure!(remote.get(path) == server.rows.get(path), "{path} is blocked, and changed on the server");
    }
    Ok(())
}

/// What a plan may not do under its context.
fn keeps(plan: &Plan, context: &Context) -> Result<(), Violation> {
    for action in plan.actions() {
        let deletes = matches!(action, Action::DeleteRemote { .. } | Action::DeleteLocal { .. });
        let removes = deletes && context.decided.is_empty();
        ensure!(!deletes || context.baseline, "deletes before a baseline: {action:?}");
        let gives_way = plan.conflicts.iter().any(|conflict| conflict.kind == ConflictKind::FileAndDirectory);
        let none = context.policy.max_delete.files == 0 && context.policy.max_delete.percent == 0;
        ensure!(!removes || !none || gives_way, "deletes what should be held: {action:?}");
        if let Action::DeleteRemote { path, .. } | Action::Download { path, .. } = action {
            let unknown = context.unknown_local.iter().any(|unknown| path == unknown || path.is_below(unknown));
            let replaces = matches!(action, Action::Download { replaces: Some(_), .. });
            let keeps_both = plan.conflicts.iter().any(|conflict| conflict.path == *path && conflict.local.is_some());
            ensure!(!unknown || replaces || keeps_both, "decided from an absence nobody saw: {action:?}");
        }
    }
    for (path, reason) in &plan.reported {
        let covered = context.blocked.iter().any(|blocked| path == blocked || path.is_below(blocked));
        ensure!(covered == (*reason == Reason::Blocked), "{path}: {reason:?}");
    }
    Ok(())
}

/// Some restrictions of a context, chosen once so that they hold in every round.
fn restriction(rows: &Rows, rng: &mut Rng) -> impl Fn(&mut Context) + use<> {
    let mut some = |percent: usize| -> BTreeSet<_> { rows.keys().filter(|_| rng.chance(percent)).cloned().collect() };
    let (blocked, unknown, ignored, decided) = (some(10), some(10), some(5), some(20));
    let mode = [Mode::Sync, Mode::Sync, Mode::SendOnly, Mode::ReceiveOnly][rng.below(4)];
    let answers =
        [Resolution::KeepLocal, Resolution::AcceptRemote, Resolution::KeepBoth, Resolution::Skip, Resolution::Skip];
    let (answer, policy) = (answers[rng.below(answers.len())], answers[rng.below(answers.len())]);
    let which = rng.below(128);
    let paths: Vec<_> = rows.keys().collect();
    let any = |rng: &mut Rng| paths.get(rng.below(paths.len())).map(|path| (*path).clone());
    let moved: Vec<_> = (0..rng.below(4)).filter_map(|_| any(rng).zip(any(rng))).collect();
    let baseline = !rng.chance(20);
    let max_delete = if rng.chance(40) { MaxDelete { files: 0, percent: 0 } } else { MaxDelete::default() };
    move |context| {
        context.baseline = baseline;
        context.policy.mode = mode;
        context.policy.max_delete = max_delete;
        if which & 1 != 0 {
            context.blocked.clone_from(&blocked);
        }
        if which & 2 != 0 {
            context.unknown_local.clone_from(&unknown);
        }
        if which & 4 != 0 {
            context.ignored.clone_from(&ignored);
        }
        if which & 32 != 0 {
            context.moved.clone_from(&moved);
        }
        if which & 64 != 0 && policy != Resolution::AcceptRemote && policy != Resolution::KeepLocal {
            context.policy.conflicts = policy;
        }
        if which & 24 == 24 {
            context.decided = decided.iter().map(|path| (path.clone(), answer)).collect();
        }
    }
}

/// All properties of one seed.
pub(crate) fn all(seed: u64) -> Result<(), Violation> {
    let mut rng = Rng::new(seed);
    let story = Story::random(&mut rng);
    for (name, property) in [
        ("one device", one_device as fn(&Story, &mut Rng) -> _),
        ("killed", killed),
        ("two devices", two_devices),
        ("restricted", restricted),
    ] {
        property(&story, &mut rng).map_err(|violation: Violation| format!("{name}: {violation}"))?;
    }
    Ok(())
}
