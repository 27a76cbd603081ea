//! What is not the form of a configuration: syntax, keys, types.

use super::*;

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
3: ^^^^^
hint: known here: `name`, `domains`, `ca`, `key`, `reuse_key`, `profile`, `challenge`, `preferred_chain`, `deploy`"#
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
