use super::propagation::FIRST_LOOK;
use super::*;
use crate::dns::CheckMode;
use dns01_provider::memory::MemoryProvider;
use dns01_provider::{SecretRef, Settings, SettingsError};

/// Stands for any provider: a server and a token.
const PLUGIN: Plugin = Plugin {
    name: "sample",
    summary: "for tests",
    keys: &["server", "api_token"],
    build,
    from_environment: |_| Ok(Settings::default()),
    name_servers: &[],
    template: "",
    recipe: |_, _| dns01_provider::Recipe::new("nothing"),
};

#[derive(Deserialize)]
struct Sample {
    server: Option<String>,
    #[allow(dead_code, reason = "its reading is what is tested")]
    api_token: Option<SecretRef>,
}

fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    let sample: Sample = settings.parse()?;
    match sample.server.as_deref() {
        Some("bad") => Err(SettingsError::new(Some("server"), "`bad` is no server").with_hint("name one")),
        _ => Ok(Arc::new(MemoryProvider::new([]))),
    }
}

fn load(text: &str) -> Result<Config, ConfigError> {
    let path = Path::new("/etc/dns01/dns01.toml");
    let document = Document::parse(path, text.to_owned())?;
    let sources = Sources {
        file: None,
        state_dir: Path::new("/var/lib/dns01"),
        flags: &Flags::default(),
        plugins: &[PLUGIN],
    };
    Config::check(Some(Arc::new(document)), &sources)
}

/// Everything that a reader would be shown of `mistake`.
fn shown(mistake: &Mistake) -> String {
    let mut text = format!("{}: {}", mistake.kind.id(), mistake.message);
    if let Some(place) = &mistake.place {
        let before = " ".repeat(place.column - 1);
        text += &format!("\n{}: {}", place.line, place.source);
        text += &format!("\n{}: {before}{}", place.line, "^".repeat(place.length));
    }
    if let Some(label) = &mistake.label {
        text += &format!(" {label}");
    }
    if let Some(hint) = &mistake.hint {
        text += &format!("\nhint: {hint}");
    }
    text
}

/// All the mistakes in `text`, as shown.
fn mistakes(text: &str) -> String {
    match load(text) {
        Ok(_) => "no mistake".to_owned(),
        Err(ConfigError::Mistakes(mistakes)) => mistakes.iter().map(shown).collect::<Vec<_>>().join("\n\n"),
        Err(error) => error.to_string(),
    }
}

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
ca = ["private", "letsencrypt"]

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
fn a_name_that_a_wildcard_covers_is_warned_about() {
    let config =
        load("[[certificate]]\ndomains = [\"*.example.com\", \"example.com\", \"www.example.com\"]\n")
            .unwrap();
    let [warning] = config.warnings.as_slice() else { panic!("{:?}", config.warnings) };
    assert_eq!(
        shown(warning),
        r#"config-redundant-name: `*.example.com` covers `www.example.com` already
2: domains = ["*.example.com", "example.com", "www.example.com"]
2:                                            ^^^^^^^^^^^^^^^^^
hint: leave it out: Let's Encrypt refuses an order with both"#
    );
}

#[test]
fn a_secret_in_a_file_that_everybody_can_read_is_warned_about_without_being_shown() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dns01.toml");
    let text = "[ca.x]\ndirectory = \"https://ca.test/\"\neab = { kid = \"k\", hmac_key = { literal = \"s3cr3t\" } }\n";
    std::fs::write(&file, text).unwrap();
    let warnings = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let sources =
            Sources { file: Some(&file), state_dir: Path::new("/"), flags: &Flags::default(), plugins: &[] };
        Config::load(&sources).unwrap().warnings
    };
    assert_eq!(warnings(0o600), []);
    let [warning] = warnings(0o644).try_into().unwrap();
    assert_eq!(warning.kind, MistakeKind::ReadableSecret);
    assert!(!shown(&warning).contains("s3cr3t"), "{}", shown(&warning));
    assert_eq!(warning.place.unwrap().source, "eab = { kid = \"k\", hmac_key = { literal = … } }");
}

