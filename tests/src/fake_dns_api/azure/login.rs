//! The login host, and both places where machines get tokens.

use super::{Azure, Principal, TENANT};
use crate::fake_dns_api::exchange::field;
use crate::fake_dns_api::{Answer, Asked, lock};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

const AUDIENCE: &str = "https://management.azure.com";

impl Azure {
    /// What those are answered who have no token yet.
    pub(super) fn without_token(&self, asked: &Asked) -> Option<Answer> {
        match (asked.method.as_str(), &asked.path()[..]) {
            ("POST", [tenant, "oauth2", "v2.0", "token"]) => Some(self.log_in(asked, tenant)),
            ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
                Some(configuration(asked, tenant))
            }
            ("GET", ["metadata", "identity", "oauth2", "token"]) => {
                Some(self.machine(asked, "2018-02-01", asked.header("metadata") == Some("true")))
            }
            ("GET", ["msi", "token"]) => {
                let proven = asked.header("x-identity-header") == Some(Self::HEADER);
                Some(self.machine(asked, "2019-08-01", proven))
            }
            _ => None,
        }
    }

    /// `…/oauth2/v2.0/token` for client credentials.
    fn log_in(&self, asked: &Asked, tenant: &str) -> Answer {
        let no = |status, error: &str, why: &str| {
            Answer::json(status, &json!({ "error": error, "error_description": why, "trace_id": "t" }))
        };
        if tenant != TENANT {
            return no(400, "invalid_request", &format!("AADSTS90002: Tenant '{tenant}' not found."));
        }
        let Some(form) = asked.form() else { return no(400, "invalid_request", "AADSTS900144: a form") };
        if let Err((error, why)) = acceptable(&form) {
            return no(400, error, &why);
        }
        let principals = lock(&self.principals);
        let id = field(&form, "client_id");
        let Some(number) = principals.iter().position(|(one, _)| Some(one.client_id.as_str()) == id) else {
            let why = "AADSTS700016: Application was not found in the directory.";
            return no(400, "unauthorized_client", why);
        };
        if let Err(why) = prove(&form, &principals[number].0) {
            return no(401, "invalid_client", why);
        }
        let token = self.issue(number);
        Answer::json(200, &json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
    }

    /// The metadata server of virtual machines, or the address that App Service gives.
    fn machine(&self, asked: &Asked, version: &str, proven: bool) -> Answer {
        let no = |status, why: &str| {
            Answer::json(status, &json!({ "error": "invalid_request", "error_description": why }))
        };
        if !proven {
            return no(400, "Required metadata header not specified");
        }
        if asked.unknown_parameter(&["api-version", "resource", "client_id"]).is_some()
            || asked.parameter("api-version") != Some(version)
            || asked.parameter("resource") != Some(AUDIENCE)
        {
            return no(400, "parameters");
        }
        let Some(number) = *lock(&self.machine) else { return no(400, "Identity not found") };
        let id = lock(&self.principals)[number].0.client_id.clone();
        if asked.parameter("client_id").is_some_and(|wanted| wanted != id) {
            return no(400, "Identity not found");
        }
        let end = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()) + 3600;
        let token = self.issue(number);
        let body = json!({
            "access_token": token, "client_id": id, "expires_in": "3600", "expires_on": end.to_string(),
            "not_before": "0", "resource": AUDIENCE, "token_type": "Bearer",
        });
        Answer::json(200, &body)
    }

    fn issue(&self, principal: usize) -> String {
        self.tokens.issue(principal, |number| format!("eyJ0eXAi.fake-{number:032x}.sig"))
    }
}

/// What is wrong with the form, whoever sent it.
fn acceptable(form: &[(String, String)]) -> Result<(), (&'static str, String)> {
    let known =
        ["client_id", "grant_type", "scope", "client_secret", "client_assertion", "client_assertion_type"];
    // The vendor's library tells its name and version.
    let known = |name: &str| known.contains(&name) || name.starts_with("x-client") || name == "client_info";
    if let Some((name, _)) = form.iter().find(|(name, _)| !known(name)) {
        return Err(("invalid_request", format!("AADSTS900144: unknown field {name}")));
    }
    if field(form, "grant_type") != Some("client_credentials") {
        return Err(("unsupported_grant_type", "AADSTS70003".to_owned()));
    }
    if field(form, "scope") != Some(&format!("{AUDIENCE}/.default")) {
        return Err(("invalid_scope", "AADSTS70011: the scope is not valid".to_owned()));
    }
    Ok(())
}

/// Whether the form has what only `principal` knows, in one of two ways.
fn prove(form: &[(String, String)], principal: &Principal) -> Result<(), &'static str> {
    let fields = ["client_secret", "client_assertion", "client_assertion_type"];
    match fields.map(|name| field(form, name)) {
        [Some(secret), None, None] if secret == principal.secret => Ok(()),
        [None, Some(assertion), Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")]
            if assertion == principal.assertion =>
        {
            Ok(())
        }
        [Some(_), None, None] => Err("AADSTS7000215: Invalid client secret provided."),
        [None, Some(_), Some(_)] => Err("AADSTS700213: No matching federated identity record found."),
        _ => Err("AADSTS7000216: one credential is required"),
    }
}

fn configuration(asked: &Asked, tenant: &str) -> Answer {
    let host = format!("https://{}/{tenant}", asked.header("host").unwrap_or_default());
    let body = json!({
        "token_endpoint": format!("{host}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{host}/oauth2/v2.0/authorize"),
        "issuer": format!("{host}/v2.0"),
        "tenant_region_scope": null,
    });
    Answer::json(200, &body)
}
