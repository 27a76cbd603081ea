//! How to make the smallest credential.

use dns01_provider::Recipe;
use dns01_provider::{ScopeNeed, Settings};

/// The service decides what its callers may write.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let names: Vec<String> = needs.iter().map(|need| format!("{} TXT", need.name.absolute())).collect();
    let user = settings.text("username").unwrap_or("dns01");
    Recipe::new("what the service lets its caller write")
        .step(format!("let the service take these, and nothing else, from `{user}`"), names.join("\n"))
}
