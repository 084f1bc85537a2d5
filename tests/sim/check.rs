//! What must be so when nothing goes wrong any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use hcfs_engine::{FolderHandle, FolderState, FolderStatus};
use hcfs_model::{FileId, RelPath};

use crate::disk::tree::Content;
use crate::scene::locked;
use crate::steps::some_way;
use crate::user::brief;
use crate::world::{World, folder};

/// How often all devices look before they must agree.
const ROUNDS: usize = 40;

/// Lets everything come to agree, and looks whether it does and nothing is lost.
///
/// # Errors
/// The promise that was broken.
pub(crate) async fn peace(world: &mut World) -> Result<(), String> {
    world.make_peace().await;
    settle(world).await?;
    agree(world)?;
    nothing_lost(world)?;
    nothing_left(world).await?;
    let (changes, files) = (world.hub.changes(), trees(world));
    for device in 0..world.devices.len() {
        world.stop(device).await;
        world.start(device).map_err(|why| format!("{} does not start again: {why}", world.devices[device].name))?;
    }
    settle(world).await?;
    agree(world)?;
    if (changes, files) != (world.hub.changes(), trees(world)) {
        return Err("a restart changed something".to_owned());
    }
    for device in &world.devices {
        // What waits for a name that this disk cannot hold may stay.
        let is_idle = device.running.as_ref().is_some_and(|running| running.status.borrow().state == FolderState::Idle);
        if is_idle && let Some((path, _)) = device.drive.own_files("staged").first() {
            return Err(format!("{} keeps the staged part {}", device.name, path.escape_ascii()));
        }
    }
    world.scene.violation().map_or(Ok(()), Err)
}

fn trees(world: &World) -> Vec<Vec<(Vec<u8>, Content)>> {
    world.devices.iter().map(|device| device.drive.files()).collect()
}

/// Until every device rests and nothing moved since the last round.
async fn settle(world: &mut World) -> Result<(), String> {
    let mut before = None;
    let mut states: Vec<Arc<FolderStatus>> = Vec::new();
    for _ in 0..ROUNDS {
        states.clear();
        for device in 0..world.devices.len() {
            answer_questions(world, device).await;
            let status = world.sync(device).await;
            if let Some(violation) = world.scene.violation() {
                return Err(violation);
            }
            let status = status.ok_or_else(|| format!("{} gives no status", world.devices[device].name))?;
            if status.state == FolderState::Halted && status.holds == 0 {
                add_again(world, device).await?;
            }
            states.push(status);
        }
        world.live(100, usize::MAX).await;
        let now = (world.hub.changes(), trees(world));
        if states.iter().all(|status| rests(status)) && before.as_ref() == Some(&now) {
            return Ok(());
        }
        before = Some(now);
    }
    Err(format!("it never comes to rest: {states:?}"))
}

/// Idle, or all but for what is wrong with single names.
fn rests(status: &FolderStatus) -> bool {
    match status.state {
        FolderState::Idle => true,
        FolderState::Attention => status.conflicts == 0 && status.holds == 0 && !status.problems.is_empty(),
        _ => false,
    }
}

/// What a person is told to do with a folder whose directory is not the one it was, where that cannot be put back: the
/// folder is removed and added again.
async fn add_again(world: &mut World, device: usize) -> Result<(), String> {
    world.scene.note("added again", device as u64, String::new);
    world.stop(device).await;
    world.devices[device].database.lose();
    world.start(device).map_err(|why| format!("{} cannot be added again: {why}", world.devices[device].name))
}

/// As a person would.
async fn answer_questions(world: &mut World, device: usize) {
    let chance = world.scene.number();
    let answer = async move |handle: FolderHandle| {
        let mut words = String::new();
        for open in handle.conflicts().await.unwrap_or_default() {
            words += &format!("{}: {:?} ", open.path, handle.resolve(open.id, some_way(chance)).await);
        }
        for hold in handle.holds().await.unwrap_or_default() {
            words += &format!("{}: {:?} ", hold.kind, handle.settle_hold(hold.id, !chance.is_multiple_of(3)).await);
        }
        words
    };
    let words = world.ask(device, answer).await.unwrap_or_default();
    if !words.is_empty() {
        world.scene.note("answered", device as u64, || words);
    }
}

/// Every folder is what the server has, but for what its own device says is wrong.
fn agree(world: &World) -> Result<(), String> {
    for (number, device) in world.devices.iter().enumerate() {
        let Some(running) = &device.running else { return Err(format!("{} does not run", device.name)) };
        let status = Arc::clone(&running.status.borrow());
        if status.state == FolderState::Idle {
            world.compare(number).map_err(|why| format!("at the end, {}: {why}", device.name))?;
            continue;
        }
        let excused: BTreeSet<&RelPath> = status.problems.iter().filter_map(|problem| problem.path.as_ref()).collect();
        let is_excused =
            |path: &RelPath| excused.contains(path) || path.ancestors().any(|above| excused.contains(&above));
        let there = world.hub.server.files(folder());
        let mut ledger = locked(&world.ledger);
        for (bytes, content) in device.drive.files() {
            let Ok(path) = RelPath::from_bytes(&bytes) else { continue };
            let hash = ledger.hash(&world.owner.account, &content);
            let listed = there.get(&FileId::of_path(path.as_str())).map(|file| file.salted_hash);
            if listed != Some(hash) && !is_excused(&path) {
                return Err(format!("at the end, {} has another \"{path}\" than the server", device.name));
            }
        }
    }
    Ok(())
}

/// What a person wrote, and nobody told to drop, is in a folder, in a trash or on the server; and nothing else is in a
/// folder. What is empty, power may have left.
fn nothing_lost(world: &World) -> Result<(), String> {
    let mut found: BTreeSet<Content> = BTreeSet::new();
    for device in &world.devices {
        found.extend(device.drive.files().into_iter().map(|(_, content)| content));
    }
    let mut ledger = locked(&world.ledger);
    if let Some(strange) = found.iter().find(|content| !content.is_empty() && !ledger.has(content)) {
        return Err(format!("spoiled: {}", brief(strange)));
    }
    for device in world.devices.iter().filter(|_| !world.is_strict) {
        found.extend(device.drive.own_files("trash").into_iter().map(|(_, content)| content));
    }
    let listed: BTreeSet<_> = world.hub.server.files(folder()).into_values().map(|file| file.salted_hash).collect();
    let missing: Vec<Content> = ledger.wanted().filter(|content| !found.contains(*content)).cloned().collect();
    for content in missing {
        let hash = ledger.hash(&world.owner.account, &content);
        if !listed.contains(&hash) {
            return Err(format!("lost: {}", brief(&content)));
        }
    }
    Ok(())
}

/// Another plan has nothing to do, and another look changes nothing.
async fn nothing_left(world: &mut World) -> Result<(), String> {
    let changes = world.hub.changes();
    for device in 0..world.devices.len() {
        let plan = world.ask(device, async |handle: FolderHandle| handle.dry_run().await.ok()).await.flatten();
        let name = &world.devices[device].name;
        match plan {
            Some(plan) if plan.is_empty() => {}
            Some(plan) => return Err(format!("{name} still wants something: {plan:?}")),
            None => return Err(format!("{name} has no plan")),
        }
    }
    if world.hub.changes() == changes { Ok(()) } else { Err("a look changed the server".to_owned()) }
}
