//! Who asks, by a signature or a token, and what they may do.

use super::Ovh;
use super::answers::{classed, refusal};
use crate::fake_dns_api::exchange::field;
use crate::fake_dns_api::patterns::fits;
use crate::fake_dns_api::{Answer, Asked, Held, lock};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

/// Seconds by which a request's time may be off.
const TOLERANCE: i64 = 120;

/// The three keys of an application.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The application.
    pub application: String,
    /// Its secret.
    pub secret: String,
    /// What it may do in whose name.
    pub consumer: String,
}

/// What has become of a consumer key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// In use.
    Validated,
    /// Nobody has opened its address yet.
    Pending,
    /// Over.
    Expired,
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) keys: Keys,
    pub(super) rules: Vec<(String, String)>,
    pub(super) state: State,
}

/// A service account, and what it may do in which zones.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) rights: Vec<(String, Vec<String>)>,
}

/// Who asks.
pub(super) enum Who {
    Consumer(usize),
    Account(usize),
}

/// The smallest rules for the zone.
#[must_use]
pub fn rules(zone: &str) -> Vec<(&'static str, String)> {
    let at = format!("/domain/zone/{zone}");
    vec![
        ("GET", format!("{at}/record*")),
        ("POST", format!("{at}/record")),
        ("DELETE", format!("{at}/record/*")),
        ("POST", format!("{at}/refresh")),
    ]
}

impl Ovh {
    pub(super) fn token(&self, asked: &Asked) -> Answer {
        let no =
            |status, error: &str| Answer::json(status, &json!({ "error": error, "error_description": "no" }));
        let fields = asked.form().unwrap_or_default();
        let field = |name: &str| field(&fields, name);
        if field("grant_type") != Some("client_credentials")
            || field("scope") != Some("all")
            || fields.len() != 2
        {
            return no(400, "invalid_request");
        }
        let basic = asked.header("authorization").and_then(|header| header.strip_prefix("Basic "));
        let accounts = lock(&self.accounts);
        let number = accounts.iter().position(|account| {
            Some(BASE64.encode(format!("{}:{}", account.id, account.secret).as_bytes()).as_str()) == basic
        });
        let Some(number) = number else { return no(401, "invalid_client") };
        let token = self.tokens.issue(number, |number| format!("ovh-token-{number:032x}"));
        let body =
            json!({ "access_token": token, "expires_in": 3599, "scope": "all", "token_type": "Bearer" });
        Answer::json(200, &body)
    }

    pub(super) fn who(&self, asked: &Asked) -> Result<Who, Answer> {
        if let Some(token) = asked.bearer() {
            let unknown = || classed(401, "Client::Unauthorized", "Invalid access token", &json!({}));
            return self.tokens.owner(Some(token)).map(Who::Account).ok_or_else(unknown);
        }
        let header = |name: &str| asked.header(name).unwrap_or_default();
        let consumers = lock(&self.consumers);
        if !consumers.iter().any(|one| one.keys.application == header("x-ovh-application")) {
            return Err(refusal(403, "INVALID_KEY", "This application key is invalid"));
        }
        let number = consumers.iter().position(|one| {
            one.keys.application == header("x-ovh-application")
                && one.keys.consumer == header("x-ovh-consumer")
        });
        let number =
            number.ok_or_else(|| refusal(403, "INVALID_CREDENTIAL", "This credential does not exist"))?;
        if consumers[number].state != State::Validated {
            return Err(refusal(403, "NOT_CREDENTIAL", "This credential is not valid"));
        }
        let time = header("x-ovh-timestamp");
        let off = time.parse().map_or(i64::MAX, |time: i64| (time - self.now()).abs());
        let keys = &consumers[number].keys;
        let url = format!("http://{}{}", header("host"), asked.target);
        let mut signed = format!("{}+{}+{}+{url}+", keys.secret, keys.consumer, asked.method).into_bytes();
        signed.extend_from_slice(&asked.body);
        signed.extend_from_slice(format!("+{time}").as_bytes());
        let expected = format!("$1${}", HEXLOWER.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &signed).as_ref()));
        if off > TOLERANCE || header("x-ovh-signature") != expected {
            return Err(refusal(400, "INVALID_SIGNATURE", "Invalid signature"));
        }
        Ok(Who::Consumer(number))
    }

    /// Refuses what neither a rule nor a policy allows, before anything is looked up.
    pub(super) fn allow(&self, who: &Who, asked: &Asked, zone: &str, action: &str) -> Result<(), Answer> {
        match who {
            Who::Consumer(number) => {
                let path = format!("/{}", asked.segments[1..].join("/"));
                let rules = &lock(&self.consumers)[*number].rules;
                if rules.iter().any(|(method, rule)| *method == asked.method && fits(rule, &path)) {
                    return Ok(());
                }
                Err(refusal(403, "NOT_GRANTED_CALL", "This call has not been granted"))
            }
            Who::Account(number) if self.may(*number, zone, action) => Ok(()),
            Who::Account(_) => {
                let details =
                    json!({ "unauthorizedActionsByAuthentication": "", "unauthorizedActionsByIAM": action });
                Err(classed(403, "Client::Forbidden", "User not granted for this request", &details))
            }
        }
    }

    fn may(&self, account: usize, zone: &str, action: &str) -> bool {
        let rights = &lock(&self.accounts)[account].rights;
        rights.iter().any(|(name, actions)| name == zone && actions.iter().any(|one| one == action))
    }

    pub(super) fn credential(&self, who: &Who) -> Result<Answer, Answer> {
        let Who::Consumer(number) = who else { return Err(refusal(403, "FORBIDDEN", "no credential")) };
        let consumers = lock(&self.consumers);
        let rule = |(method, path): &(String, String)| json!({ "method": method, "path": path });
        let rules: Vec<Value> = consumers[*number].rules.iter().map(rule).collect();
        let body = json!({
            "credentialId": number, "applicationId": 1, "status": "validated", "expiration": null,
            "creation": "2026-11-22T00:00:00+01:00", "lastUse": null, "ovhSupport": false, "rules": rules,
            "allowedIPs": null,
        });
        Ok(Answer::json(200, &body))
    }

    pub(super) fn check(&self, asked: &Asked, held: &Held, urn: &str, who: &Who) -> Result<Answer, Answer> {
        let Who::Account(number) = who else { return Err(refusal(403, "NOT_GRANTED_CALL", "not granted")) };
        let zone = urn
            .strip_prefix("urn:v1:eu:resource:dnsZone:")
            .filter(|name| held.zones.iter().any(|zone| zone.name == *name));
        let zone = zone.ok_or_else(|| classed(404, "Client::NotFound", "Resource not found", &json!({})))?;
        let body = asked.object().filter(|body| body.len() == 1);
        let actions: Vec<&str> = body
            .as_ref()
            .and_then(|body| body.get("actions")?.as_array())
            .ok_or_else(|| classed(400, "Client::BadRequest", "actions", &json!({})))?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let (yes, no): (Vec<&str>, Vec<&str>) =
            actions.iter().partition(|action| self.may(*number, zone, action));
        Ok(Answer::json(
            200,
            &json!({ "resourceUrn": urn, "authorizedActions": yes, "unauthorizedActions": no }),
        ))
    }
}
