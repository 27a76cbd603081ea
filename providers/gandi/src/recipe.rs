//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// A token can be kept to a domain and one permission, not to a name in it.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let zones: Vec<String> = by_zone(needs).keys().map(ToString::to_string).collect();
    Recipe::new("edits every record of the domains it is made for, and their name servers and DNSSEC keys")
        .at("https://admin.gandi.net/organizations/account/pat")
        .step(
            "create a personal access token of the organization that owns the domain, restricted to",
            zones.join("\n"),
        )
        .step("give it one permission", "Manage technical configuration of domains")
        .step(
            "note when it ends (a year at most) and renew it before: the service has no token without an end",
            "",
        )
        .delegation(needs)
}
