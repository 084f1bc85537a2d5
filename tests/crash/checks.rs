//! What must hold once everything came to rest.

use std::collections::BTreeSet;
use std::path::Path;

use hcfs_testkit::files_below;
use hcfs_tests::Device;

use crate::world::World;

/// What lies in a home besides the folder: the person's own things, and the program's.
const HOME: [&str; 10] =
    ["docs", "desk", "grave", "token", "words", "background.log", "run", ".config", ".local", "lost+found"];
/// What the program keeps in its state directory, by the start of the name.
const STATE: [&str; 6] = ["enc_mnemonic.json", "recovery-phrase.txt", "unlock.key", "folders", "lock", "daemon"];
/// What the program keeps in a folder.
const OWN: [&str; 4] = ["marker", "staged", "trash", "lock"];

impl World {
    pub(crate) fn check(&self) -> Result<(), String> {
        self.check_nothing_lost()?;
        for (number, device) in self.devices.iter().enumerate() {
            check_device(device).map_err(|wrong| format!("device {number}: {wrong}"))?;
        }
        Ok(())
    }

    /// What a person wrote, and no person destroyed, is in a tree or in a trash.
    fn check_nothing_lost(&self) -> Result<(), String> {
        let mut found: BTreeSet<Vec<u8>> = self.written.overwritten.clone();
        for (device, person) in self.devices.iter().zip(&self.people) {
            found.extend(person.destroyed());
            found.extend(device.tree().into_values());
            found.extend(files_below(&device.folder.join(".hcfs/trash"), |_| true).into_values());
        }
        let mut lost = self.written.all.difference(&found);
        match lost.next() {
            None => Ok(()),
            Some(content) => {
                let start = String::from_utf8_lossy(&content[..content.len().min(12)]).into_owned();
                Err(format!("lost: {} bytes that start with {start:?}, and {} others", content.len(), lost.count()))
            }
        }
    }
}

fn check_device(device: &Device) -> Result<(), String> {
    if let Some(left) = device.tree().keys().find(|path| path.contains(".hcfs-")) {
        return Err(format!("a temporary name is left: {left}"));
    }
    let staged = files_below(&device.folder.join(".hcfs/staged"), |_| true);
    if !staged.is_empty() {
        return Err(format!("staged parts are left: {:?}", staged.keys()));
    }
    only(&device.machine.path(""), &HOME)?;
    only(&device.machine.path(".local/state/hcfs"), &STATE)?;
    only(&device.folder.join(".hcfs"), &OWN)?;
    let planned = device.machine.run(&["sync", "--dry-run", "--json"]).map_err(|error| error.to_string())?;
    let plan: serde_json::Value = serde_json::from_slice(&planned.stdout).map_err(|error| error.to_string())?;
    if plan["plans"][0]["actions"].as_array().is_none_or(|actions| !actions.is_empty()) {
        return Err(format!("idle, and yet there is a plan: {plan}"));
    }
    let said = device.machine.said();
    if said.contains("panicked") { Err(format!("a panic: {said}")) } else { Ok(()) }
}

/// Nothing lies in a directory but what is known.
fn only(directory: &Path, known: &[&str]) -> Result<(), String> {
    for entry in std::fs::read_dir(directory).map_err(|error| error.to_string())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !known.iter().any(|start| name.starts_with(start)) {
            return Err(format!("{name} is in {}", directory.display()));
        }
    }
    Ok(())
}
