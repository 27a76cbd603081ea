//! No secret is seen anywhere: not in what is printed, not in any file but the key's own.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dns01_tests::program::{Outcome, Program, dns01};
use dns01_tests::rig::{Rig, Zone};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const KID: &str = "kid-of-the-secrets";
const MAC_KEY: &str = "c2VjcmV0IG9mIHRoZSBleHRlcm5hbCBhY2NvdW50IGJpbmRpbmcsIDQ4IG9jdGV0cyE";
const PROXY_PASSWORD: &str = "hunter2-of-the-proxy";

/// A secret with what it is called; it is looked for in every form that a leak could have.
struct Secret {
    what: &'static str,
    octets: Vec<u8>,
}

impl Secret {
    fn text(what: &'static str, text: &str) -> Self {
        Self { what, octets: text.as_bytes().to_vec() }
    }

    /// The secret itself, in hexadecimal, and in base64 at each of the three offsets it can have
    /// in something longer.
    fn forms(&self) -> Vec<Vec<u8>> {
        let hex = data_encoding::HEXLOWER.encode(&self.octets);
        let mut forms = vec![self.octets.clone(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
        for skip in 0..3 {
            let whole = &self.octets[skip..];
            let whole = &whole[..whole.len() / 3 * 3];
            forms.push(STANDARD.encode(whole).into_bytes());
            forms.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
        }
        // As `Debug` prints octets.
        let list: Vec<String> = self.octets.iter().map(ToString::to_string).collect();
        forms.push(list.join(", ").into_bytes());
        forms
    }

    #[track_caller]
    fn is_not_in(&self, place: &str, content: &[u8]) {
        for form in self.forms() {
            let found = content.windows(form.len()).any(|window| window == form);
            assert!(!found, "{} is in {place}: {}", self.what, String::from_utf8_lossy(&form));
        }
    }
}

fn secrets_of(zone: &Zone) -> Vec<Secret> {
    let tsig = &zone.key().secret;
    vec![
        Secret::text("the TSIG secret, as written", tsig),
        Secret { what: "the TSIG secret", octets: STANDARD.decode(tsig).unwrap() },
        Secret::text("the MAC key, as written", MAC_KEY),
        Secret { what: "the MAC key", octets: URL_SAFE_NO_PAD.decode(MAC_KEY).unwrap() },
        Secret::text("the proxy's password", PROXY_PASSWORD),
    ]
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match fs::symlink_metadata(&path).unwrap() {
            found if found.is_dir() => files.extend(files_below(&path)),
            found if found.is_file() => files.push(path),
            _ => {}
        }
    }
    files
}

/// The scalar of an EC key or the first prime of an RSA key would do; the middle of the PKCS#8
/// document is neither its header nor its public key alone.
fn private_keys(program: &Program) -> Vec<Secret> {
    let files = files_below(program.state());
    let keys = files.iter().filter(|file| file.ends_with("privkey.pem"));
    let key = |file: &PathBuf| {
        let pem = fs::read_to_string(file).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(body).unwrap();
        // PKCS#8 of a P-256 key: 36 octets of header, then the 32 octets of the scalar.
        Secret { what: "a private key", octets: der[36..68].to_vec() }
    };
    keys.map(key).collect()
}

#[track_caller]
fn look_through(program: &Program, zone: &Zone, outcomes: &[Outcome]) {
    let mut secrets = secrets_of(zone);
    let keys = private_keys(program);
    assert!(!keys.is_empty(), "there is a key to look for");
    for secret in secrets.iter().chain(&keys) {
        for (number, outcome) in outcomes.iter().enumerate() {
            secret.is_not_in(&format!("standard output of run {number}"), outcome.stdout.as_bytes());
            secret.is_not_in(&format!("standard error of run {number}"), outcome.stderr.as_bytes());
        }
    }
    secrets.extend(keys);
    for file in files_below(program.state()) {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        let content = fs::read(&file).unwrap();
        if file.ends_with("privkey.pem") {
            assert_eq!(mode, 0o600, "{}", file.display());
            continue;
        }
        for secret in &secrets {
            secret.is_not_in(&file.display().to_string(), &content);
        }
        let pem = b"PRIVATE KEY-----";
        assert!(!content.windows(pem.len()).any(|window| window == pem), "{}", file.display());
        if file.ends_with("master.key") {
            assert_eq!(mode, 0o600, "{}", file.display());
        }
    }
    for outcome in outcomes {
        assert!(!outcome.stderr.contains("PRIVATE KEY") && !outcome.stdout.contains("PRIVATE KEY"));
    }
}

/// Everything that touches a secret, at the highest log level, in both forms of output.
#[test]
fn no_output_and_no_file_holds_a_secret() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let pebble = rig.pebble().external_account(KID, MAC_KEY).start();
    // Outside the state directory, where no secret of the user's is expected.
    let outside = tempfile::tempdir().unwrap();
    let mac = outside.path().join("mac");
    fs::write(&mac, MAC_KEY).unwrap();
    let program = dns01(rig)
        .credentials(&zone)
        .ca(rig, &pebble.directory())
        .env("DNS01_LOG", "trace")
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full");
    let bound = ["--eab-kid", KID, "--eab-hmac-key-file", mac.to_str().unwrap()];
    let issue = ["issue", "-d", zone.name(), "--dns", "rfc2136", "--key-type", "ec256"];
    let run = |line: &[&str]| program.run(line);

