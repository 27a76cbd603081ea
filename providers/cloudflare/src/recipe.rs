//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// A token can be kept to a zone, not to a name in it.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let zones = by_zone(needs);
    let list = |line: &dyn Fn(&str) -> String| {
        zones.keys().map(|zone| line(zone.as_str())).collect::<Vec<_>>().join("\n")
    };
    let unknown = zones.values().any(|needs| needs[0].zone.id.is_none());
    let recipe = Recipe::new(
        "edits every record of the zones it is made for, and nothing else of the account",
    )
    .at("https://dash.cloudflare.com/profile/api-tokens")
    .step("create a custom token with this one permission", "Zone / DNS / Edit")
    .step(
        "under `Zone Resources`, include these and no others",
        list(&|zone| format!("Include / Specific zone / {zone}")),
    )
    .step(
        "under `Client IP Address Filtering`, name this machine's address, if it is a fixed one; under \
                 `TTL`, an end that you will not forget",
        "",
    );
    let recipe = match unknown {
        true => recipe.step(
            "write each zone's id (on its overview page) beside its name, so that the token need not read zones",
            list(&|zone| format!("{{ name = \"{zone}\", id = \"…\" }}")),
        ),
        false => recipe,
    };
    recipe.delegation(needs)
}
