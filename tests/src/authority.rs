//! A CA as the command line and `dns01.toml` name it.

use crate::fault_ca::FaultCa;
use crate::program::Program;
use crate::rig::{Pebble, Rig, Zone};
use std::path::PathBuf;

/// Where a CA's directory is, and what its server is trusted by.
#[derive(Clone, Debug)]
pub struct Authority {
    directory: String,
    bundle: PathBuf,
}

impl Authority {
    /// The Pebble that everybody shares.
    #[must_use]
    pub fn shared(rig: &Rig) -> Self {
        Self { directory: rig.ca_directory().to_owned(), bundle: rig.ca_bundle() }
    }

    /// A Pebble of the test's own.
    #[must_use]
    pub fn own(rig: &Rig, pebble: &Pebble) -> Self {
        Self { directory: pebble.directory(), bundle: rig.ca_bundle() }
    }

    /// The CA with faults.
    #[must_use]
    pub fn faulty(ca: &FaultCa) -> Self {
        Self { directory: ca.directory().to_owned(), bundle: ca.root_file().to_owned() }
    }

    /// `issue` for `names`, with the credential of the environment.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = ["issue", "--dns", "rfc2136"].map(str::to_owned).to_vec();
        arguments.extend(names.iter().flat_map(|&name| ["-d".to_owned(), name.to_owned()]));
        arguments.extend(self.flags());
        arguments
    }

    /// `issue --all`, with a `dns01.toml` that binds each zone to its own key and wants these
    /// certificates: a name, and its domains.
    #[must_use]
    pub fn issue_all(
        &self,
        program: &Program,
        zones: &[&Zone],
        certificates: &[(&str, &[&str])],
    ) -> [String; 4] {
        let mut file = self.table("rig");
        for (number, zone) in zones.iter().enumerate() {
            file += &zone.table(&format!("key{number}"), &[zone]);
        }
        for (name, domains) in certificates {
            file += &format!("[[certificate]]\nname = {name:?}\nca = \"rig\"\ndomains = {domains:?}\n");
        }
        let path = program.state().join("dns01.toml");
        std::fs::write(&path, file).expect("the state directory is writable");
        ["issue".to_owned(), "--all".to_owned(), "--config".to_owned(), path.display().to_string()]
    }

    /// The flags that name it, and agree to its terms.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let bundle = self.bundle.display().to_string();
        let flags = ["--agree-tos", "-m", "ops@example.test", "--server", &self.directory, "--ca-bundle"];
        flags.into_iter().map(str::to_owned).chain([bundle]).collect()
    }

    /// The `[ca.<name>]` table of `dns01.toml`.
    #[must_use]
    pub fn table(&self, name: &str) -> String {
        format!(
            "[ca.{name}]\ndirectory = {:?}\nca_bundle = {:?}\nagree_tos = true\n\
             contact = \"mailto:ops@example.test\"\n",
            self.directory, self.bundle
        )
    }
}
