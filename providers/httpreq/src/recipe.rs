//! How to make the smallest credential.

use dns01_provider::Recipe;
use dns01_provider::recipe::by_zone;
use dns01_provider::{ScopeNeed, Settings};

/// The service decides what its callers may write.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let names: Vec<String> =
        by_zone(needs).into_values().flatten().map(|need| format!("{} TXT", need.name.absolute())).collect();
    let user = settings.text("username").unwrap_or("dns01");
    Recipe::new("what the service lets its caller write: it is the service that must be narrow")
        .step(
            format!("give `{user}` a password of its own, and let the service take these from it, and nothing else"),
            names.join("\n"),
        )
        .step("let the service be reached over https, or on this machine alone: the password goes with each request", "")
}