#[test]
fn a_name_outside_every_zone_is_pointed_at_with_the_nearest_zone() {
    let config = load(
        r#"[dns.far]
provider = "sample"
zones = ["far.test"]
[dns.lab]
provider = "sample"
zones = ["example.net", "lab.example.org"]
[[certificate]]
domains = ["www.example.net", "shop.example.org"]
"#,
    )
    .unwrap();
    assert!(config.warnings.is_empty(), "its challenge name may be an alias");
    let [(certificate, domain)] = config.uncovered().try_into().unwrap();
    assert_eq!(
        shown(&config.no_credential(&certificate.name, domain)),
        r#"config-no-credential: no credential for `shop.example.org`
8: domains = ["www.example.net", "shop.example.org"]
8:                               ^^^^^^^^^^^^^^^^^^ no [dns.*] table has a zone that contains it
hint: [dns.lab] has `lab.example.org`; did you mean to add `example.org` to its zones?"#
    );
}

#[test]
fn text_that_is_not_toml_is_shown() {
    assert_eq!(
        mistakes("state_dir = /srv\n"),
        r#"config-syntax: not TOML: string values must be quoted, expected literal string
1: state_dir = /srv
1:             ^^^^"#
    );
    assert_eq!(
        mistakes("[defaults\n"),
        r#"config-syntax: not TOML: unclosed table, expected `]`
1: [defaults
1:          ^"#
    );
    assert_eq!(
        mistakes(
            r#"key = "a
b"
"#
        ),
        r#"config-syntax: not TOML: key with no value, expected `=`
2: b"
2:   ^"#
    );
    assert_eq!(
        mistakes(
            r#"[a]
x = 1
x = 2
"#
        ),
        r#"config-syntax: not TOML: duplicate key
3: x = 2
3: ^"#
    );
}

#[test]
fn a_secret_in_a_line_that_cannot_be_parsed_is_not_shown() {
    assert_eq!(
        mistakes(
            r#"[dns.x]
api_token = s3cr3t-t0ken
"#
        ),
        r#"config-syntax: not TOML: string values must be quoted, expected literal string
2: api_token = …
2:             ^"#
    );
    assert_eq!(
        mistakes(
            r#"literal = """s3cr3t
\q"""
"#
        ),
        r#"config-syntax: not TOML: missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\`, `"`, `x`, `u`, `U`
2: …
2:  ^"#
    );
}

#[test]
fn an_unknown_key_is_answered_with_the_near_one() {
    assert_eq!(
        mistakes("state_dri = \"/srv\"\n"),
        r#"config-unknown-key: unknown key `state_dri`
1: state_dri = "/srv"
1: ^^^^^^^^^
hint: did you mean `state_dir`?"#
    );
    assert_eq!(
        mistakes(
            r#"[defaults]
kye = "ec256"
"#
        ),
        r#"config-unknown-key: unknown key `kye` in [defaults]
2: kye = "ec256"
2: ^^^
hint: did you mean `key`?"#
    );
    assert_eq!(
        mistakes(
            r#"[ca.letsencrypt]
contacts = "a@example.com"
"#
        ),
        r#"config-unknown-key: unknown key `contacts` in [ca.letsencrypt]
2: contacts = "a@example.com"
2: ^^^^^^^^
hint: did you mean `contact`?"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = "example.com"
renew = true
"#
        ),
        r#"config-unknown-key: unknown key `renew` in [[certificate]]
3: renew = true
3: ^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["example.com"]
api_tokn = { env = "T" }
"#
        ),
        r#"config-unknown-key: unknown key `api_tokn` in [dns.example]
4: api_tokn = { env = "T" }
4: ^^^^^^^^
hint: did you mean `api_token`?"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = [{ name = "example.com", idd = "x" }]
"#
        ),
        r#"config-unknown-key: unknown key `idd` in `zones` of [dns.example]
3: zones = [{ name = "example.com", idd = "x" }]
3:                                  ^^^
hint: did you mean `id`?"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["example.com"]
propagation = { timeot = "3m" }
"#
        ),
        r#"config-unknown-key: unknown key `timeot` in `propagation` of [dns.example]
4: propagation = { timeot = "3m" }
4:                 ^^^^^^
hint: did you mean `timeout`?"#
    );
}

#[test]
fn a_missing_key_is_named_with_its_table() {
    assert_eq!(
        mistakes(
            r#"[dns.example]
zones = ["example.com"]
"#
        ),
        r#"config-missing-key: [dns.example] has no `provider`
1: [dns.example]
1:      ^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
name = "x"
"#
        ),
        r#"config-missing-key: [[certificate]] has no `domains`
1: [[certificate]]
1: ^^^^^^^^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[ca.letsencript]
agree_tos = true
"#
        ),
        r#"config-missing-key: [ca.letsencript] has no `directory`
1: [ca.letsencript]
1:     ^^^^^^^^^^^
hint: did you mean the preset `letsencrypt`?"#
    );
    assert_eq!(
        mistakes("[ca.own]\n"),
        r#"config-missing-key: [ca.own] has no `directory`
1: [ca.own]
1:     ^^^
hint: give its address, or name a preset: letsencrypt, letsencrypt-staging, zerossl, google, google-staging, sslcom-rsa, sslcom-ecc, actalis, digicert, sectigo"#
    );
}

#[test]
fn a_wrong_type_is_told_in_words() {
    assert_eq!(
        mistakes("state_dir = 5\n"),
        r#"config-wrong-type: `state_dir` must be a text, not 5
1: state_dir = 5
1:             ^"#
    );
    assert_eq!(
        mistakes("certificate = \"x\"\n"),
        r#"config-wrong-type: `certificate` must be a list, not a text
1: certificate = "x"
1:               ^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[certificate]
domains = "a.test"
"#
        ),
        r#"config-wrong-type: `certificate` must be a list, not a table
1: [certificate]
1: ^^^^^^^^^^^^^
hint: write [[certificate]]"#
    );
    assert_eq!(
        mistakes("dns = \"x\"\n"),
        r#"config-wrong-type: `dns` must be a table, not a text
1: dns = "x"
1:       ^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[ca.letsencrypt]
agree_tos = "yes"
"#
        ),
        r#"config-wrong-type: `agree_tos` must be `true` or `false`, not a text
2: agree_tos = "yes"
2:             ^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = ["a.test", 7]
"#
        ),
        r#"config-wrong-type: `domains` must be a text, not 7
2: domains = ["a.test", 7]
2:                      ^"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = "example.com"
"#
        ),
        r#"config-wrong-type: `zones` must be a list, not a text
3: zones = "example.com"
3:         ^^^^^^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["example.com"]
ttl = -1
"#
        ),
        r#"config-wrong-type: `ttl` must be a whole number, 0 or more, not -1
4: ttl = -1
4:       ^^"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["example.com"]
propagation = { quorum = 0 }
"#
        ),
        r#"config-wrong-type: `quorum` must be `"all"` or a number of name servers, 1 or more, not 0
4: propagation = { quorum = 0 }
4:                          ^"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["example.com"]
propagation = { quorum = "some" }
"#
        ),
        r#"config-wrong-type: `quorum` must be `"all"` or a number of name servers, 1 or more, not a text
4: propagation = { quorum = "some" }
4:                          ^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["example.com"]
propagation = { timeout = 180 }
"#
        ),
        r#"config-wrong-type: `timeout` must be a text, not 180
4: propagation = { timeout = 180 }
4:                           ^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[dns]
example = "cloudflare"
"#
        ),
        r#"config-wrong-type: `example` must be a table, not a text
2: example = "cloudflare"
2:           ^^^^^^^^^^^^"#
    );
}

#[test]
fn a_word_that_is_not_one_of_the_choice_is_answered_with_the_choice() {
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = "a.test"
key = "ecdsa256"
"#
        ),
        r#"config-value: `key` cannot be `ecdsa256`
3: key = "ecdsa256"
3:       ^^^^^^^^^^
hint: one of `ec256`, `ec384`, `rsa2048`, `rsa3072`, `rsa4096`"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = "a.test"
challenge = "dns-1"
"#
        ),
        r#"config-value: `challenge` cannot be `dns-1`
3: challenge = "dns-1"
3:             ^^^^^^^
hint: did you mean `dns-01`?"#
    );
    assert_eq!(
        mistakes(
            r#"[ca.letsencrypt]
account_key = "ed25519"
"#
        ),
        r#"config-value: `account_key` cannot be `ed25519`
2: account_key = "ed25519"
2:               ^^^^^^^^^
hint: one of `ec256`, `ec384`, `rsa2048`, `rsa3072`, `rsa4096`"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "smaple"
zones = ["a.test"]
"#
        ),
        r#"config-unknown-reference: no provider is called `smaple`
2: provider = "smaple"
2:            ^^^^^^^^
hint: did you mean `sample`?"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "cloudflare"
zones = ["a.test"]
"#
        ),
        r#"config-unknown-reference: no provider is called `cloudflare`
2: provider = "cloudflare"
2:            ^^^^^^^^^^^^
hint: this program has sample"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = "a.test"
ca = ["letsencript"]
"#
        ),
        r#"config-unknown-reference: no CA is called `letsencript`
3: ca = ["letsencript"]
3:       ^^^^^^^^^^^^^
hint: did you mean `letsencrypt`?"#
    );
    assert_eq!(
        mistakes(
            r#"[defaults]
ca = "mine"
"#
        ),
        r#"config-unknown-reference: no CA is called `mine`
2: ca = "mine"
2:      ^^^^^^
hint: write a [ca.mine] table with its `directory`, or name one of letsencrypt, letsencrypt-staging, zerossl, google, google-staging, sslcom-rsa, sslcom-ecc, actalis, digicert, sectigo"#
    );
}

#[test]
fn a_value_that_cannot_be_is_refused_with_its_reason() {
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["example.com"]
propagation = { timeout = "soon" }
"#
        ),
        r#"config-value: `soon` is not a length of time such as `30s`, `3m` or `1h`
4: propagation = { timeout = "soon" }
4:                           ^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[defaults]
timeout = "0s"
"#
        ),
        r#"config-value: `0s` is not a length of time such as `30s`, `3m` or `1h`
2: timeout = "0s"
2:           ^^^^"#
    );
    assert_eq!(
        mistakes("resolvers = [\"192.0.2.1\", \"ns1.example.net\"]\n"),
        r#"config-value: `ns1.example.net` is neither an IP address nor like `tls://dns.example.net@192.0.2.1` or `https://dns.example.net/dns-query`
1: resolvers = ["192.0.2.1", "ns1.example.net"]
1:                           ^^^^^^^^^^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[ca.x]
directory = "http://ca.example.net/dir"
"#
        ),
        r#"config-value: `http://ca.example.net/dir` is not an `https://` address
2: directory = "http://ca.example.net/dir"
2:             ^^^^^^^^^^^^^^^^^^^^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[ca.x]
directory = "ca.example.net"
"#
        ),
        r#"config-value: `ca.example.net` is not a web address
2: directory = "ca.example.net"
2:             ^^^^^^^^^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[ca.letsencrypt]
proxy = "proxy:3128"
"#
        ),
        r#"config-value: `proxy:3128` is not the `http://` address of a proxy
2: proxy = "proxy:3128"
2:         ^^^^^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[ca.letsencrypt]
proxy = "socks5://user:hunter2@proxy"
"#
        ),
        "config-value: this is not the `http://` address of a proxy\n2: proxy = …\n2:         ^"
    );
    assert_eq!(
        mistakes(
            r#"[ca.letsencrypt]
contact = ["ops@example.com", "ops"]
"#
        ),
        r#"config-value: `ops` is not an e-mail address
2: contact = ["ops@example.com", "ops"]
2:                               ^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = []
"#
        ),
        r#"config-value: [dns.example] has no zone
3: zones = []
3:         ^^
hint: name the zones that it may write to: `zones = ["example.com"]`"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["a.test", "b..test"]
"#
        ),
        r#"config-value: `b..test` has an empty label
3: zones = ["a.test", "b..test"]
3:                    ^^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = [{ name = "*.test" }]
"#
        ),
        r#"config-value: `*.test` has a wildcard label
3: zones = [{ name = "*.test" }]
3:                   ^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[dns."a b"]
provider = "sample"
zones = ["a.test"]
"#
        ),
        r#"config-value: `a b` cannot name a credential: 1 to 64 letters, digits, `-`, `_` and `.` can
1: [dns."a b"]
1:      ^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
name = "../x"
domains = "a.test"
"#
        ),
        r#"config-value: `../x` begins with a `.` or a `-`
2: name = "../x"
2:        ^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
name = "a b"
domains = "a.test"
"#
        ),
        r#"config-value: `a b` has the character ' '; letters, digits, `.`, `-` and `_` can name a certificate
2: name = "a b"
2:        ^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = []
"#
        ),
        r#"config-value: `domains` is empty
2: domains = []
2:           ^^"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = "a.test"
ca = []
"#
        ),
        r#"config-value: `ca` names no CA
3: ca = []
3:      ^^"#
    );
}

#[test]
fn a_domain_that_cannot_be_proved_is_pointed_at() {
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = ["a.test", "192.0.2.7"]
"#
        ),
        r#"config-domain: `192.0.2.7` is an IP address, which no DNS challenge can prove
2: domains = ["a.test", "192.0.2.7"]
2:                      ^^^^^^^^^^^
hint: an address is proved over HTTP or TLS only (RFC 8738): ask for a name"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = "ops@example.com"
"#
        ),
        r#"config-domain: `ops@example.com` is an e-mail address, which no DNS challenge can prove
2: domains = "ops@example.com"
2:           ^^^^^^^^^^^^^^^^^
hint: a certificate is for a domain: did you mean `example.com`?"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = ["abc.onion"]
"#
        ),
        r#"config-domain: `abc.onion` is an onion service, which no DNS challenge can prove
2: domains = ["abc.onion"]
2:            ^^^^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = ["https://www.example.com/"]
"#
        ),
        r#"config-domain: `https://www.example.com/` is a web address, not a domain name
2: domains = ["https://www.example.com/"]
2:            ^^^^^^^^^^^^^^^^^^^^^^^^^^
hint: did you mean `www.example.com`?"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = ["a.*.example.com"]
"#
        ),
        r#"config-domain: `a.*.example.com` has its `*` where no CA accepts one
2: domains = ["a.*.example.com"]
2:            ^^^^^^^^^^^^^^^^^
hint: a wildcard is `*.` and then a name"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"]
"#
        ),
        r#"config-domain: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test` has a label of 64 octets; 63 is the most
2: domains = ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"]
2:            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"#
    );
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = ["a_b c.test"]
"#
        ),
        r#"config-domain: `a_b c.test` has the character ' '
2: domains = ["a_b c.test"]
2:            ^^^^^^^^^^^^
hint: several names take a comma between them, or a `-d` each"#
    );
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
6:                    ^^^^^^^^"#
    );
}

#[test]
fn a_secret_that_is_written_out_is_never_shown() {
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["example.com"]
api_token = "s3cr3t-t0ken"
"#
        ),
        r#"config-wrong-type: `api_token` must say where the secret is kept
4: api_token = …
4:             ^
hint: write `{ file = "…" }`, `{ env = "…" }` or `{ exec = ["…"] }`"#
    );
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["example.com"]
api_token = { litteral = "s3cr3t-t0ken" }
"#
        ),
        r#"config-wrong-type: `litteral` must say where the secret is kept
4: api_token = { litteral = … }
4:                          ^
hint: write `{ file = "…" }`, `{ env = "…" }` or `{ exec = ["…"] }`"#
    );
    assert_eq!(
        mistakes(
            r#"[ca.x]
directory = "https://ca.test/"
eab = { kid = "k", hmac_key = "s3cr3t-t0ken" }
"#
        ),
        r#"config-wrong-type: `hmac_key` must say where the secret is kept
3: eab = { kid = "k", hmac_key = … }
3:                               ^
hint: write `{ file = "…" }`, `{ env = "…" }` or `{ exec = ["…"] }`"#
    );
    assert_eq!(
        mistakes(
            r#"[ca.x]
directory = "https://ca.test/"
eab = { kid = "k", hmac_key = { literal = "s3cr3t-t0ken" }, key = 1 }
"#
        ),
        r#"config-unknown-key: unknown key `key` in `eab` of [ca.x]
3: eab = { kid = "k", hmac_key = { literal = … }, key = 1 }
3:                                                ^^^"#
    );
}

#[test]
fn a_mistake_that_the_provider_finds_has_its_place() {
    assert_eq!(
        mistakes(
            r#"[dns.example]
provider = "sample"
zones = ["example.com"]
server = "bad"
"#
        ),
        r#"config-value: `bad` is no server
4: server = "bad"
4:          ^^^^^
hint: name one"#
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
