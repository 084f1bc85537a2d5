//! Running scenarios.

use crate::check;
use crate::fault::Tally;
use crate::script::Scenario;
use crate::world::{World, guarded};

/// What became of a scenario.
pub(crate) struct Outcome {
    pub(crate) violation: Option<String>,
    pub(crate) steps: usize,
    /// Things that were done one by one.
    pub(crate) picks: u64,
    /// The hash of everything that happened, in its order.
    pub(crate) trace: (u64, u64),
    pub(crate) tally: Tally,
    /// Everything that happened, where it was asked for.
    pub(crate) lines: Vec<String>,
}

/// Lives one scenario to its end, in this thread, on a clock of its own.
pub(crate) fn run(scenario: &Scenario, tells: bool) -> Outcome {
    // Time stands still while anything is left to do, and jumps to the next timer when nothing is.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(tokio::task::unconstrained(async {
        let mut world = World::new(scenario, tells);
        let numbers = scenario.numbers();
        let scene = std::sync::Arc::clone(&world.scene);
        for device in 0..world.devices.len() {
            // On a disk that fails it may not start before there is peace.
            if let Err(why) = world.start(device) {
                scene.note("not started", device as u64, || why);
            }
        }
        for number in &numbers {
            if world.has_failed() {
                break;
            }
            if let Some(step) = scenario.steps.get(*number) {
                world.step(step).await;
            }
        }
        if !world.has_failed() {
            scene.roll(scenario.seed);
            if let Err(why) = check::peace(&mut world).await {
                scene.violate(why);
            }
        }
        let picks = world.picks;
        if let Err(panic) = guarded(|| drop(world)) {
            scene.violate(format!("panicked at the end: {panic}"));
        }
        Outcome {
            violation: scene.violation(),
            steps: numbers.len(),
            picks,
            trace: scene.trace(),
            tally: scene.tally(),
            lines: scene.lines(),
        }
    }))
}
