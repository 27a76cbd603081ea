//! Secrets are pointed at and never shown.

use super::*;

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
3:                                                ^^^
hint: known here: `kid`, `hmac_key`"#
    );
}
