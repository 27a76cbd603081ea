//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings, ZoneName};
use serde_json::{Value, json};

/// A policy for exactly the names that are needed.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let mut recipe = Recipe::new(
        "adds and removes TXT at the names below, reads the zones they lie in, and nothing else",
    )
    .at("https://console.aws.amazon.com/iam/home#/policies/create")
    .step("create a policy of these lines, saved as `dns01-policy.json`", pretty(&policy(needs)))
    .step(
        "give it to a user of its own, whose key the lines below print (or to the role of the machine)",
        "aws iam create-policy --policy-name dns01 --policy-document file://dns01-policy.json\n\
             aws iam create-user --user-name dns01\n\
             aws iam attach-user-policy --user-name dns01 --policy-arn arn:aws:iam::ACCOUNT:policy/dns01\n\
             aws iam create-access-key --user-name dns01",
    );
    if let Some(arn) = settings.text("role_arn") {
        let external = settings.text("external_id");
        recipe = recipe.step(
            format!(
                "attach the policy to the role `{arn}` instead, and let the role be taken on by that user"
            ),
            pretty(&trust(external)),
        );
    }
    let unknown: Vec<String> = by_zone(needs)
        .iter()
        .filter(|(_, needs)| needs[0].zone.id.is_none())
        .map(|(zone, _)| format!("{{ name = \"{zone}\", id = \"{}\" }}", placeholder(zone)))
        .collect();
    if unknown.is_empty() {
        return recipe;
    }
    recipe.step(
        "write each zone's id beside its name here and in the policy; the statement with ListHostedZonesByName can \
         then be left out",
        unknown.join("\n"),
    )
}

/// The policy. `ForAllValues` holds for a request without the key too, so that each action has a
/// statement of its own.
fn policy(needs: &[ScopeNeed]) -> Value {
    let zones = by_zone(needs);
    let ids: Vec<(String, Vec<&str>)> = zones
        .iter()
        .map(|(zone, needs)| {
            let id = needs.iter().find_map(|need| need.zone.id.clone()).unwrap_or_else(|| placeholder(zone));
            (id, needs.iter().map(|need| need.name.as_str()).collect())
        })
        .collect();
    let arn = |id: &str| format!("arn:aws:route53:::hostedzone/{id}");
    let mut statements = vec![
        json!({ "Effect": "Allow", "Action": "route53:GetChange", "Resource": "arn:aws:route53:::change/*" }),
        json!({
            "Effect": "Allow", "Action": "route53:ListResourceRecordSets",
            "Resource": ids.iter().map(|(id, _)| arn(id)).collect::<Vec<_>>(),
        }),
    ];
    if zones.values().any(|needs| needs[0].zone.id.is_none()) {
        statements
            .push(json!({ "Effect": "Allow", "Action": "route53:ListHostedZonesByName", "Resource": "*" }));
    }
    statements.extend(ids.iter().map(|(id, names)| {
        json!({
            "Effect": "Allow", "Action": "route53:ChangeResourceRecordSets", "Resource": arn(id),
            "Condition": { "ForAllValues:StringEquals": {
                "route53:ChangeResourceRecordSetsNormalizedRecordNames": names,
                "route53:ChangeResourceRecordSetsRecordTypes": ["TXT"],
                "route53:ChangeResourceRecordSetsActions": ["CREATE", "DELETE"],
            } },
        })
    }));
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Who may take the role on.
fn trust(external_id: Option<&str>) -> Value {
    let mut statement = json!({
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "AWS": "arn:aws:iam::ACCOUNT:user/dns01" },
    });
    if let Some(id) = external_id {
        statement["Condition"] = json!({ "StringEquals": { "sts:ExternalId": id } });
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

fn placeholder(zone: &ZoneName) -> String {
    format!("ID-OF-{zone}")
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).expect("texts have a form in JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{Fqdn, Zone};

    fn need(zone: &str, id: Option<&str>, name: &str) -> ScopeNeed {
        let zone = Zone { name: ZoneName::parse(zone).unwrap(), id: id.map(str::to_owned) };
        ScopeNeed { zone, name: Fqdn::parse(name).unwrap() }
    }

    #[test]
    fn the_policy_has_exactly_the_names_by_zone() {
        let needs = [
            need("a.test", Some("Z1"), "_acme-challenge.x.a.test"),
            need("a.test", Some("Z1"), "_acme-challenge.A.test"),
            need("b.test", Some("Z2"), "_acme-challenge.b.test"),
        ];
        let policy = policy(&needs);
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 4, "no list of zones where the ids are known");
        assert_eq!(statements[1]["Resource"].as_array().unwrap().len(), 2);
        assert_eq!(statements[2]["Resource"], "arn:aws:route53:::hostedzone/Z1");
        let condition = &statements[2]["Condition"]["ForAllValues:StringEquals"];
        assert_eq!(
            condition["route53:ChangeResourceRecordSetsNormalizedRecordNames"],
            json!(["_acme-challenge.a.test", "_acme-challenge.x.a.test"])
        );
        assert_eq!(condition["route53:ChangeResourceRecordSetsActions"], json!(["CREATE", "DELETE"]));
    }

    #[test]
    fn a_zone_without_an_id_may_be_looked_up_and_the_way_around_it_is_told() {
        let needs = [need("a.test", None, "_acme-challenge.a.test")];
        let recipe = recipe(&Settings::default(), &needs);
        assert!(recipe.steps[0].text.contains("ListHostedZonesByName"));
        assert_eq!(recipe.steps.last().unwrap().text, "{ name = \"a.test\", id = \"ID-OF-a.test\" }");
        let role = Settings::default().with("role_arn", "arn:aws:iam::1:role/r").with("external_id", "e");
        let steps = super::recipe(&role, &needs).steps;
        assert!(steps.iter().any(|step| step.text.contains("sts:ExternalId")), "{steps:?}");
    }
}
