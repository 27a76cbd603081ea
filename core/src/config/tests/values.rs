//! The right form with a value that cannot be.

use super::*;

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
fn a_second_ca_that_nobody_would_use_is_refused() {
    assert_eq!(
        mistakes(
            r#"[[certificate]]
domains = "a.test"
ca = ["letsencrypt", "zerossl"]
"#
        ),
        r#"config-not-yet: this version uses one CA, and no other where it fails
3: ca = ["letsencrypt", "zerossl"]
3:                      ^^^^^^^^^
hint: leave `letsencrypt` alone in the list"#
    );
    assert_eq!(
        mistakes(
            r#"[defaults]
ca = ["zerossl", "letsencrypt"]
"#
        ),
        r#"config-not-yet: this version uses one CA, and no other where it fails
2: ca = ["zerossl", "letsencrypt"]
2:                  ^^^^^^^^^^^^^
hint: leave `zerossl` alone in the list"#
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
