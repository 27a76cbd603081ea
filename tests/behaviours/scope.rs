//! `dns01 scope`: what each credential must be able to do, and whether it can do more.

use dns01_tests::fake_dns_api::FakeDnsApi;
use dns01_tests::fake_dns_api::cloudflare::{Access, Cloudflare};
use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Grant, Key, Primary, Rig, Zone, address, query};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// A program whose `dns01.toml` has these tables, and a certificate for each of `names`.
fn program(tables: &str, names: &[&str]) -> Program {
    let program = dns01(Rig::get());
    let certificates: String = (1..)
        .zip(names)
        .map(|(number, name)| format!("[[certificate]]\nname = \"c{number}\"\ndomains = [{name:?}]\n"))
        .collect();
    let path = program.state().join("dns01.toml");
    std::fs::write(&path, format!("{tables}{certificates}")).unwrap();
    program.env("DNS01_CONFIG", path)
}

/// The audit of the one credential there is.
fn audit(program: &Program, more: &[&str]) -> (Outcome, Value) {
    let outcome = program.run([&["scope", "audit", "--json"], more].concat());
    let document = outcome.document();
    let [credential] = document["credentials"].as_array().unwrap().as_slice() else { panic!("{outcome}") };
    (outcome, credential.clone())
}

/// Insists on a verdict, its exit code, and these words among the findings.
#[track_caller]
fn is_found((outcome, credential): (Outcome, Value), verdict: &str, findings: &[&str]) {
    assert_eq!(credential["verdict"], verdict, "{outcome}");
    let code = if verdict == "exactly-enough" { 0 } else { 1 };
    let outcome = outcome.failed_with(code);
    let found = credential["findings"].to_string();
    for finding in findings {
        assert!(found.contains(finding), "`{finding}` is not in {found}\n{outcome}");
    }
    assert_eq!(findings.is_empty(), credential["findings"] == json!([]), "{outcome}");
}

/// Everything in the zone, and its serial: what an audit must leave as it was.
fn content(zone: &Zone) -> Vec<String> {
    let records = query::transfer(zone.primary(), zone.name()).unwrap();
    let mut records: Vec<String> = records.iter().map(ToString::to_string).collect();
    records.sort();
    records
}

#[test]
fn at_bind_a_key_for_too_much_just_enough_and_too_little_are_told_apart_and_nothing_changes() {
    let challenge = || vec!["_acme-challenge.www".to_owned()];
    let both = vec!["_acme-challenge.www".to_owned(), "_acme-challenge".to_owned()];
    for (grant, verdict, findings) in [
        (Grant::Names(challenge()), "exactly-enough", &[][..]),
        (Grant::AnyTxt, "more-than-needed", &["TXT at any name"]),
        (Grant::All, "more-than-needed", &["TXT at any name", "it may write A, CNAME, MX at"]),
        (Grant::Names(both), "more-than-needed", &["the challenge of the apex"]),
        (
            Grant::Names(vec!["other".to_owned()]),
            "not-enough",
            &["it may not write TXT at `_acme-challenge.www."],
        ),
        (Grant::AnyTxtBut(challenge()), "not-enough", &["it may not write TXT at", "and beyond the needs: "]),
    ] {
        let shown = format!("{grant:?}");
        let zone = Rig::get().zone().grant(grant).record("_acme-challenge.www TXT \"theirs\"").create();
        let before = content(&zone);
        let program = program(&zone.table("lab", &[&zone]), &[&zone.host("www")]);
        println!("{shown}");
        is_found(audit(&program, &[]), verdict, findings);
        assert_eq!(content(&zone), before, "{shown}");
        assert!(zone.updates() > 0, "{shown}");
    }
}

#[test]
fn at_knot_and_powerdns_a_key_for_the_zone_is_more_than_needed_and_nothing_changes() {
    for primary in [Primary::Knot, Primary::PowerDns] {
        let zone = Rig::get().zone().primary(primary).create();
        let before = content(&zone);
        let program = program(&zone.table("lab", &[&zone]), &[zone.name()]);
        is_found(audit(&program, &[]), "more-than-needed", &["TXT at any name"]);
        assert_eq!(content(&zone), before, "{primary:?}");
    }
}

