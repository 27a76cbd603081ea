//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// A key can be kept to domains and addresses, not to names or types.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let zones: Vec<String> = by_zone(needs).keys().map(ToString::to_string).collect();
    Recipe::new("changes everything about the domains it is allowed for: records, name servers and settings")
        .at("https://porkbun.com/account/api")
        .step("switch API access on for these domains (Domain Management, Details)", zones.join("\n"))
        .step("create an API key pair; behind its gear, let its allowed domains be these", zones.join("\n"))
        .step("let its allowed addresses be this machine's (192.0.2.7 stands for it)", "192.0.2.7/32")
        .step("set a low monthly spend limit for the account: a key may buy domains", "")
        .delegation(needs)
}
