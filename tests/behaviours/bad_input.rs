//! What people get wrong: told apart, explained, and found out before anything is written.

use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Rig, Zone};
use std::process::{Command, Stdio};

fn stand(rig: &Rig) -> (Zone, Program) {
    let zone = rig.zone().create();
    let program = dns01(rig).credentials(&zone).ca(rig, rig.ca_directory());
    (zone, program)
}

/// Nothing at all is in the state directory.
#[track_caller]
fn wrote_nothing(program: &Program) {
    let left: Vec<_> = std::fs::read_dir(program.state()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// `dns01` with `arguments` and nothing else: no state directory, no variable.
fn bare(arguments: &[&str]) -> Outcome {
    let program = dns01(Rig::get());
    let mut command = Command::new(program.command([""; 0]).get_program());
    command.args(arguments).env_clear().env("HOME", program.state()).stdin(Stdio::null());
    let outcome = dns01_tests::program::Running::start(command, std::time::Duration::from_secs(10)).wait();
    wrote_nothing(&program);
    outcome
}

#[test]
fn a_name_that_cannot_be_certified_is_refused_with_its_reason() {
    let (_zone, program) = stand(Rig::get());
    let long_label = format!("{}.example.test", "a".repeat(64));
    let long_name = format!("{}.example.test", vec!["a".repeat(60); 4].join("."));
    let no_room = format!("{}.test", vec!["a".repeat(47); 5].join("."));
    for (name, reason, hint) in [
        (
            "192.0.2.1",
            "is an IP address, which no DNS challenge can prove",
            "hint: an address is proved over",
        ),
        ("2001:db8::1", "is an IP address", "ask for a name"),
        ("ops@example.test", "is an e-mail address", "hint: a certificate is for a domain: did you mean"),
        ("https://www.example.test/shop", "is a web address", "hint: did you mean `www.example.test`?"),
        (
            "a.*.example.test",
            "has its `*` where no CA accepts one",
            "hint: a wildcard is `*.` and then a name",
        ),
        ("a..example.test", "has an empty label", "hint: there is a dot too many"),
        ("one.test two.test", "has the character ' '", "hint: several names take a comma between them"),
        (&long_label, "has a label of 64 octets", "63 is the most"),
        (&long_name, "is 256 characters long", "253 is the most"),
        (&no_room, "is too long to prove", "hint: `*."),
    ] {
        let refused = program.run(["issue", "-d", name, "--dns", "rfc2136"]).failed_with(2);
        let _ = refused.says(reason).says(hint);
    }
    wrote_nothing(&program);
}

#[test]
fn a_flag_that_makes_no_sense_is_refused_before_anything_is_asked() {
    let (zone, program) = stand(Rig::get());
    for (flags, said) in [
        (["--cert-name", "../../etc/cron.d/x"], "hint: it names a directory below `live`"),
        (["--cert-name", "a/b"], "has the character '/'"),
        (["--key-type", "ec521"], "there are ec256, ec384, rsa2048, rsa3072 and rsa4096"),
        (["--challenge", "http-01"], "is not one of dns-01, dns-account-01, dns-persist-01"),
        (["--timeout", "soon"], "is not a length of time such as `30s`"),
        (["--timeout", "2562047788015215h"], "is longer than a year"),
        (["--zone", "a..b"], "--zone: `a..b` has an empty label"),
        (["--server", "letsencrpyt"], "hint: did you mean `letsencrypt`?"),
        (["--server", "http://ca.test/dir"], "is not an `https://` address"),
        (["--server", "ca.test/dir"], "did you mean `https://ca.test/dir`?"),
        (["--ca-bundle", "/nosuch.pem"], "`/nosuch.pem`"),
        (["--email", "nobody"], "`nobody` is not an e-mail address"),
        (["--eab-kid", "x"], "--eab-hmac-key-file"),
        (["--log", "a=b=c"], "--log: "),
        (["--resolver", "nowhere"], "`nowhere`"),
    ] {
        let line = [&["issue", "-d", zone.name(), "--dns", "rfc2136"][..], &flags].concat();
        let _ = program.run(line).failed_with(2).says(said);
    }
    wrote_nothing(&program);
}

#[test]
fn without_arguments_or_with_a_misspelt_command_the_way_is_shown() {
    let _ = bare(&[]).failed_with(2).says("Usage: dns01").says("issue").says("Exit codes:");
    let _ = bare(&["isue", "-d", "example.test"]).failed_with(2).says("a similar subcommand exists: 'issue'");
    let _ = bare(&["issue"]).failed_with(2).says("--domain <NAME>");
    let _ = bare(&["issue", "-d", "example.test"]).failed_with(2).says("hint: name one with --dns (");
    let _ = bare(&["account"]).failed_with(2).says("rollover");
    for line in [&["run", "-d", "a.test"][..], &["certonly"], &["--issue", "-d", "a.test"]] {
        let _ = bare(line).failed_with(2).says("tip: `dns01 issue -d NAME --dns PROVIDER` obtains");
    }
    let _ = bare(&["issue", "a.test"]).failed_with(2).says("`dns01 issue -d a.test`");
    let staging = bare(&["issue", "-d", "a.test", "--dns", "dns_cf", "--server", "staging"]).failed_with(2);
    let _ = staging.says("did you mean `--staging`?");
}

#[test]
fn a_provider_that_is_not_there_or_lacks_its_settings_says_which() {
    let set = [("RFC2136_NAMESERVER", "127.0.0.1"), ("RFC2136_TSIG_KEY", "k")];
    for (provider, variables, said, hint) in [
        ("rfc2163", 0, "is called `rfc2163`", "hint: did you mean `rfc2136`?"),
        ("nosuch", 0, "is called `nosuch`", "hint: this program has "),
        ("dns_cf", 0, "is called `dns_cf`", "hint: did you mean `cloudflare`?"),
        ("rfc2136", 0, "the environment has no server", "hint: set `RFC2136_NAMESERVER`"),
        ("rfc2136", 2, "the environment has no key secret", "hint: set `RFC2136_TSIG_SECRET`"),
    ] {
        let program = dns01(Rig::get());
        let program =
            set[..variables].iter().fold(program, |program, (name, value)| program.env(name, value));
        let refused = program.run(["issue", "-d", "example.test", "--dns", provider]).failed_with(2);
        let _ = refused.says(said).says(hint);
        wrote_nothing(&program);
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_told_before_the_ca_is_asked() {
    let rig = Rig::get();
    let (zone, pebble) = (rig.zone().create(), rig.pebble().start());
    let program = zone.environment()[..3]
        .iter()
        .fold(dns01(rig).ca(rig, &pebble.directory()), |program, (name, value)| program.env(name, value))
        .env("RFC2136_TSIG_SECRET_FILE", "/nosuch/tsig");
    let refused = program.run(["issue", "-d", zone.name(), "--dns", "rfc2136"]).failed_with(2);
    let _ = refused
        .says("`tsig.secret` of credential `rfc2136` cannot be read")
        .says("No such file")
        .says("hint: put the secret into `/nosuch/tsig`");
    wrote_nothing(&program);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dns01.toml");
    let text = format!(
        "{}[[certificate]]\ndomains = [\"{}\"]\nca = \"lab\"\n[ca.lab]\ndirectory = \"{}\"\n",
        zone.table("lab", &[&zone]).replace("literal", "env").replace(&zone.key().secret, "NOSUCH"),
        zone.name(),
        pebble.directory(),
    );
    std::fs::write(&file, text).unwrap();
    let refused = dns01(rig).run(["issue", "--all", "--config", file.to_str().unwrap()]).failed_with(2);
    let _ = refused.says("the environment variable `NOSUCH` is not set").says("hint: set `NOSUCH`");
    assert_eq!(pebble.requests().len(), 0, "the CA was not asked");
}

#[test]
fn a_key_that_does_not_fit_is_explained_and_nothing_is_left() {
    let rig = Rig::get();
    let (zone, _) = stand(rig);
    for (variable, value, said, hint) in [
        (
            "RFC2136_TSIG_SECRET",
            "bm90IHRoZSByaWdodCBzZWNyZXQsIGJ1dCBiYXNlNjQ=",
            "BADSIG",
            "compare the secret",
        ),
        ("RFC2136_TSIG_SECRET", "no base64!", "is not base64", "`tsig.secret`"),
        ("RFC2136_TSIG_KEY", "nosuch", "BADKEY", "compare `tsig.name`"),
    ] {
        let program = dns01(rig).credentials(&zone).ca(rig, rig.ca_directory()).env(variable, value);
        let refused = program.run(["issue", "-d", zone.name(), "--dns", "rfc2136"]).failed_with(1);
        let _ = refused.says("could not write").says(said).says(hint);
        assert!(!program.state().join("live").exists());
    }
    assert_eq!(zone.all_txt(), []);
}

#[test]
fn terms_that_nobody_agreed_to_stop_it_before_an_account_is_made() {
    let rig = Rig::get();
    let (zone, pebble) = (rig.zone().create(), rig.pebble().start());
    let program = dns01(rig).credentials(&zone).ca(rig, &pebble.directory()).env("DNS01_AGREE_TOS", "0");
    for line in [&["issue", "-d", zone.name(), "--dns", "rfc2136"][..], &["account", "register"]] {
        let refused = program.run(line).failed_with(2);
        let _ = refused.says("terms of service are not agreed to").says("hint: read the terms");
    }
    let asked = pebble.requests();
    assert!(asked.iter().all(|(_, kind)| kind == "/dir"), "{asked:?}");
    assert!(!program.state().join("live").exists() && !program.state().join("master.key").exists());
}

#[test]
fn an_internationalised_name_is_certified_as_a_labels() {
    let (zone, program) = stand(Rig::get());
    let names = [format!("Bücher.{}", zone.name()), format!("*.straße.{}", zone.name())];
    let line = ["issue", "-d", &names[0], "-d", &names[1], "--dns", "rfc2136"];
    let _ = program.run(line).succeeded();
    let name = format!("xn--bcher-kva.{}", zone.name());
    let certificate = program.live(&name, "cert.pem");
    let text = Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(certificate).output();
    let text = String::from_utf8(text.unwrap().stdout).unwrap();
    assert!(text.contains(&format!("DNS:{name}")), "{text}");
    assert!(text.contains(&format!("DNS:*.xn--strae-oqa.{}", zone.name())), "{text}");
    let _ = program.run(["show", &name]).succeeded();
}

const FILE: &str = r#"[dns.lab]
provider = "rfc2136"
zones = ["lab.test"]
server = "127.0.0.1:53"
tsig = { name = "k", secret = { env = "NOSUCH" } }

[[certificate]]
domains = ["www.lab.test"]
"#;

/// What stands in the file, what to write in its place, and what is said of it.
const MISTAKES: [(&str, &str, &[&str]); 7] = [
    ("server =", "servr =", &["unknown key `servr` in [dns.lab]", ":4:1", "hint: did you mean `server`?"]),
    ("lab.test\"]\nserver", "lab..test\"]\nserver", &["`lab..test` has an empty label", ":3:10", "^^^^"]),
    ("www.lab.test", "192.0.2.1", &["is an IP address", ":8:12", "^^^^", "ask for a name"]),
    ("\"rfc2136\"", "\"rfc2163\"", &["no provider is called `rfc2163`", ":2:12", "did you mean `rfc2136`?"]),
    ("127.0.0.1:53", "nowhere at all", &["`nowhere at all`", ":4:10", "^^^^"]),
    ("[dns.lab]", "[dns.lab", &["not TOML", ":1:9"]),
    (
        "[[certificate]]",
        "[[certificate]]\nca = \"mine\"",
        &["no CA is called `mine`", ":8:6", "hint: write a [ca.mine]"],
    ),
];

#[test]
fn a_mistake_in_the_file_is_shown_where_it_stands() {
    for (right, wrong, said) in MISTAKES {
        let program = dns01(Rig::get());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("dns01.toml");
        assert!(FILE.contains(right), "{right}");
        std::fs::write(&file, FILE.replacen(right, wrong, 1)).unwrap();
        let line = ["issue", "--all", "--config", file.to_str().unwrap()];
        let mut refused = program.run(line).failed_with(2);
        for part in said {
            refused = refused.says(part);
        }
        let _ = refused.says(&format!("--> {}", file.display()));
        wrote_nothing(&program);
    }
}

/// An alias may lead to a zone that has a credential, so it is no mistake before it was looked up.
#[test]
fn a_name_without_a_credential_is_pointed_at_by_the_plan() {
    let program = dns01(Rig::get());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dns01.toml");
    std::fs::write(&file, FILE.replacen("www.lab.test", "www.shop.test", 1)).unwrap();
    let planned = program.run(["plan", "--config", file.to_str().unwrap()]).succeeded();
    let said =
        ["warning: no credential for `www.shop.test`", ":8:12", "^^^^", "hint: [dns.lab] has `lab.test`"];
    let _ = said.into_iter().fold(planned, Outcome::says);
}

#[test]
fn a_file_or_a_table_that_does_not_exist_is_named() {
    let program = dns01(Rig::get());
    let missing = program.run(["list", "--config", "/nosuch/dns01.toml"]).failed_with(2);
    let _ = missing.says("`/nosuch/dns01.toml` cannot be read").says("hint: ");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dns01.toml");
    std::fs::write(&file, FILE).unwrap();
    let line = ["issue", "-d", "www.lab.test", "--dns", "lap", "--config", file.to_str().unwrap()];
    let _ = program
        .run(line)
        .failed_with(2)
        .says("no [dns.*] table is called `lap`")
        .says("hint: did you mean `lab`?");
    wrote_nothing(&program);
}
