//! How to make the smallest credential.

use dns01_provider::Recipe;
use dns01_provider::recipe::by_zone;
use dns01_provider::{ScopeNeed, Settings};

/// The program holds the credential, not dns01.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let names: Vec<String> = by_zone(needs)
        .into_iter()
        .flat_map(|(zone, needs)| {
            needs.into_iter().map(move |need| format!("{} TXT    in zone {zone}", need.name.absolute()))
        })
        .collect();
    Recipe::new("what the program's own credential allows: it is the program that needs a small one")
        .step("let the program's credential write these and nothing else", names.join("\n"))
        .step(
            "keep dns01's environment from it: leave `inherit_environment` out, and give it its secrets alone \
             under `environment`",
            "environment = { TOKEN = { file = \"…\" } }",
        )
}
