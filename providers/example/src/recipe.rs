//! How to make the smallest credential.

use dns01_provider::recipe::by_zone;
use dns01_provider::{Recipe, ScopeNeed, Settings};

/// Tokens are for one zone, and for TXT records if one says so.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let zones: Vec<&str> = by_zone(needs).into_keys().map(|zone| zone.as_str()).collect();
    Recipe::new("every TXT record of the zone")
        .at("https://dns.example.net/tokens")
        .step("make a token for each of these zones, with the right `txt:write`", zones.join("\n"))
        .delegation(needs)
}
