//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// A token's scope is a product; what keeps it to a domain are the grants of its user.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let zones = by_zone(needs);
    let names: Vec<String> = zones.keys().map(ToString::to_string).collect();
    let ids: Vec<String> = needs_with_ids(&zones)
        .iter()
        .map(|id| format!(r#"{{"id":{id},"permissions":"read_write"}}"#))
        .collect();
    Recipe::new("edits every record of these domains, and nothing else of the account")
        .at("https://cloud.linode.com/profile/tokens")
        .step("add a user with limited access, who may edit these domains only and add none", names.join("\n"))
        .step(
            "or by the API ($ADMIN is a token that may manage users; the ids are in the DNS Manager's addresses)",
            format!(
                "curl -X PUT https://api.linode.com/v4/account/users/dns01/grants -H \"Authorization: Bearer $ADMIN\" \
                 -H 'Content-Type: application/json' -d '{{\"domain\":[{}]}}'",
                ids.join(",")
            ),
        )
        .step(
            "as that user create a personal access token: every scope `No Access`, but this one, and with an expiry",
            "Domains: Read/Write",
        )
        .delegation(needs)
}

/// The configured ids, or places for them.
fn needs_with_ids(
    zones: &std::collections::BTreeMap<&dns01_provider::ZoneName, Vec<&ScopeNeed>>,
) -> Vec<String> {
    let id = |needs: &Vec<&ScopeNeed>| needs.first().and_then(|need| need.zone.id.clone());
    zones.values().map(|needs| id(needs).unwrap_or_else(|| "12345".to_owned())).collect()
}
