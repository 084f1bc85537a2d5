//! `cargo xtask soak [NAME] [--OPTION VALUE]…`: what is worth running for longer than a change waits for its tests.
//!
//! Each soak is the long form of something that also runs, shorter, in `cargo xtask test`, from the same code: it prints
//! the seed of whatever fails, and the line that replays it.

use anyhow::{Result, bail};

use crate::{cargo, finish};

/// One of the long runs.
struct Soak {
    name: &'static str,
    package: &'static str,
    runs: Runs,
    /// Built as it ships. What starts the program many times over is fast enough as the tests build it.
    release: bool,
    /// What is run where nothing else is asked for.
    defaults: &'static [&'static str],
}

/// What carries a soak out.
enum Runs {
    /// An example, which gets the options as its arguments.
    Example(&'static str),
    /// A program of its own, built as it ships, which gets the options as its arguments.
    Bench(&'static str),
    /// One test of a test program, which finds `--option value` in its environment as `HCFS_NAME_OPTION`.
    Test { program: &'static str, test: &'static str },
}

/// The first one is meant where none is named.
const SOAKS: [Soak; 6] = [
    Soak {
        name: "sim",
        package: "hcfs-tests",
        runs: Runs::Bench("soak"),
        release: false,
        defaults: &["--minutes", "10"],
    },
    Soak {
        name: "planner",
        package: "hcfs-plan",
        runs: Runs::Example("properties"),
        release: true,
        defaults: &["--triples", "10000000"],
    },
    Soak {
        name: "chaos",
        package: "hcfs-engine",
        runs: Runs::Test {
            program: "chaos",
            test: "whatever_happens_all_devices_agree_in_the_end_and_nothing_is_lost",
        },
        release: true,
        defaults: &["--seeds", "1000"],
    },
    Soak {
        name: "crash",
        package: "hcfs-tests",
        runs: Runs::Test { program: "crash", test: "killed_at_any_moment_nothing_is_lost" },
        release: false,
        defaults: &["--runs", "300"],
    },
    Soak {
        name: "power",
        package: "hcfs-tests",
        runs: Runs::Test { program: "crash", test: "cut_off_from_power_at_any_moment_nothing_is_lost" },
        release: false,
        defaults: &["--runs", "100"],
    },
    Soak {
        name: "server",
        package: "hcfs-tests",
        runs: Runs::Test { program: "server", test: "killed_under_load_it_loses_nothing_it_acknowledged" },
        release: false,
        defaults: &["--kills", "100"],
    },
];

/// Runs the soak that is named, or the first.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some((name, options)) = arguments.split_first()
        && name == "fuzz"
    {
        return crate::fuzz::run(options);
    }
    let (soak, options) = match arguments.split_first() {
        Some((name, rest)) if !name.starts_with('-') => (SOAKS.iter().find(|soak| soak.name == name), rest),
        _ => (SOAKS.first(), arguments),
    };
    let Some(soak) = soak else {
        let names: Vec<_> = SOAKS.iter().map(|soak| soak.name).collect();
        bail!("no such soak; there are: {}, fuzz", names.join(", "));
    };
    let defaults: Vec<String> = soak.defaults.iter().map(|word| (*word).to_owned()).collect();
    soak.run(if options.is_empty() { &defaults } else { options })
}

impl Soak {
    fn run(&self, options: &[String]) -> Result<()> {
        let mut command = cargo();
        match self.runs {
            Runs::Example(example) => command.args(["run", "--package", self.package, "--example", example]),
            Runs::Bench(bench) => command.args(["bench", "--package", self.package, "--bench", bench]),
            Runs::Test { program, .. } => command.args(["test", "--package", self.package, "--test", program]),
        };
        if self.release {
            command.arg("--release");
        }
        command.arg("--");
        match self.runs {
            Runs::Example(_) | Runs::Bench(_) => {
                command.args(options);
            }
            Runs::Test { test, .. } => {
                command.args([test, "--nocapture"]).envs(variables(self.name, options)?);
            }
        }
        finish(&mut command)
    }
}

/// The options as variables of the environment: `--runs 300` of `crash` is `HCFS_CRASH_RUNS=300`.
fn variables(soak: &str, options: &[String]) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for pair in options.chunks(2) {
        let [option, value] = pair else { bail!("{} has no value", pair.join(" ")) };
        let Some(option) = option.strip_prefix("--") else { bail!("{option} is no option") };
        found.push((format!("HCFS_{soak}_{option}").to_uppercase().replace('-', "_"), value.clone()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_variables() -> Result<()> {
        let options: Vec<String> = ["--runs", "300", "--seed", "7"].map(str::to_owned).into();
        let wanted = [("HCFS_CRASH_RUNS", "300"), ("HCFS_CRASH_SEED", "7")];
        assert_eq!(variables("crash", &options)?, wanted.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert!(variables("crash", &options[..1]).is_err());
        assert!(variables("crash", &options[1..3]).is_err());
        Ok(())
    }
}
