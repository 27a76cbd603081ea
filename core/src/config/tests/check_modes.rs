//! Who has to see the records, as the file says it.

use super::super::propagation::FIRST_LOOK;
use super::*;
use crate::dns::CheckMode;

#[test]
fn each_zone_has_its_own_check_mode_and_inherits_the_rest() {
    let config = load(
        r#"
resolvers = ["https://dns.example.net/dns-query"]
[dns.example]
provider = "sample"
zones = [
    "a.test",
    { name = "b.test", propagation = { check = "recursive", resolvers = ["192.0.2.1", { url = "tls://dns.example.net@192.0.2.1" }] } },
    { name = "c.test", propagation = { check = "provider", settle = "10s" } },
    { name = "d.test", propagation = { wait = "30s" } },
    { name = "e.test", resolvers = ["192.0.2.9"], propagation = { check = "recursive", resolvers = ["192.0.2.1"], alias_resolvers = ["192.0.2.9"], wait = "0s" } },
]
propagation = { timeout = "90s" }
aliases = { "_acme-challenge.far.test" = "far.a.test" }
"#,
    )
    .unwrap();
    let zone = |name: &str| &config.zone_for(&Fqdn::parse(name).unwrap()).unwrap().1.propagation;
    assert_eq!(zone("a.test").check, CheckMode::Authoritative);
    assert!(matches!(&zone("b.test").check, CheckMode::Recursive(resolvers) if resolvers.len() == 2));
    assert_eq!((zone("b.test").wait, zone("b.test").timeout), (FIRST_LOOK, Duration::from_secs(90)));
    assert_eq!((&zone("c.test").check, zone("c.test").settle.as_secs()), (&CheckMode::Provider, 10));
    assert_eq!((&zone("d.test").check, zone("d.test").wait.as_secs()), (&CheckMode::Unwatched, 30));
    assert_eq!((zone("e.test").wait, zone("e.test").alias_resolvers.len()), (Duration::ZERO, 1));
    assert_eq!(config.resolvers[0].to_string(), "https://dns.example.net/dns-query");
    let aliases = &config.credentials[0].aliases;
    assert_eq!(aliases.values().next().unwrap().as_str(), "far.a.test");
}

#[test]
fn a_check_mode_that_lacks_or_cannot_use_something_is_shown() {
    for (line, message) in [
        (r#"propagation = { check = "recursive" }"#, "the check `recursive` needs resolvers to ask"),
        (r#"propagation = { check = "none" }"#, "the check `none` needs a time to wait"),
        (r#"propagation = { resolvers = ["192.0.2.1"] }"#, "only the check `recursive` asks these resolvers"),
        (
            r#"propagation = { check = "recursive", resolvers = ["192.0.2.1"], alias_resolvers = ["192.0.2.1"] }"#,
            "a resolver that checks must not be asked",
        ),
        (r#"propagation = { check = "maybe" }"#, "`check` cannot be `maybe`"),
        (r#"propagation = { wait = "soon" }"#, "`soon` is not a length of time"),
        (r#"propagation = { wait = "2562047788015215h" }"#, "is longer than a year"),
        (r#"resolvers = ["dns.example.net"]"#, "`dns.example.net` is neither an IP address nor"),
        (
            r#"resolvers = [{ url = "192.0.2.1", ca_bundle = "/x" }]"#,
            "only a `tls://` or `https://` resolver has",
        ),
        (
            r#"resolvers = [{ url = "https://a.test/q", ca_bundle = "/no/such" }]"#,
            "`/no/such` cannot be read",
        ),
        (r#"resolvers = [{ url = "tls://a.test", proxy = "http://p.test" }]"#, "only an `https://` resolver"),
        (r#"aliases = { "far.test" = "far.a.test" }"#, "did you mean `_acme-challenge.far.test`?"),
        (r#"aliases = { "_acme-challenge.far.test" = "b.test" }"#, "`b.test` is in none of the zones"),
    ] {
        let text = format!("[dns.example]\nprovider = \"sample\"\nzones = [\"a.test\"]\n{line}\n");
        let Err(ConfigError::Mistakes(mistakes)) = load(&text) else { panic!("{line}") };
        assert!(mistakes[0].message.contains(message), "{line}: {}", shown(&mistakes[0]));
        assert_eq!(mistakes[0].place.as_ref().unwrap().line, 4, "{}", shown(&mistakes[0]));
    }
}
