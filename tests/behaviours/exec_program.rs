//! A program of one's own as the provider, that says odd things.

use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Rig, Zone};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Writes what it is asked to `asked`, and refuses with what stands in `refusal`, if that is there.
const PROGRAM: &str = r#"#!/usr/bin/python3
import json, os, pathlib, sys
home = pathlib.Path(__file__).parent
asked = json.load(sys.stdin)
for change in asked.get("changes", []):
    with open(home / "asked", "a") as file:
        print(asked["zone"]["id"], change["change"], file=file)
if (home / "refusal").exists():
    print(json.dumps({"error": json.loads((home / "refusal").read_text())}))
    sys.exit(1)
print("{}")
"#;

struct Stand {
    zone: Zone,
    program: Program,
}

impl Stand {
    fn new() -> Self {
        let rig = Rig::get();
        let stand = Self { zone: rig.zone().create(), program: dns01(rig) };
        fs::write(stand.file("hook"), PROGRAM).unwrap();
        fs::set_permissions(stand.file("hook"), fs::Permissions::from_mode(0o700)).unwrap();
        stand
    }

    fn file(&self, name: &str) -> PathBuf {
        self.program.state().join(name)
    }

    /// From now on the configuration has the zone under `id`.
    fn configure(&self, id: &str) {
        let text = format!(
            "[dns.hook]\nprovider = \"exec\"\ncommand = [\"{}\"]\nzones = [{{ name = \"{}\", id = \"{id}\" }}]\n",
            self.file("hook").display(),
            self.zone.name(),
        );
        fs::write(self.file("dns01.toml"), text).unwrap();
    }

    fn refuse(&self, error: &str) {
        fs::write(self.file("refusal"), error).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let file = self.file("dns01.toml");
        self.program.run([arguments, &["--config", file.to_str().unwrap()]].concat())
    }
}

#[test]
fn one_that_wants_to_be_left_alone_for_ever_is_heard_and_ends_no_writer() {
    let stand = Stand::new();
    stand.configure("one");
    stand.refuse(r#"{"kind":"rate_limited","message":"later","retry_after":18446744073709551615}"#);
    let refused = stand.run(&["txt", "add", &stand.zone.host("a"), "value"]).failed_with(1).says("later");
    assert!(!refused.stderr.contains("panicked") && !refused.stderr.contains("is ending"), "{refused}");
}
