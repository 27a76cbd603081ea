//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};
use serde_json::{Value, json};

/// A consumer key with rules by method and path: none is narrower than the records of a zone.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let (region, host) = match settings.text("endpoint") {
        Some("ovh-ca") => ("ca", "ca.api.ovh.com"),
        Some("ovh-us") => ("us", "api.us.ovhcloud.com"),
        _ => ("eu", "eu.api.ovh.com"),
    };
    let mut rules: Vec<Value> = Vec::new();
    let mut resources: Vec<String> = Vec::new();
    for zone in by_zone(needs).keys() {
        let at = format!("/domain/zone/{zone}");
        for (method, path) in [
            ("GET", format!("{at}/record*")),
            ("POST", format!("{at}/record")),
            ("DELETE", format!("{at}/record/*")),
            ("POST", format!("{at}/refresh")),
        ] {
            rules.push(json!({ "method": method, "path": path }));
        }
        resources.push(format!("urn:v1:{region}:resource:dnsZone:{zone}"));
    }
    let body = json!({ "accessRules": rules, "allowedIPs": ["192.0.2.7/32"] });
    Recipe::new("writes every record of the zones that it is made for, and nothing else of the account")
        .step(
            "create an application: it has an application key and an application secret",
            format!("https://{host}/createApp/"),
        )
        .step(
            "ask for a consumer key with rules for these zones (192.0.2.7 stands for this machine), then open the \
             `validationUrl` that comes with it",
            format!(
                "curl -X POST https://{host}/1.0/auth/credential \\\n  -H 'X-Ovh-Application: APPLICATION_KEY' \
                 -H 'Content-Type: application/json' \\\n  -d '{body}'"
            ),
        )
        .step(
            "or create a service account, and a policy for it on these resources with the actions \
             `dnsZone:apiovh:record/get`, `record/create`, `record/delete` and `refresh`",
            resources.join("\n"),
        )
        .delegation(needs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{Fqdn, Zone, ZoneName};

    #[test]
    fn the_rules_are_for_each_zone_and_the_body_is_json() {
        let need = ScopeNeed {
            zone: Zone::named(ZoneName::parse("example.com").unwrap()),
            name: Fqdn::parse("_acme-challenge.example.com").unwrap(),
        };
        let recipe = recipe(&Settings::default().with("endpoint", "ovh-ca"), &[need]);
        let command = &recipe.steps[1].text;
        assert!(command.contains("https://ca.api.ovh.com/1.0/"), "each region has its own keys: {command}");
        let body = command.split("-d '").nth(1).unwrap().trim_end_matches('\'');
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["accessRules"].as_array().unwrap().len(), 4);
        assert_eq!(body["accessRules"][2]["path"], "/domain/zone/example.com/record/*");
    }
}
