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

    /// What it was asked since the last look.
    fn asked(&self) -> String {
        let asked = fs::read_to_string(self.file("asked")).unwrap_or_default();
        let _ = fs::remove_file(self.file("asked"));
        asked
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

#[test]
fn what_is_left_in_a_zone_that_was_made_anew_does_not_keep_its_old_id() {
    let stand = Stand::new();
    stand.configure("old");
    let left = stand.zone.host("left");
    let _ = stand.run(&["txt", "add", &left, "value"]).succeeded();
    stand.refuse(r#"{"kind":"permission","message":"not this"}"#);
    let _ = stand.run(&["txt", "remove", &left, "value"]).failed_with(1).says("not this");
    let _ = stand.asked();

    fs::remove_file(stand.file("refusal")).unwrap();
    stand.configure("new");
    let _ = stand.run(&["txt", "gc"]).succeeded().says("1 value removed, 0 left");
    assert_eq!(stand.asked(), "new remove\n");
    let _ = stand.run(&["txt", "add", &left, "another"]).succeeded();
    let _ = stand.run(&["txt", "remove", &left, "another"]).succeeded();
    assert_eq!(stand.asked(), "new add\nnew remove\n");
}
