//! How to make the smallest credential.

use dns01_provider::recipe::{Recipe, by_zone};
use dns01_provider::{ScopeNeed, Settings};

/// A token's policies name domain, name and type: nothing smaller is needed.
pub(crate) fn recipe(_: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let mut policies = vec![post("$ID/policies/rrsets/", r#"{"domain":null,"subname":null,"type":null}"#)];
    for (zone, needs) in by_zone(needs) {
        for need in needs {
            let subname = need.name.relative_to(zone).unwrap_or_default();
            let policy =
                format!(r#"{{"domain":"{zone}","subname":"{subname}","type":"TXT","perm_write":true}}"#);
            policies.push(post("$ID/policies/rrsets/", &policy));
        }
    }
    Recipe::new("writes TXT at these names only, and reads every record of the account")
        .at("https://desec.io/tokens")
        .step(
            "make a token without rights of its own, with one that may manage tokens ($MANAGER); the answer has \
             its `id` and, this once, its `token` (192.0.2.7 stands for this machine)",
            post("", r#"{"name":"dns01","allowed_subnets":["192.0.2.7"],"max_unused_period":"100 00:00:00"}"#),
        )
        .step(
            "close it by a default policy, which must come first, and open it for each name ($ID is its `id`)",
            policies.join("\n"),
        )
        .step("give the id beside the token, so that `dns01 scope audit` can read the policies", "token_id = \"…\"")
}

fn post(path: &str, body: &str) -> String {
    format!(
        "curl -X POST https://desec.io/api/v1/auth/tokens/{path} -H \"Authorization: Token $MANAGER\" \
         -H 'Content-Type: application/json' -d '{body}'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{Fqdn, Zone, ZoneName};

    #[test]
    fn the_default_policy_comes_first_and_each_name_has_its_own() {
        let zone = Zone::named(ZoneName::parse("example.org").unwrap());
        let need = |name: &str| ScopeNeed { zone: zone.clone(), name: Fqdn::parse(name).unwrap() };
        let needs = [need("_acme-challenge.www.example.org"), need("_acme-challenge.example.org")];
        let text = recipe(&Settings::default(), &needs).steps[1].text.clone();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].contains(r#""domain":null"#), "{text}");
        assert!(lines[1].contains(r#""subname":"_acme-challenge","type":"TXT""#), "{text}");
        assert!(lines[2].contains(r#""subname":"_acme-challenge.www""#), "{text}");
    }
}