    let outcomes = [
        run(&[&issue[..], &bound, &["--json"]].concat()).succeeded(),
        run(&[&issue[..], &["--force"]].concat()).succeeded(),
        run(&["renew", "--json"]).succeeded(),
        run(&["renew", zone.name(), "--force"]).succeeded(),
        run(&["check", "-d", zone.name(), "--dns", "rfc2136"]).succeeded(),
        run(&["account", "rollover", "--account-key-type", "es384"]).succeeded(),
        run(&["account", "update", "-m", "x@example.test", "--json"]).succeeded(),
        run(&["txt", "add", &zone.host("x"), "value", "--dns", "rfc2136"]).succeeded(),
        run(&["txt", "remove", &zone.host("x"), "value", "--dns", "rfc2136"]).succeeded(),
        run(&["list", "--json"]).succeeded(),
        run(&["show", zone.name(), "--json"]).succeeded(),
        run(&["plan"]).succeeded(),
        run(&["revoke", zone.name(), "--by-certificate-key"]).succeeded(),
    ];
    assert!(outcomes[1].stderr.contains("TRACE"), "the log is at its most talkative");
    look_through(&program, &zone, &outcomes);
}

/// A proxy's password is read from the file each time; the store knows nothing of it.
#[test]
fn a_proxys_password_is_used_and_kept_nowhere() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let connect = dns01_tests::fault_ca::ConnectProxy::start().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("dns01.toml");
    let text = format!(
        "[ca.lab]\ndirectory = \"{}\"\nca_bundle = \"{}\"\nagree_tos = true\n\
         proxy = \"{}\"\n",
        rig.ca_directory(),
        rig.ca_bundle().display(),
        connect.url().replace("://", &format!("://user:{PROXY_PASSWORD}@")),
    );
    fs::write(&file, text).unwrap();
    let program = dns01(rig).credentials(&zone).env("DNS01_LOG", "trace").env("DNS01_CONFIG", &file);
    let issue = ["issue", "-d", zone.name(), "--dns", "rfc2136", "--server", "lab"];
    let first = program.run(issue).succeeded();
    let used = connect.targets().len();
    let outcomes = [first, program.run(["renew", zone.name(), "--force"]).succeeded()];
    assert!(used > 0 && connect.targets().len() > used, "the proxy is remembered by its table");
    look_through(&program, &zone, &outcomes);
}

