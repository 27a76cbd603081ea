//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// Roles can be given on single record sets, and go with them.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let subscription = settings.text("subscription_id").unwrap_or("SUBSCRIPTION");
    let group = settings.text("resource_group").unwrap_or("GROUP");
    let client = settings.text("client_id").unwrap_or("CLIENT_ID");
    let (mut sets, mut roles) = (Vec::new(), Vec::new());
    for (zone, needs) in by_zone(needs) {
        for need in needs {
            let relative = need.name.relative_to(zone).filter(|name| !name.is_empty()).unwrap_or("@");
            let id = need.zone.id.clone().unwrap_or_else(|| {
                format!(
                    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/dnsZones/{zone}"
                )
            });
            sets.push(format!(
                "az network dns record-set txt add-record -g {group} -z {zone} -n {relative} -v -"
            ));
            roles.push(format!(
                "az role assignment create --assignee {client} --role \"DNS Zone Contributor\" \\\n  --scope {id}/TXT/{relative}"
            ));
        }
    }
    Recipe::new("changes the TXT records of these challenge names and nothing else")
        .at("https://portal.azure.com/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade")
        .step(
            "make an application with a secret, unless this machine has a managed identity; it prints tenant, client id \
             and secret",
            "az ad sp create-for-rbac --name dns01".to_owned(),
        )
        .step("make the record sets, with a placeholder in them: roles need something to stand on", sets.join("\n"))
        .step("give the role on each of them", roles.join("\n"))
        .step("keep sets that have no value left, since the roles would go with them", "keep_record_sets = true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{Fqdn, Zone, ZoneName};

    #[test]
    fn each_name_has_a_role_of_its_own() {
        let need = |name: &str| ScopeNeed {
            zone: Zone::named(ZoneName::parse("example.com").unwrap()),
            name: Fqdn::parse(name).unwrap(),
        };
        let settings = Settings::default()
            .with("subscription_id", "s-1")
            .with("resource_group", "dns")
            .with("client_id", "c-1");
        let recipe =
            recipe(&settings, &[need("_acme-challenge.example.com"), need("_acme-challenge.w.example.com")]);
        let roles = &recipe.steps[2].text;
        assert_eq!(roles.matches("--assignee c-1").count(), 2, "{roles}");
        let scope = "--scope /subscriptions/s-1/resourceGroups/dns/providers/Microsoft.Network/dnsZones/example.com/TXT";
        assert!(roles.contains(&format!("{scope}/_acme-challenge.w")), "{roles}");
        assert!(recipe.steps[3].text.contains("keep_record_sets"));
    }
}
