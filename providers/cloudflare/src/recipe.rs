//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// A token can be kept to a zone, not to a name in it.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let zones: Vec<String> = by_zone(needs).keys().map(ToString::to_string).collect();
    let recipe = Recipe::new(
        "edits every record of the zones it is made for, and nothing else of the account",
    )
    .at("https://dash.cloudflare.com/profile/api-tokens")
    .step("create a custom token with one permission", "Zone / DNS / Edit")
    .step("let it include these zones only, each as `Specific zone`", zones.join("\n"))
    .step(
        "write each zone's id (on its overview page) beside its name, so that the token need not read zones",
        zones
            .iter()
            .map(|zone| format!("{{ name = \"{zone}\", id = \"…\" }}"))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    recipe.delegation(needs)
}
