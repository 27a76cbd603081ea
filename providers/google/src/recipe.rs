//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings, ZoneName};
use serde_json::{Value, json};

/// What writing challenges takes; `get` of zones lets the tools of the service show the zone.
const PERMISSIONS: &str = "dns.changes.create,dns.changes.get,dns.managedZones.get,\
    dns.resourceRecordSets.create,dns.resourceRecordSets.delete,dns.resourceRecordSets.get,\
    dns.resourceRecordSets.list,dns.resourceRecordSets.update";
/// A condition may have a dozen logical operators at most.
const NAMES_PER_CONDITION: usize = 10;
const SET: &str = "dns.googleapis.com/ResourceRecordSet";

/// A role on the zone, held by condition to the TXT sets of the challenges.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let project = settings.text("project").unwrap_or("PROJECT");
    let account = format!("dns01@{project}.iam.gserviceaccount.com");
    let mut recipe = Recipe::new(
        "changes the TXT records of these challenge names and no others; reads all records of their zones",
    )
    .at("https://console.cloud.google.com/iam-admin/serviceaccounts")
    .step(
        "make a role and a service account",
        format!(
            "gcloud iam roles create dns01 --project {project} --permissions {PERMISSIONS}\n\
             gcloud iam service-accounts create dns01 --project {project}"
        ),
    );
    for (zone, needs) in by_zone(needs) {
        let id = needs[0].zone.id.clone().unwrap_or_else(|| placeholder(zone));
        let names: Vec<String> = needs.iter().map(|need| need.name.absolute()).collect();
        let bindings: Vec<Value> =
            names.chunks(NAMES_PER_CONDITION).map(|names| binding(project, &account, names)).collect();
        let policy = json!({ "version": 3, "bindings": bindings });
        recipe = recipe
            .step(
                format!(
                    "write `{zone}.json`: the policy that `gcloud dns managed-zones get-iam-policy {id} --format json` \
                     prints, with these bindings added"
                ),
                serde_json::to_string_pretty(&policy).unwrap_or_default(),
            )
            .step(
                format!("give the role for `{zone}` (`{id}` is the zone's own name)"),
                format!("gcloud dns managed-zones set-iam-policy {id} {zone}.json --project {project}"),
            );
    }
    recipe.step(
        "make a key, unless this machine runs as the service account",
        format!(
            "gcloud iam service-accounts keys create /etc/dns01/secrets/google.json --iam-account {account}"
        ),
    )
}

/// The zone itself must pass too, and so everything that is no record set does.
fn binding(project: &str, account: &str, names: &[String]) -> Value {
    let ends: Vec<String> =
        names.iter().map(|name| format!("resource.name.endsWith('/rrsets/{name}/TXT')")).collect();
    let expression =
        format!("(resource.type == '{SET}' && ({})) || resource.type != '{SET}'", ends.join(" || "));
    json!({
        "role": format!("projects/{project}/roles/dns01"),
        "members": [format!("serviceAccount:{account}")],
        "condition": { "title": "dns01 challenges", "expression": expression },
    })
}

fn placeholder(zone: &ZoneName) -> String {
    zone.as_str().replace('.', "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{Fqdn, Zone};

    fn need(name: &str) -> ScopeNeed {
        let zone = Zone { name: ZoneName::parse("example.com").unwrap(), id: Some("z-1".to_owned()) };
        ScopeNeed { zone, name: Fqdn::parse(name).unwrap() }
    }

    #[test]
    fn the_condition_names_each_challenge_and_lets_the_zone_pass() {
        let settings = Settings::default().with("project", "p-1");
        let needs = [need("_acme-challenge.example.com"), need("_acme-challenge.www.example.com")];
        let recipe = recipe(&settings, &needs);
        let policy: Value = serde_json::from_str(&recipe.steps[1].text).unwrap();
        let expression = policy["bindings"][0]["condition"]["expression"].as_str().unwrap();
        assert_eq!(
            expression,
            "(resource.type == 'dns.googleapis.com/ResourceRecordSet' && \
             (resource.name.endsWith('/rrsets/_acme-challenge.example.com./TXT') || \
             resource.name.endsWith('/rrsets/_acme-challenge.www.example.com./TXT'))) || \
             resource.type != 'dns.googleapis.com/ResourceRecordSet'"
        );
        assert_eq!(policy["bindings"][0]["role"], "projects/p-1/roles/dns01");
        assert!(recipe.steps[2].text.contains("set-iam-policy z-1 example.com.json --project p-1"));
    }

    #[test]
    fn many_names_are_spread_over_several_conditions() {
        let needs: Vec<ScopeNeed> =
            (0..11).map(|number| need(&format!("_acme-challenge.h{number}.example.com"))).collect();
        let recipe = recipe(&Settings::default(), &needs);
        let policy: Value = serde_json::from_str(&recipe.steps[1].text).unwrap();
        assert_eq!(policy["bindings"].as_array().unwrap().len(), 2);
    }
}
