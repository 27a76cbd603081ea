//! A file as a whole: what it becomes, what stands above it, what its tables say of each other.

use super::*;

const WHOLE: &str = r#"
state_dir = "state"
resolvers = ["192.0.2.1", "[2001:db8::1]:5353"]

[defaults]
key = "ec384"
timeout = "5m"

[ca.private]
directory = "https://ca.example.net/acme/directory"
ca_bundle = "roots.pem"
contact = ["ops@example.com", "mailto:dns@example.com"]
agree_tos = true
eab = { kid = "k1", hmac_key = { file = "hmac" } }

[dns.example]
provider = "sample"
zones = ["example.com", { name = "Sub.example.com.", id = "z1", propagation = { quorum = "all" } }]
server = "192.0.2.53"
api_token = { env = "TOKEN" }
propagation = { timeout = "90s", quorum = 2 }

[[certificate]]
domains = ["example.com", "*.example.com"]
ca = ["private"]

[[certificate]]
name = "two"
domains = "bücher.example.com"
key = "rsa2048"
challenge = "dns-account-01"
"#;

#[test]
fn a_whole_file_becomes_types() {
    let config = load(WHOLE).unwrap();
    assert_eq!(config.state_dir, Path::new("/etc/dns01/state"));
    assert_eq!(config.resolvers[0], "192.0.2.1:53".parse().unwrap());
    assert_eq!(config.resolvers[1], "[2001:db8::1]:5353".parse().unwrap());
    assert_eq!(config.defaults.timeout, Duration::from_secs(300));
    let [private, letsencrypt] = config.cas.as_slice() else { panic!("{:?}", config.cas) };
    assert_eq!(private.ca_bundle.as_deref(), Some(Path::new("/etc/dns01/roots.pem")));
    assert_eq!(private.contact, ["mailto:ops@example.com", "mailto:dns@example.com"]);
    let eab = private.eab.as_ref().unwrap();
    assert_eq!(eab.hmac_key.to_string(), "file `/etc/dns01/hmac`");
    assert_eq!(letsencrypt.directory.as_str(), "https://acme-v02.api.letsencrypt.org/directory");
    let [first, second] = config.certificates.as_slice() else { panic!() };
    assert_eq!((first.name.as_str(), first.key), ("example.com", KeyType::Ec384));
    assert_eq!((second.name.as_str(), second.key), ("two", KeyType::Rsa2048));
    assert_eq!(second.domains[0].to_string(), "xn--bcher-kva.example.com");
    assert_eq!(second.challenge, ChallengeType::DnsAccount01);
    assert_eq!(second.cas, [CaName::new("letsencrypt")]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn a_zone_takes_what_it_does_not_say_from_its_credential_and_the_longest_zone_wins() {
    let config = load(WHOLE).unwrap();
    let zone = |name: &str| config.zone_for(&Fqdn::parse(name).unwrap()).unwrap().1.clone();
    assert_eq!(zone("www.example.com").propagation.quorum, Quorum::Servers(2.try_into().unwrap()));
    let sub = zone("a.sub.example.com");
    assert_eq!(sub.zone.id.as_deref(), Some("z1"));
    assert_eq!(sub.propagation.quorum, Quorum::All);
    assert_eq!(sub.propagation.timeout, Duration::from_secs(90));
    assert!(config.zone_for(&Fqdn::parse("example.net").unwrap()).is_none());
}

#[test]
fn flags_stand_above_the_file_and_the_file_above_the_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dns01.toml");
    std::fs::write(&file, "state_dir = '/srv/state'").unwrap();
    let state = |file: Option<&Path>, flag: Option<&str>| {
        let flags = Flags { state_dir: flag.map(PathBuf::from), ..Flags::default() };
        let sources = Sources { file, state_dir: Path::new("/var/lib/dns01"), flags: &flags, plugins: &[] };
        Config::load(&sources).unwrap().state_dir
    };
    assert_eq!(state(None, None), Path::new("/var/lib/dns01"));
    assert_eq!(state(Some(&file), None), Path::new("/srv/state"));
    assert_eq!(state(Some(&file), Some("/tmp/state")), Path::new("/tmp/state"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let sources = Sources {
        file: Some(Path::new("/nowhere/dns01.toml")),
        state_dir: Path::new("/"),
        flags: &Flags::default(),
        plugins: &[],
    };
    let error = Config::load(&sources).unwrap_err();
    assert_eq!(error.to_string(), "the configuration `/nowhere/dns01.toml` cannot be read");
    assert_eq!(error.id(), "config-unreadable");
    assert_eq!(error.hint(), Some("write the file, or name another with `--config`"));
}

#[test]
fn what_is_there_twice_is_refused() {
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = ["Example.com", "example.com."]
"#
        ),
        r#"config-duplicate: `example.com` is there twice
2: domains = ["Example.com", "example.com."]
2:                           ^^^^^^^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = ["a.test"]

[[certificate]]
domains = ["a.test"]
"#
        ),
        r#"config-duplicate: two certificates are called `a.test`
4: [[certificate]]
4: ^^^^^^^^^^^^^^^
hint: the other one is at line 1; give one a `name`"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.a]
provider = "sample"
zones = ["a.test"]
[dns.b]
provider = "sample"
zones = ["b.test", "a.test"]
"#
        ),
        r#"config-duplicate: zone `a.test` is in [dns.a] already
6: zones = ["b.test", "a.test"]
6:                    ^^^^^^^^
hint: remove one; only if the zone is served by both providers at once, say `{ name = "a.test", multi_provider = true }` in each"#
    );
}

