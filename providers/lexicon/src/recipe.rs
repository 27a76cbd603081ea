//! How to make the smallest credential.

use dns01_provider::{Recipe, ScopeNeed, Settings};

/// lexicon holds the credential, and its service decides how small that can be.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let names: Vec<String> = needs.iter().map(|need| format!("{} TXT", need.name.absolute())).collect();
    let service = settings.text("service").unwrap_or("the service");
    Recipe::new("what the credential that lexicon is given allows")
        .step(format!("let the credential for `{service}` write these and nothing else"), names.join("\n"))
        .step("look whether the service has a provider of its own here: those can be given less", "")
        .delegation(needs)
}