/// The text of the step whose title begins so.
fn step(program: &Program, title: &str) -> String {
    let outcome = program.run(["scope", "recipe", "--json"]).succeeded();
    let document = outcome.document();
    let steps = document["credentials"][0]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["title"].as_str().unwrap().starts_with(title));
    step.unwrap_or_else(|| panic!("no {title}: {outcome}"))["text"].as_str().unwrap().to_owned()
}

#[test]
fn what_the_recipe_prints_for_bind_makes_a_key_that_is_exactly_enough() {
    let zone = Rig::get().zone().create();
    let names = [zone.host("*.deep.down"), zone.host("www")];
    let program = program(&zone.table("lab", &[&zone]), &[&names[0], &names[1]]);
    is_found(audit(&program, &[]), "more-than-needed", &["TXT at any name"]);
    zone.set_policy(&step(&program, "BIND"));
    is_found(audit(&program, &[]), "exactly-enough", &[]);
    for (name, code) in [("_acme-challenge.www", 0), ("_acme-challenge.deep.down", 0), ("note", 1)] {
        let outcome = program.run(["txt", "add", &zone.host(name), "v"]);
        let _ = outcome.failed_with(code);
    }
}

/// The table for a Knot of the test's own.
fn knot_table(zone: &str, address: Ipv4Addr, key: &Key) -> String {
    format!(
        "[dns.lab]\nprovider = \"rfc2136\"\nzones = [{{ name = {zone:?}, name_servers = [\"{address}\"] }}]\n\
         server = \"{address}\"\n\
         tsig = {{ name = {:?}, algorithm = {:?}, secret = {{ literal = {:?} }} }}\n",
        key.name,
        key.algorithm.name(),
        key.secret
    )
}

#[test]
fn what_the_recipe_prints_for_knot_makes_a_key_that_is_exactly_enough() {
    let rig = Rig::get();
    let key: Key = rig.zone().create().key().clone();
    let address: Ipv4Addr = rig.network().address(53);
    let (zone, host) = ("knot-recipe.test", "www.knot-recipe.test");
    let program = program(&knot_table(zone, address, &key), &[zone, host]).env("DNS01_OFFLINE", "true");
    let rules = step(&program, "or Knot");
    let knot = rig.knot(address, zone, &key, &rules);
    is_found(audit(&program, &[]), "exactly-enough", &[]);
    let name = format!("_acme-challenge.{host}");
    let _ = program.run(["txt", "add", &name, "v"]).succeeded();
    assert_eq!(query::txt(address::dns(address), &name), ["v"]);
    let _ = program.run(["txt", "add", &format!("note.{zone}"), "v"]).failed_with(1);
    // With one name of the two the key is not enough, with three it is too much.
    drop(knot);
    let fewer = rules.replace(&format!("_acme-challenge.{zone}., "), "");
    assert_ne!(fewer, rules);
    let _knot = rig.knot(address, zone, &key, &fewer);
    is_found(audit(&program, &[]), "not-enough", &["`_acme-challenge.knot-recipe.test`"]);
}

#[test]
fn a_server_that_goes_by_the_address_too_needs_no_key_and_says_so() {
    let rig = Rig::get();
    let key: Key = rig.zone().create().key().clone();
    let address: Ipv4Addr = rig.network().address(53);
    let zone = "knot-open.test";
    let program = program(&knot_table(zone, address, &key), &[zone]).env("DNS01_OFFLINE", "true");
    let rules = step(&program, "or Knot");
    let open = format!("{rules}\nacl:\n  - id: open\n    address: 127.0.0.0/8\n    action: update\n");
    let _knot = rig.knot(address, zone, &key, &open);
    let (outcome, credential) = audit(&program, &[]);
    is_found((outcome, credential), "more-than-needed", &["without any key"]);
}

#[test]
fn a_key_for_all_names_below_a_challenge_is_more_than_needed() {
    let zone = Rig::get().zone().create();
    let program = program(&zone.table("lab", &[&zone]), &[zone.name()]);
    let (key, challenge) = (&zone.key().name, zone.challenge());
    zone.set_policy(&format!("update-policy {{ grant {key:?} subdomain {challenge}. TXT; }};"));
    is_found(audit(&program, &[]), "more-than-needed", &["TXT below a needed name"]);
}