#[test]
fn what_this_version_cannot_do_is_refused() {
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = "a.test"
deploy = [{ exec = ["true"] }]
"#
        ),
        r#"config-not-yet: `deploy` is not carried out by this version
3: deploy = [{ exec = ["true"] }]
3: ^^^^^^
hint: the files are in `live/<name>/` of the state directory"#
    );
}

#[test]
fn every_mistake_is_told_not_only_the_first() {
    assert_eq!(
        mistakes(
            r#"[ca.x]
foo = 1
[dns.example]
provider = "sample"
zones = ["a..test"]
[[certificate]]
domains = ["10.0.0.1", "b..test"]
"#
        ),
        r#"config-unknown-key: unknown key `foo` in [ca.x]
2: foo = 1
2: ^^^
hint: known here: `directory`, `ca_bundle`, `proxy`, `contact`, `agree_tos`, `eab`, `account_key`, `profile`, `preferred_chain`

config-value: `a..test` has an empty label
5: zones = ["a..test"]
5:          ^^^^^^^^^

config-domain: `10.0.0.1` is an IP address, which no DNS challenge can prove
7: domains = ["10.0.0.1", "b..test"]
7:            ^^^^^^^^^^
hint: an address is proved over HTTP or TLS only (RFC 8738): ask for a name

config-domain: `b..test` has an empty label
7: domains = ["10.0.0.1", "b..test"]
7:                        ^^^^^^^^^
hint: there is a dot too many"#
    );
}

/// Two tables, whose zones are these.
fn two_tables(one: &str, other: &str) -> String {
    let table = |name: &str, zones: &str| format!("[dns.{name}]\nprovider = \"sample\"\nzones = [{zones}]\n");
    table("a", one) + &table("b", other)
}

#[test]
fn a_zone_is_at_several_providers_only_if_every_table_says_so() {
    const SAID: &str = "{ name = 'a.test', multi_provider = true }";
    let config = load(&two_tables(SAID, SAID)).unwrap();
    let at = |name: &str| {
        let zones = config.zones_for(&Fqdn::parse(name).unwrap());
        zones.iter().map(|(credential, _)| credential.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(at("www.a.test"), ["a", "b"]);
    for (one, other) in [(SAID, "'a.test'"), ("'a.test'", SAID)] {
        let told = mistakes(&two_tables(one, other));
        assert!(told.starts_with("config-duplicate: zone `a.test` is in [dns.a] already"), "{told}");
    }
    let told = mistakes(&two_tables(&format!("{SAID}, {SAID}"), SAID));
    assert!(told.starts_with("config-duplicate: zone `a.test` is in [dns.a] already\n3: "), "{told}");
    assert!(!told.contains("hint"), "in one table it is there twice, whatever is said: {told}");
    assert_eq!(
        mistakes(&two_tables(SAID, "'b.test'")),
        "config-value: `multi_provider` is said of zone `a.test`, and no other [dns.*] table has it
3: zones = [{ name = 'a.test', multi_provider = true }]
3:                                              ^^^^
hint: name the zone in the table of its other provider too, or leave it out"
    );
    let watched = "{ name = 'a.test', multi_provider = true, name_servers = ['192.0.2.1'] }";
    let told = mistakes(&two_tables(SAID, watched));
    assert!(
        told.starts_with("config-value: zone `a.test` has `name_servers` in one of its tables only"),
        "{told}"
    );
}
