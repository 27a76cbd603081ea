//! `--json` prints what docs/json.md says: every field named there, and no other.

use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Rig, Zone, query, wait_until};
use hickory_proto::rr::RecordType;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const PAGE: &str = include_str!("../../docs/json.md");

/// The fields in the table under `heading`.
fn fields(heading: &str) -> BTreeSet<&'static str> {
    let start = PAGE.lines().position(|line| line.trim_start_matches('#').trim() == heading);
    let start = start.unwrap_or_else(|| panic!("docs/json.md has no `{heading}`"));
    let section = PAGE.lines().skip(start + 1).take_while(|line| !line.starts_with('#'));
    section.filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(field, _)| field)).collect()
}

/// The paths in `value`, no deeper than the page goes.
fn paths(value: &Value, at: &str, page: &BTreeSet<&str>, seen: &mut BTreeSet<String>) {
    let deeper = |separator: &str| page.iter().any(|field| field.starts_with(&format!("{at}{separator}")));
    match value {
        Value::Object(object) if at.is_empty() || deeper(".") => {
            for (key, value) in object {
                let below = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                paths(value, &below, page, seen);
            }
        }
        Value::Array(items) if deeper("[]") => {
            items.iter().for_each(|item| paths(item, &format!("{at}[]"), page, seen));
        }
        Value::Null if deeper(".") => {}
        _ => {
            seen.insert(at.to_owned());
        }
    }
}

/// Insists that `values` together have exactly the fields under `heading`.
#[track_caller]
fn as_documented<'a>(heading: &str, values: impl IntoIterator<Item = &'a Value>) {
    let page = fields(heading);
    assert!(!page.is_empty(), "`{heading}` has no table");
    let mut seen = BTreeSet::new();
    values.into_iter().for_each(|value| paths(value, "", &page, &mut seen));
    let seen: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
    let missing: Vec<_> = page.difference(&seen).collect();
    let unknown: Vec<_> = seen.difference(&page).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "{heading}: never seen {missing:?}, not documented {unknown:?}"
    );
}

fn lines(outcome: &Outcome) -> Vec<Value> {
    outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect()
}

struct Stand {
    good: Zone,
    bad: Zone,
    program: Program,
    file: tempfile::TempDir,
}

/// One certificate that succeeds and one whose zone the key may not write in.
fn stand(rig: &Rig) -> Stand {
    let (good, bad) = (rig.zone().create(), rig.zone().create());
    let file = tempfile::tempdir().unwrap();
    let text = format!(
        "[ca.lab]\ndirectory = \"{}\"\nca_bundle = \"{}\"\nagree_tos = true\n[defaults]\nca = \"lab\"\n{}\
         [[certificate]]\nname = \"good\"\ndomains = [\"{}\"]\n[[certificate]]\nname = \"bad\"\ndomains = [\"{}\"]\n",
        rig.ca_directory(),
        rig.ca_bundle().display(),
        good.table("shared", &[&good, &bad]),
        good.name(),
        bad.name(),
    );
    std::fs::write(file.path().join("dns01.toml"), text).unwrap();
    let program = dns01(rig).env("DNS01_CONFIG", file.path().join("dns01.toml")).env("DNS01_JSON", "true");
    Stand { good, bad, program, file }
}

#[test]
fn certificates_are_documented() {
    let stand = stand(Rig::get());
    let run = |line: &[&str]| stand.program.run(line);
    let before = run(&["plan"]).succeeded().document();
    let tried = run(&["issue", "--all"]).failed_with(1);
    let again = run(&["renew"]).succeeded();
    as_documented("`issue` and `renew`", [&tried.document(), &again.document()]);
    let after = run(&["plan"]).succeeded().document();
    as_documented("`plan`", [&before, &after]);
    as_documented("`list`", [&run(&["list"]).succeeded().document()]);
    let shown = [run(&["show", "good"]).succeeded().document(), run(&["show", "bad"]).succeeded().document()];
    as_documented("`show`", &shown);
    as_documented("`revoke`", [&run(&["revoke", "good"]).succeeded().document()]);
}

#[test]
fn accounts_are_documented() {
    let stand = stand(Rig::get());
    let run = |line: &[&str]| stand.program.run([&["account"], line].concat()).succeeded().document();
    let documents = [
        run(&["register", "-m", "ops@example.test"]),
        run(&["show"]),
        run(&["update", "-m", "new@example.test"]),
        run(&["rollover"]),
    ];
    let heading = "`account register`, `account show`, `account update` and `account rollover`";
    documents.iter().for_each(|document| as_documented(heading, [document]));
    as_documented("`account deactivate`", [&run(&["deactivate", "--yes"])]);
}

