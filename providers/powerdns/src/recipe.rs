//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// One key for the whole server: the way around it is DNS UPDATE with a TSIG key per zone.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let zones = by_zone(needs);
    let commands = zones.keys().map(|zone| {
        format!(
            "pdnsutil generate-tsig-key dns01-{zone} hmac-sha256\n\
             pdnsutil set-meta {zone} TSIG-ALLOW-DNSUPDATE dns01-{zone}\n\
             pdnsutil set-meta {zone} ALLOW-DNSUPDATE-FROM 192.0.2.7/32"
        )
    });
    let tables = zones.keys().map(|zone| {
        format!(
            "[dns.\"{zone}\"]\nprovider = \"rfc2136\"\nzones = [\"{zone}\"]\nserver = \"192.0.2.53:53\"\n\
             tsig = {{ name = \"dns01-{zone}\", algorithm = \"hmac-sha256\", secret = {{ file = \"…\" }} }}"
        )
    });
    Recipe::new("the API key may do everything with every zone of the server: it cannot be made smaller")
        .step(
            "better: DNS UPDATE with a key of its own for each zone (`dnsupdate=yes` in pdns.conf; 192.0.2.7 \
             stands for this machine)",
            commands.collect::<Vec<_>>().join("\n"),
        )
        .step(
            "and in dns01.toml, instead of the present table (192.0.2.53 stands for the server)",
            tables.collect::<Vec<_>>().join("\n"),
        )
        .delegation(needs)
}
