//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// BIND and Knot can keep a key to names and types.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let key = settings.text("tsig.name").unwrap_or("dns01.");
    let bare = key.trim_end_matches('.');
    let mut recipe = Recipe::new("adds and removes TXT records at the challenge names, and nothing else")
        .step("make the key", format!("tsig-keygen -a hmac-sha256 {bare}"));
    let zones = by_zone(needs);
    let bind = zones.iter().map(|(zone, needs)| {
        let grants: Vec<String> =
            needs.iter().map(|need| format!("    grant {bare} name {} TXT;", need.name.absolute())).collect();
        format!("// zone \"{zone}\"\nupdate-policy {{\n{}\n}};", grants.join("\n"))
    });
    recipe = recipe.step("BIND: in the zone's block", bind.collect::<Vec<_>>().join("\n"));
    let knot = zones.iter().map(|(zone, needs)| {
        let names: Vec<String> =
            needs.iter().map(|need| need.name.relative_to(zone).unwrap_or_default().to_owned()).collect();
        format!(
            "# domain: {zone}\nacl:\n  - id: dns01-{zone}\n    key: {bare}\n    action: update\n    \
             update-type: [TXT]\n    update-owner: name\n    update-owner-match: equal\n    \
             update-owner-name: [{}]",
            names.join(", ")
        )
    });
    recipe.step("or Knot: the acl, and its id in the zone's `acl:`", knot.collect::<Vec<_>>().join("\n"))
}