#[test]
fn what_flags_have_obtained_counts_as_needed_too() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let program = dns01(rig).credentials(&zone);
    let line = ["scope", "audit", "-d", zone.name(), "--dns", "rfc2136"];
    let _ = program.run(line).failed_with(1).says("✗ rfc2136 (rfc2136): more than needed");
    let host = zone.host("*.shop");
    let ca = dns01_tests::authority::Authority::shared(rig);
    let _ = program.run(ca.issue(&[&host])).succeeded();
    let (_, credential) = audit(&program, &[]);
    let need = json!([{ "zone": zone.name(), "name": zone.host("_acme-challenge.shop") }]);
    assert_eq!((&credential["credential"], &credential["needs"]), (&json!("rfc2136"), &need));
    zone.set_policy(&step(&program, "BIND"));
    is_found(audit(&program, &[]), "exactly-enough", &[]);
}

/// A fake with two zones, and the program's table for the first.
fn cloudflare(token: impl Fn(&Cloudflare, &str, &str) -> String, with_id: bool) -> (Outcome, Value) {
    let api = FakeDnsApi::start(Cloudflare::new()).unwrap();
    let ids = ["a.test", "b.test"].map(|name| api.zone(name));
    api.add(&ids[0], "_acme-challenge.a.test", "TXT", 300, "theirs");
    let secret = token(api.service(), &ids[0], &ids[1]);
    let id = if with_id { format!(", id = {:?}", ids[0]) } else { String::new() };
    let table = format!(
        "[dns.example]\nprovider = \"cloudflare\"\nzones = [{{ name = \"a.test\"{id} }}]\nbase_url = {:?}\n{secret}\n",
        api.url()
    );
    let program = program(&table, &["a.test"]);
    let audited = audit(&program, &["--offline"]);
    let values = ids.each_ref().map(|id| api.edit(|held| held.zone_mut(id).unwrap().records.len()));
    assert_eq!(values, [1, 0], "nothing was changed");
    audited
}

/// A token that may do this, as the table names it.
fn token(access: fn(&str, &str) -> Vec<Access>) -> impl Fn(&Cloudflare, &str, &str) -> String {
    move |service, one, other| format!("api_token = {{ literal = {:?} }}", service.token(&access(one, other)))
}

fn edit(id: &str) -> Access {
    Access::Edit(id.to_owned())
}

fn read(id: &str) -> Access {
    Access::Read(id.to_owned())
}

#[test]
fn a_cloudflare_token_for_one_zone_is_exactly_enough() {
    is_found(cloudflare(token(|one, _| vec![edit(one)]), true), "exactly-enough", &[]);
    // Without its id the zone must be read.
    is_found(cloudflare(token(|one, _| vec![edit(one), read(one)]), false), "exactly-enough", &[]);
}

#[test]
fn a_cloudflare_token_that_reaches_further_is_more_than_needed() {
    let needless = cloudflare(token(|one, _| vec![edit(one), read(one)]), true);
    is_found(needless, "more-than-needed", &["its configured id makes needless"]);
    let sees = cloudflare(token(|one, other| vec![edit(one), read(one), read(other)]), false);
    is_found(sees, "more-than-needed", &["it sees the zone `b.test`"]);
    let everything = |one: &str, other: &str| {
        let (settings, rules) = (Access::Settings(one.to_owned()), Access::PageRules(one.to_owned()));
        let user = [Access::UserDetails, Access::Tokens];
        [vec![edit(one), read(one), edit(other), read(other), settings, rules], user.to_vec()].concat()
    };
    let findings = [
        "it may change every record of the zone `b.test`",
        "`Zone / Zone Settings`",
        "`Zone / Page Rules`",
        "`User / User Details`",
        "`User / API Tokens`",
        "it has the permission `Zone Settings Read`",
    ];
    is_found(cloudflare(token(everything), false), "more-than-needed", &findings);
    let owner = |service: &Cloudflare, _: &str, _: &str| {
        let key = service.global_key("owner@example.test");
        format!("email = \"owner@example.test\"\napi_key = {{ literal = {key:?} }}")
    };
    is_found(cloudflare(owner, true), "more-than-needed", &["Global API Key", "`b.test`"]);
}

