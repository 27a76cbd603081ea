//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings, ZoneName};

/// BIND and Knot can keep a key to names and types, PowerDNS to zones.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let key = settings.text("tsig.name").unwrap_or("dns01").trim_end_matches('.');
    let algorithm = settings.text("tsig.algorithm").unwrap_or("hmac-sha256");
    let zones = by_zone(needs);
    let each = |text: &dyn Fn(&ZoneName, &[&ScopeNeed]) -> String| {
        zones.iter().map(|(zone, needs)| text(zone, needs)).collect::<Vec<_>>().join("\n")
    };
    Recipe::new(
        "adds and removes TXT records at these names, and nothing else; at PowerDNS, which keeps a key to a \
         zone only, every record of it",
    )
    .step(
        "make the key; its secret goes where `tsig.secret` says, its block into the server's configuration",
        format!("tsig-keygen -a {algorithm} {key}"),
    )
    .step("BIND: in the block of the zone, then `rndc reconfig`", each(&|zone, needs| bind(key, zone, needs)))
    .step(
        format!("or Knot: the rule, whose id the zone names (`acl:`); `keymgr -t {key} {algorithm}` prints the key for it"),
        each(&|zone, needs| knot(key, zone, needs)),
    )
    .step(
        "or PowerDNS, with `dnsupdate=yes` in pdns.conf (192.0.2.7 stands for this machine)",
        format!("pdnsutil import-tsig-key {key} {algorithm} SECRET\n") + &each(&|zone, _| powerdns(key, zone)),
    )
}

fn bind(key: &str, zone: &ZoneName, needs: &[&ScopeNeed]) -> String {
    let grant = |need: &&ScopeNeed| format!("    grant \"{key}\" name {} TXT;\n", need.name.absolute());
    let grants: String = needs.iter().map(grant).collect();
    format!("// zone \"{zone}\"\nupdate-policy {{\n{grants}}};")
}

fn knot(key: &str, zone: &ZoneName, needs: &[&ScopeNeed]) -> String {
    let names: Vec<String> = needs.iter().map(|need| need.name.absolute()).collect();
    format!(
        "# domain: {zone}\nacl:\n  - id: dns01-{zone}\n    key: {key}\n    action: update\n    \
         update-type: [TXT]\n    update-owner: name\n    update-owner-match: equal\n    \
         update-owner-name: [{}]",
        names.join(", ")
    )
}

fn powerdns(key: &str, zone: &ZoneName) -> String {
    format!(
        "pdnsutil set-meta {zone} TSIG-ALLOW-DNSUPDATE {key}\n\
         pdnsutil set-meta {zone} ALLOW-DNSUPDATE-FROM 192.0.2.7/32"
    )
}
