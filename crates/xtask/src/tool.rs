//! Cargo's own tools from the crate registry, each in one version.

use anyhow::Result;

use crate::{cargo, finish};

/// A tool, `cargo-NAME`.
pub(crate) struct Tool {
    /// Its package.
    pub(crate) name: &'static str,
    /// The version that is used.
    pub(crate) version: &'static str,
}

impl Tool {
    /// Installs it, unless this version of it is there.
    pub(crate) fn install(&self) -> Result<()> {
        let command = self.name.trim_start_matches("cargo-");
        let present = cargo().args([command, "--version"]).output();
        let is_there = present.is_ok_and(|out| {
            let said = String::from_utf8_lossy(&out.stdout).into_owned();
            out.status.success() && said.split_whitespace().any(|word| word == self.version)
        });
        if is_there {
            return Ok(());
        }
        finish(cargo().args(["install", "--locked", "--force", self.name, "--version", self.version]))
    }
}