#[test]
fn one_token_in_two_tables_is_held_against_the_needs_of_both() {
    let api = FakeDnsApi::start(Cloudflare::new()).unwrap();
    let ids = ["a.test", "b.test"].map(|name| api.zone(name));
    let access: Vec<Access> = ids.iter().flat_map(|id| [edit(id), read(id)]).collect();
    let token = api.service().token(&access);
    let table = |name: &str, zone: &str| {
        let url = api.url();
        format!(
            "[dns.{name}]\nprovider = \"cloudflare\"\nzones = [{zone:?}]\nbase_url = {url:?}\n\
             api_token = {{ literal = {token:?} }}\n"
        )
    };
    let program =
        program(&[table("one", "a.test"), table("other", "b.test")].concat(), &["a.test", "b.test"]);
    let outcome = program.run(["scope", "audit", "--offline"]).succeeded();
    let _ = outcome.says("✓ one (cloudflare): exactly enough").says("✓ other (cloudflare): exactly enough");
    let _ = program.run(["scope", "audit", "--offline", "--dns", "one"]).succeeded();
}

#[test]
fn a_cloudflare_token_that_lacks_something_is_not_enough() {
    let reads = cloudflare(token(|one, _| vec![Access::ReadRecords(one.to_owned())]), true);
    is_found(reads, "not-enough", &["it may not change records of `a.test`"]);
    let other = cloudflare(token(|_, other| vec![edit(other)]), true);
    is_found(other, "not-enough", &["it may not read records of `a.test`"]);
    let blind = cloudflare(token(|one, _| vec![edit(one)]), false);
    is_found(blind, "not-enough", &["com.cloudflare.api.account.zone.list"]);
    let unknown = |_: &Cloudflare, _: &str, _: &str| {
        format!("api_token = {{ literal = {:?} }}", Cloudflare::unknown_token(0))
    };
    let (outcome, credential) = cloudflare(unknown, true);
    assert_eq!((&credential["verdict"], &credential["findings"]), (&json!("not-enough"), &json!([])));
    assert!(credential["error"]["message"].as_str().unwrap().contains("9109"), "{outcome}");
    let _ = outcome.failed_with(1);
}

#[test]
fn a_powerdns_key_is_always_more_than_needed() {
    let rig = Rig::get();
    let zone = rig.zone().primary(Primary::PowerDns).create();
    let (url, key) = rig.powerdns_api();
    let table = format!(
        "[dns.pdns]\nprovider = \"powerdns\"\nzones = [{:?}]\nurl = {url:?}\napi_key = {{ literal = {key:?} }}\n",
        zone.name()
    );
    let program = program(&table, &[zone.name()]);
    is_found(audit(&program, &[]), "more-than-needed", &["make and delete zones"]);
    let outcome = program.run(["scope", "audit"]).failed_with(1).says("✗ pdns (powerdns): more than needed");
    let _ = outcome.says("hint: `dns01 scope recipe --dns pdns`");
    let quiet = program.run(["scope", "audit", "--quiet"]).failed_with(1).says("make and delete zones");
    assert_eq!(quiet.stdout, "");
    let _ = program.run(["scope", "recipe"]).succeeded().says("pdnsutil generate-tsig-key").says("CNAME");
}

#[test]
fn what_cannot_be_told_has_not_passed_and_what_cannot_be_reached_was_not_tried() {
    let hook = "[dns.hook]\nprovider = \"exec\"\nzones = [\"a.test\"]\ncommand = [\"/bin/true\"]\n";
    let program_of_hook = program(hook, &["a.test"]);
    let (outcome, credential) = audit(&program_of_hook, &["--offline"]);
    assert_eq!(credential["verdict"], "cannot-tell");
    assert!(credential["reason"].is_string(), "{credential}");
    let _ = outcome.failed_with(1);
    let _ = program_of_hook
        .run(["scope", "audit", "--offline"])
        .failed_with(1)
        .says("? hook (exec): cannot tell");

    let nobody = Rig::get().network().address(53);
    let gone = format!("[dns.gone]\nprovider = \"rfc2136\"\nzones = [\"b.test\"]\nserver = \"{nobody}\"\n");
    let (outcome, credential) = audit(&program(&gone, &["b.test"]), &["--offline"]);
    assert_eq!(credential["verdict"], "not-asked");
    assert_eq!(credential["error"]["id"], "scope-audit");
    let _ = outcome.failed_with(3);
}