#[test]
fn values_and_checks_are_documented() {
    let stand = stand(Rig::get());
    let run = |line: &[&str]| stand.program.run(line);
    let name = stand.good.host("note");
    as_documented("`txt add`", [&run(&["txt", "add", &name, "hello"]).succeeded().document()]);
    as_documented("`txt wait`", [&run(&["txt", "wait", &name, "hello"]).succeeded().document()]);
    as_documented("`txt list`", [&run(&["txt", "list"]).succeeded().document()]);
    as_documented("`txt remove`", [&run(&["txt", "remove", &name, "hello"]).succeeded().document()]);
    // Nobody has the third: its records would have to be made.
    let unknown = Rig::get().zone().create();
    let checks = [
        run(&["check"]),
        run(&["check", "-d", stand.good.name()]),
        run(&["check", "-d", stand.bad.name()]),
        run(&["check", "-d", unknown.name()]),
    ];
    as_documented("`check`", &checks.map(|outcome| outcome.document()));

    // A value of a credential that is not there any more cannot be removed.
    let forgotten = "INSERT INTO ledger (id, credential, zone, name, value, ttl, created) \
                     VALUES ('x', 'gone', 'gone.test', '_acme-challenge.gone.test', 'x', 60, 0)";
    crate::sql::execute(&stand.program.state().join("dns01.db"), forgotten);
    as_documented("`txt gc`", [&run(&["txt", "gc"]).failed_with(1).document()]);
}

#[test]
fn scopes_are_documented() {
    let rig = Rig::get();
    let stand = stand(rig);
    let (other, unused) = (rig.zone().create(), rig.zone().create());
    let host = stand.good.host("shop");
    stand.good.add(&format!("_acme-challenge.shop CNAME shop.{}.", other.name()));
    let alias = stand.good.host("_acme-challenge.shop");
    for server in stand.good.servers_of_ours() {
        // Servers that do not agree on an alias leave it in doubt.
        wait_until(&format!("the alias on {server}"), Duration::from_secs(20), || {
            query::ask(server, &alias, RecordType::CNAME).is_ok_and(|answer| !answer.answers.is_empty())
        });
    }
    let nobody = rig.network().address(53);
    let gone =
        format!("[dns.gone]\nprovider = \"rfc2136\"\nzones = [\"gone.test\"]\nserver = \"{nobody}\"\n");
    let hook = "[dns.hook]\nprovider = \"exec\"\nzones = [\"hook.test\"]\ncommand = [\"/bin/true\"]\n";
    let names = [&host, "x.gone.test", "y.hook.test", "nowhere.test"];
    let path = stand.file.path().join("dns01.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text += &[other.table("other", &[&other]), unused.table("unused", &[&unused]), gone, hook.to_owned()]
        .concat();
    text += &format!("[[certificate]]\nname = \"scope\"\ndomains = {names:?}\n");
    std::fs::write(&path, text).unwrap();
    let recipe = stand.program.run(["scope", "recipe"]).failed_with(1).document();
    as_documented("`scope recipe`", [&recipe]);
    // The order of just one zone is enough for a key that nothing more is found of.
    other.set_policy(&format!(
        "update-policy {{ grant {} name shop.{}. TXT; }};",
        other.key().name,
        other.name()
    ));
    let audit = stand.program.run(["scope", "audit"]).failed_with(1).document();
    as_documented("`scope audit`", [&audit]);
    let verdicts =
        audit["credentials"].as_array().unwrap().iter().map(|one| one["verdict"].as_str().unwrap());
    let expected = ["not-asked", "cannot-tell", "exactly-enough", "not-enough", "more-than-needed"];
    assert_eq!(verdicts.collect::<Vec<_>>(), expected, "{audit:#}");
}

#[test]
fn progress_is_documented() {
    let stand = stand(Rig::get());
    let wildcard = format!("*.{}", stand.good.name());
    let redundant = stand.good.host("www");
    let line = ["issue", "-d", &wildcard, "-d", &redundant, "--dns", "shared"];
    let mut all = lines(&stand.program.run(line).succeeded());
    all.extend(lines(&stand.program.run(line).succeeded()));
    all.extend(lines(&stand.program.run(["issue", "--all"]).failed_with(1)));
    let events: Vec<Value> = all.iter().filter(|line| line["time"].is_string()).cloned().collect();
    for name in ["started", "began", "waits", "finished", "issued", "not-due", "failed"] {
        let common = fields("Progress");
        let mut of_this: Vec<Value> = events.iter().filter(|event| event["event"] == name).cloned().collect();
        assert!(!of_this.is_empty(), "no {name}");
        for event in &mut of_this {
            let object = event.as_object_mut().unwrap();
            assert!(common.iter().all(|field| object.remove(*field).is_some()), "{object:?}");
        }
        as_documented(&format!("`{name}`"), &of_this);
    }
}

#[test]
fn failures_are_documented() {
    let stand = stand(Rig::get());
    let page = fields("Failures");
    let mut seen = BTreeSet::new();
    let mut look = |outcome: &Outcome| {
        for line in lines(outcome).iter().filter(|line| line["time"].is_null()) {
            assert!(line["event"] == "error" || line["event"] == "warning", "{line}");
            let object = line.as_object().unwrap();
            seen.extend(object.keys().filter(|key| *key != "event").cloned());
            assert!(object.contains_key("id") && object.contains_key("message"), "{line}");
        }
    };
    look(&stand.program.run(["issue", "--all"]).failed_with(1));
    look(&stand.program.run(["show", "goof"]).failed_with(2));
    let path = stand.file.path().join("dns01.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}nmae = \"x\"\n")).unwrap();
    look(&stand.program.run(["list"]).failed_with(2));
    let unknown: Vec<_> = seen.iter().filter(|key| !page.contains(key.as_str())).collect();
    assert!(unknown.is_empty(), "not documented: {unknown:?}");
    for common in ["id", "certificate", "message", "place", "causes", "hint"] {
        assert!(seen.contains(common), "{common} was never seen");
    }
}