/// What fails says more than what succeeds.
#[test]
fn no_failure_holds_a_secret() {
    let rig = Rig::get();
    let (zone, other) = (rig.zone().create(), rig.zone().create());
    let pebble = rig.pebble().external_account(KID, MAC_KEY).start();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("dns01.toml");
    let proxy = format!("http://user:{PROXY_PASSWORD}@127.0.0.1:9");
    let socks = proxy.replace("http:", "socks5:");
    let proxied = |scheme: &str| {
        let proxy = proxy.replace("http:", &format!("{scheme}:"));
        format!("[ca.far]\ndirectory = \"https://far.test/dir\"\nagree_tos = true\nproxy = \"{proxy}\"\n")
    };
    let text = |more: &str| {
        format!(
            "[ca.lab]\ndirectory = \"{}\"\nca_bundle = \"{}\"\nagree_tos = true\n\
             eab = {{ kid = \"{KID}\", hmac_key = {{ literal = \"{MAC_KEY}\" }} }}\n{}\
             [[certificate]]\nname = \"good\"\nca = \"lab\"\ndomains = [\"{}\"]\n{more}",
            pebble.directory(),
            rig.ca_bundle().display(),
            zone.table("shared", &[&zone, &other]),
            zone.name(),
        )
    };
    let program = dns01(rig).env("DNS01_LOG", "trace");
    let run = |more: &str, line: &[&str]| {
        fs::write(&file, text(more)).unwrap();
        program.run([line, &["--config", file.to_str().unwrap()]].concat())
    };
    let refused =
        format!("[[certificate]]\nname = \"bad\"\nca = \"lab\"\ndomains = [\"{}\"]\n", other.name());
    // The key of the zone may not write in the other one.
    let outcomes = [
        run(&refused, &["issue", "--all"]).failed_with(1),
        run(&refused, &["issue", "--all", "--json", "--force"]).failed_with(1),
        run("", &["renew", "good", "--force"]).succeeded(),
        run("nosuch_key = 1\n", &["list"]).failed_with(2),
        run("", &["issue", "--all", "--force", "--staging"]).failed_with(2),
        run("", &["account", "show", "--server", "lab", "--proxy", &proxy]).failed_with(2),
        run("", &["account", "show", "--server", "lab", "--proxy", &socks, "--json"]).failed_with(2),
        run(&proxied("http"), &["account", "show", "--server", "far"]).failed_with(1),
        run(&proxied("http"), &["account", "register", "--server", "far"]).failed_with(3),
        run(&proxied("http"), &["account", "register", "--server", "far", "--json"]).failed_with(3),
        run(&proxied("socks5"), &["list"]).failed_with(2),
        run("", &["check"]).succeeded(),
    ];
    look_through(&program, &zone, &outcomes);
    let wrong = dns01(rig).credentials(&zone).ca(rig, &pebble.directory()).env("DNS01_LOG", "trace");
    let line = ["issue", "-d", other.name(), "--dns", "rfc2136", "--eab-kid", KID, "--eab-hmac-key-file"];
    let mac = outside.path().join("mac");
    fs::write(&mac, format!("{MAC_KEY}!")).unwrap();
    let refused = wrong.run([&line[..], &[mac.to_str().unwrap()]].concat()).failed_with(1);
    for secret in secrets_of(&zone) {
        secret.is_not_in("the refusal", refused.stderr.as_bytes());
    }
}

/// Whoever takes a variable or key for another gets told which, without what stands in it.
#[test]
fn a_secret_that_stands_in_the_wrong_place_is_not_shown() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let secret = zone.key().secret.clone();
    let program = || dns01(rig).env("DNS01_LOG", "trace").ca(rig, rig.ca_directory());
    let environment = |variable: &str| {
        let known = zone.environment().into_iter().filter(|(name, _)| !variable.starts_with(name));
        let program = known.fold(program(), |program, (name, value)| program.env(name, value));
        let program = program.env(variable, &secret);
        let line = ["issue", "-d", zone.name(), "--dns", "rfc2136"];
        program.run(line).failed_with(2).says(&format!("`{variable}`"))
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dns01.toml");
    let table = |key: &str| {
        let text = zone.table("lab", &[&zone]).replace("literal", key);
        assert!(text.contains(&format!("{key} = \"{secret}\"")), "{text}");
        std::fs::write(&file, text).unwrap();
        let line = ["issue", "-d", zone.name(), "--dns", "lab", "--config", file.to_str().unwrap()];
        program().run(line).failed_with(2).says(&format!("`{key}` is not")).says("may be the secret itself")
    };
    let key = environment("RFC2136_TSIG_KEY").says("is not a key name");
    let path = environment("RFC2136_TSIG_SECRET_FILE")
        .says("hint: the secret itself goes into `RFC2136_TSIG_SECRET`");
    for outcome in [key, path, table("file"), table("env")] {
        for secret in secrets_of(&zone) {
            secret.is_not_in("standard output", outcome.stdout.as_bytes());
            secret.is_not_in("standard error", outcome.stderr.as_bytes());
        }
    }
}
