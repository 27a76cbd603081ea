//! The names of certificates.

use super::*;

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
