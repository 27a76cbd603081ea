//! How to make the smallest credential.

use dns01_provider::Recipe;
use dns01_provider::{ScopeNeed, Settings};

/// The program holds the credential, not dns01.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let names: Vec<String> = needs.iter().map(|need| format!("{} TXT", need.name.absolute())).collect();
    Recipe::new("what the program's own credential allows")
        .step("let the program's credential write these and nothing else", names.join("\n"))
        .step("run it without dns01's environment: leave `inherit_environment` out", "")
}
