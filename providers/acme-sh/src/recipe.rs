//! How to make the smallest credential.

use dns01_provider::{Recipe, ScopeNeed, Settings};

/// The script holds the credential, and its provider decides how small that can be.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let names: Vec<String> = needs.iter().map(|need| format!("{} TXT", need.name.absolute())).collect();
    let script = settings.text("script").unwrap_or("the script");
    Recipe::new("what the script's own credential allows")
        .step(
            format!("let the credential that `{script}` is given write these and nothing else"),
            names.join("\n"),
        )
        .step("look whether the service has a provider of its own here: those can be given less", "")
        .delegation(needs)
}