#[test]
fn a_recipe_follows_aliases_and_asks_nobody_else() {
    let rig = Rig::get();
    let other = rig.zone().create();
    let target = other.host("shop.proofs");
    let zone = rig.zone().record(&format!("_acme-challenge.shop CNAME {target}.")).create();
    let tables = [zone.table("main", &[&zone]), other.table("proofs", &[&other])].concat();
    let program = program(&tables, &[&zone.host("shop"), &zone.host("*.shop"), &zone.host("www")]);
    let document = program.run(["scope", "recipe", "--json"]).succeeded().document();
    let needs = |document: &Value, number: usize| document["credentials"][number]["needs"].clone();
    let need = |zone: &Zone, name: &str| json!([{ "zone": zone.name(), "name": name }]);
    assert_eq!(needs(&document, 0), need(&zone, &zone.host("_acme-challenge.www")));
    assert_eq!(needs(&document, 1), need(&other, &target));
    let alias = zone.host("_acme-challenge.shop");
    assert_eq!(document["aliases"], json!([{ "name": alias, "target": target }]));
    assert_eq!((zone.updates(), other.updates()), (0, 0));
    let said = program.run(["scope", "recipe"]).succeeded().says(&format!("name {target}. TXT;"));
    let _ = said.says(&format!("note: {alias} is an alias: its record goes to {target}"));

    let blind = program.run(["scope", "recipe", "--json", "--offline"]).succeeded().document();
    assert_eq!(blind["credentials"][0]["needs"].as_array().unwrap().len(), 2);
    assert_eq!(blind["unneeded"], json!(["proofs"]));
    let (outcome, _) = audit(&program, &["--dns", "proofs", "--offline"]);
    assert_eq!(outcome.document()["credentials"][0]["verdict"], "more-than-needed", "nobody needs it");
}

#[test]
fn a_name_in_no_zone_is_told_and_one_that_cannot_be_looked_up_is_taken_as_configured() {
    let zone = Rig::get().zone().create();
    let tables = zone.table("lab", &[&zone]).replace("zones = [", "zones = [\"gone.test\", ");
    let program = program(&tables, &[zone.name(), "x.gone.test", "y.elsewhere.test"]);
    let outcome = program.run(["scope", "recipe"]).failed_with(1);
    let outcome = outcome.says("what `_acme-challenge.y.elsewhere.test` needs cannot be said");
    let _ = outcome
        .says("note: whether _acme-challenge.x.gone.test is an alias could not be looked up; it is taken to be in zone gone.test")
        .says("name _acme-challenge.x.gone.test. TXT;");
}

#[test]
fn a_recipe_is_had_before_the_credential_is() {
    let program = dns01(Rig::get());
    let line = ["scope", "recipe", "-d", "*.example.com", "--dns", "cloudflare"];
    let with_zone = [line.as_slice(), &["--zone", "example.com", "--offline"]].concat();
    let outcome = program.run(&with_zone).succeeded().says("https://dash.cloudflare.com/profile/api-tokens");
    let _ = outcome.says("Include / Specific zone / example.com").says("Zone / DNS / Edit");
    assert!(!program.state().join("dns01.db").exists(), "nothing is made");
    let blind = [line.as_slice(), &["--offline"]].concat();
    let _ = program.run(&blind).failed_with(1).says("name its zone");
    let audit = ["scope", "audit", "-d", "*.example.com", "--dns", "cloudflare"];
    let _ = program.run(audit).failed_with(2).says("CF_DNS_API_TOKEN");
    let _ = program.run(["scope", "recipe", "-d", "a.test"]).failed_with(2).says("--dns");
    let _ = program.run(["scope", "recipe"]).failed_with(2).says("name one with -d");
}
