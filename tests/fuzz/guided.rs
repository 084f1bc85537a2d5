//! One target, which `HCFS_FUZZ_TARGET` names, driven by coverage.
#![no_main]

use std::sync::OnceLock;

use hcfs_fuzz::{Target, target};

#[expect(clippy::expect_used, reason = "without a target there is nothing to run")]
fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("HCFS_FUZZ_TARGET").expect("HCFS_FUZZ_TARGET names the target");
        target(&name).expect("HCFS_FUZZ_TARGET names a target")
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| (chosen().run)(input));
