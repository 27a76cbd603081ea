//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// A token's scopes are kinds of work; what it reaches is the whole team.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let zones: Vec<String> = by_zone(needs).keys().map(ToString::to_string).collect();
    Recipe::new("edits every record of every domain of the team, and makes or deletes no domain")
        .at("https://cloud.digitalocean.com/account/api/tokens")
        .step(
            "keep these domains in a team that has no others: a token reaches all domains of its team",
            zones.join("\n"),
        )
        .step(
            "there, generate a token with `Custom Scopes`, and of these the two",
            "domain:read\ndomain:update",
        )
        .step("give it an end date, and note when to renew it", "")
        .delegation(needs)
}
