//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// A token reaches all of its project: the project is what can be made small.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let zones: Vec<String> = by_zone(needs).keys().map(ToString::to_string).collect();
    Recipe::new(
        "changes and deletes everything in its project, and could make servers there: it cannot be made smaller",
    )
    .at("https://console.hetzner.com/projects")
    .step("make a project that holds these zones and nothing else, and move them there", zones.join("\n"))
    .step("in it, under Security / API tokens, generate a token with the permission", "Read & Write")
    .delegation(needs)
}
