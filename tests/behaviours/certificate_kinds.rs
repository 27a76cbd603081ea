//! Every kind of key, the user's own request, and every way to prove a name.

use dns01_tests::program::{Program, dns01};
use dns01_tests::rig::{Rig, Zone};
use std::path::Path;
use std::process::Command;

fn stand(rig: &Rig) -> (Zone, Program) {
    let zone = rig.zone().create();
    let program = dns01(rig).credentials(&zone).ca(rig, rig.ca_directory());
    (zone, program)
}

#[track_caller]
fn issue(program: &Program, domain: &str, more: &[&str]) {
    let line = ["issue", "-d", domain, "--dns", "rfc2136"];
    let _ = program.run([&line[..], more].concat()).succeeded();
}

#[track_caller]
fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The public key, from a certificate or from a private key.
fn public_key(file: &Path) -> String {
    let path = file.to_str().unwrap();
    if std::fs::read_to_string(file).unwrap().contains("CERTIFICATE") {
        openssl(&["x509", "-in", path, "-noout", "-pubkey"])
    } else {
        openssl(&["pkey", "-in", path, "-pubout"])
    }
}

#[test]
fn every_kind_of_key_is_certified() {
    let (zone, program) = stand(Rig::get());
    let kinds = [
        ("ec256", "id-ecPublicKey", "256 bit"),
        ("ec384", "id-ecPublicKey", "384 bit"),
        ("rsa2048", "rsaEncryption", "2048 bit"),
        ("rsa3072", "rsaEncryption", "3072 bit"),
        ("rsa4096", "rsaEncryption", "4096 bit"),
    ];
    std::thread::scope(|scope| {
        for (kind, algorithm, size) in kinds {
            let (zone, program) = (&zone, &program);
            scope.spawn(move || {
                let domain = zone.host(kind);
                issue(program, &domain, &["--key-type", kind]);
                let certificate = program.live(&domain, "cert.pem");
                let text = openssl(&["x509", "-in", certificate.to_str().unwrap(), "-noout", "-text"]);
                assert!(text.contains(algorithm) && text.contains(size), "{kind}: {text}");
                let key = program.live(&domain, "privkey.pem");
                assert_eq!(public_key(&certificate), public_key(&key), "{kind}");
            });
        }
    });
    assert_eq!(zone.all_txt(), []);
}

#[test]
fn a_renewal_makes_a_new_key_unless_it_is_to_be_kept() {
    let (zone, program) = stand(Rig::get());
    let key = || std::fs::read(program.live(zone.name(), "privkey.pem")).unwrap();
    issue(&program, zone.name(), &["--reuse-key"]);
    let first = key();
    let _ = program.run(["renew", zone.name(), "--force"]).succeeded();
    assert_eq!(key(), first, "renew remembers --reuse-key");
    issue(&program, zone.name(), &["--force"]);
    assert_ne!(key(), first);
}

#[test]
fn a_request_of_ones_own_is_certified_and_renewed_without_its_key() {
    let (zone, program) = stand(Rig::get());
    let (key, request) = (program.state().join("own.key"), program.state().join("own.csr"));
    let (key_path, request_path) = (key.to_str().unwrap(), request.to_str().unwrap());
    let names = format!("subjectAltName=DNS:{0},DNS:*.{0}", zone.name());
    openssl(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/",
        "-addext",
        &names,
        "-keyout",
        key_path,
        "-out",
        request_path,
    ]);
    let line = ["issue", "--csr", request_path, "--dns", "rfc2136", "--cert-name", "own"];
    let refused = program.run([&line[..], &["-d", zone.name()]].concat()).failed_with(2);
    let _ = refused.says("other names than -d").says("hint: leave -d out");
    let _ = program.run(line).succeeded();
    assert_eq!(public_key(&program.live("own", "cert.pem")), public_key(&key));
    assert!(!program.live("own", "privkey.pem").exists(), "the key never was here");
    let _ = program.run(["show", "own"]).succeeded().says("of the request");

    std::fs::remove_file(&request).unwrap();
    let renewed = program.run(["renew", "own", "--force", "--json"]).succeeded().document();
    assert_eq!(renewed["certificates"][0]["version"], 2);
    assert_eq!(public_key(&program.live("own", "cert.pem")), public_key(&key));
    let refused = program.run(["revoke", "own", "--by-certificate-key"]).failed_with(2);
    let _ = refused.says("hint: use --cert and --key");
}

#[test]
fn a_name_is_proved_under_a_label_of_the_account() {
    let rig = Rig::get();
    if !rig.has_current_pebble("dns-account-01") {
        return;
    }
    let (zone, program) = stand(rig);
    let events = {
        let line = ["issue", "-d", zone.name(), "-d", &format!("*.{}", zone.name()), "--dns", "rfc2136"];
        program.run([&line[..], &["--challenge", "dns-account-01", "--json"]].concat()).succeeded().stderr
    };
    let written = events.lines().find(|line| line.contains("\"step\":\"records\",\"seconds\"")).unwrap();
    let batches: serde_json::Value = serde_json::from_str(written).unwrap();
    let at = batches["batches"][0]["at"][0].as_str().unwrap();
    let label = at.strip_suffix(&format!("._acme-challenge.{}", zone.name())).unwrap();
    assert!(label.starts_with('_') && label.len() == 17, "`_` and 10 octets in base32: {label}");
    assert_eq!(zone.all_txt(), []);
}

#[test]
fn a_standing_permission_stays_and_serves_the_next_order() {
    let rig = Rig::get();
    if !rig.has_current_pebble("dns-persist-01") {
        return;
    }
    let (zone, program) = stand(rig);
    let persistent = ["--challenge", "dns-persist-01"];
    let wildcard = format!("*.{}", zone.name());
    issue(&program, zone.name(), &persistent);
    let record = zone.host("_validation-persist");
    let values = zone.txt(&record);
    assert_eq!(values.len(), 1, "{values:?}");
    assert!(values[0].contains("accounturi=https://"), "{values:?}");

    let updates = zone.updates();
    let _ = program.run(["renew", zone.name(), "--force"]).succeeded();
    let _ = program.run(["txt", "gc"]).succeeded();
    assert_eq!(zone.txt(&record), values, "neither a renewal nor a clean-up touches it");
    assert!(zone.updates() <= updates + 1, "it is written again at most");

    issue(&program, &wildcard, &[&persistent[..], &["--cert-name", "wild"]].concat());
    let both = zone.txt(&record);
    assert!(both.iter().any(|value| value.contains("policy=wildcard")), "{both:?}");
    assert!(both.contains(&values[0]), "{both:?}");
}
