//! What gives temporary keys: the token service, for roles, and the metadata of a container or an
//! instance.

use super::super::exchange::field;
use super::super::{Answer, Asked, Held, Service, lock};
use super::signature::Keys;
use super::xml::{escaped, tag};
use super::{Key, Statement};
use hyper::header::HeaderName;
use std::sync::{Arc, Mutex};

/// The path at which an instance's keys are, and the name of its role.
const INSTANCE_KEYS: [&str; 5] = ["latest", "meta-data", "iam", "security-credentials", "dns01"];
/// What an instance is asked for before its keys.
const INSTANCE_TOKEN: &str = "instance-metadata-token-0001";

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// A role and who may take it on.
#[derive(Debug, Clone)]
struct Role {
    arn: String,
    /// The key that may.
    key: Option<String>,
    external_id: Option<String>,
    /// The web identity's token that may.
    web_identity: Option<String>,
    policy: Vec<Statement>,
}

/// AWS STS: the temporary keys that it gives are good at the Route 53 it belongs to.
#[derive(Debug)]
pub struct TokenService {
    keys: Arc<Keys>,
    roles: Mutex<Vec<Role>>,
    given: Mutex<Vec<Key>>,
}

impl TokenService {
    pub(super) fn new(keys: Arc<Keys>) -> Self {
        Self { keys, roles: Mutex::default(), given: Mutex::default() }
    }

    /// A role with `policy` that `key` may take on when it says `external_id`.
    #[must_use]
    pub fn role(&self, key: &Key, external_id: Option<&str>, policy: &[Statement]) -> String {
        self.add(Some(key.id.clone()), external_id.map(str::to_owned), None, policy)
    }

    /// A role with `policy` that the web identity with this token may take on.
    #[must_use]
    pub fn web_identity_role(&self, token: &str, policy: &[Statement]) -> String {
        self.add(None, None, Some(token.to_owned()), policy)
    }

    /// The temporary keys given so far.
    #[must_use]
    pub fn given(&self) -> Vec<Key> {
        lock(&self.given).clone()
    }

    fn add(
        &self,
        key: Option<String>,
        external_id: Option<String>,
        web_identity: Option<String>,
        policy: &[Statement],
    ) -> String {
        let mut roles = lock(&self.roles);
        let arn = format!("arn:aws:iam::123456789012:role/dns01-{}", roles.len() + 1);
        roles.push(Role { arn: arn.clone(), key, external_id, web_identity, policy: policy.to_vec() });
        arn
    }

    fn give(&self, asked: &Asked) -> Result<Answer, Answer> {
        let fields = asked.form().filter(|_| asked.method == "POST" && asked.query.is_empty());
        let fields = fields.ok_or_else(|| refusal(400, "InvalidAction", "not as documented"))?;
        let field = |name: &str| field(&fields, name);
        let known = [
            "Action",
            "Version",
            "RoleArn",
            "RoleSessionName",
            "ExternalId",
            "WebIdentityToken",
            "DurationSeconds",
        ];
        if fields.iter().any(|(name, _)| !known.contains(&name.as_str())) {
            return Err(refusal(400, "InvalidParameter", "an unknown parameter"));
        }
        let arn = field("RoleArn").unwrap_or_default();
        let session = field("RoleSessionName").filter(|name| name.len() >= 2);
        if field("Version") != Some("2011-06-15") || session.is_none() {
            return Err(refusal(400, "ValidationError", "not as documented"));
        }
        let role = lock(&self.roles).iter().find(|role| role.arn == arn).cloned();
        let action = field("Action").unwrap_or_default();
        let (allowed, denial) = match action {
            "AssumeRole" => {
                let key =
                    self.keys.verify(asked, "/", "sts").map_err(|(code, why)| refusal(403, code, &why))?;
                let fits = role.as_ref().is_some_and(|role| {
                    role.key.as_deref() == Some(&key.id) && role.external_id.as_deref() == field("ExternalId")
                });
                (
                    fits,
                    format!(
                        "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
                        key.id
                    ),
                )
            }
            "AssumeRoleWithWebIdentity" => {
                let token = field("WebIdentityToken");
                let fits = role
                    .as_ref()
                    .is_some_and(|role| token.is_some() && role.web_identity.as_deref() == token);
                (fits, "Not authorized to perform sts:AssumeRoleWithWebIdentity".to_owned())
            }
            _ => return Err(refusal(400, "InvalidAction", action)),
        };
        let role = role.filter(|_| allowed).ok_or_else(|| refusal(403, "AccessDenied", &denial))?;
        let key = self.keys.make(&role.policy, true, false);
        lock(&self.given).push(key.clone());
        let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let credentials = [
            tag("AccessKeyId", &key.id),
            tag("SecretAccessKey", &escaped(&key.secret)),
            tag("SessionToken", &key.token.clone().unwrap_or_default()),
            tag("Expiration", &ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        ];
        let result = tag(&format!("{action}Result"), &tag("Credentials", &credentials.concat()));
        let body = format!("<{action}Response xmlns=\"{NAMESPACE}\">{result}</{action}Response>");
        Ok(Answer::text(200, "text/xml", body))
    }
}

impl Service for TokenService {
    fn base(&self) -> &'static str {
        ""
    }

    fn identifier(&self, number: u64) -> String {
        number.to_string()
    }

    fn answer(&self, asked: &Asked, _: &mut Held) -> Answer {
        self.give(asked).unwrap_or_else(|refusal| refusal)
    }

    fn throttled(&self) -> Answer {
        refusal(400, "Throttling", "Rate exceeded")
    }
}

/// The metadata of a machine that has a role: of a container at `/keys`, with the token that it is
/// given, and of an instance (IMDSv2).
#[derive(Debug)]
pub struct Metadata {
    key: Key,
    container_token: String,
}

impl Metadata {
    /// A machine whose role has `key`.
    #[must_use]
    pub fn new(key: &Key, container_token: &str) -> Self {
        Self { key: key.clone(), container_token: container_token.to_owned() }
    }
}

impl Service for Metadata {
    fn base(&self) -> &'static str {
        ""
    }

    fn identifier(&self, number: u64) -> String {
        number.to_string()
    }

    fn answer(&self, asked: &Asked, _: &mut Held) -> Answer {
        let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let keys = serde_json::json!({
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "AccessKeyId": self.key.id,
            "SecretAccessKey": self.key.secret,
            "Token": self.key.token,
            "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        let trusted = asked.header("x-aws-ec2-metadata-token") == Some(INSTANCE_TOKEN);
        match (asked.method.as_str(), &asked.path()[..]) {
            ("GET", ["keys"]) if asked.header("authorization") == Some(&self.container_token) => {
                Answer::json(200, &keys)
            }
            ("PUT", ["latest", "api", "token"])
                if asked.header("x-aws-ec2-metadata-token-ttl-seconds").is_some() =>
            {
                let token = Answer::text(200, "text/plain", INSTANCE_TOKEN);
                token.with(HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"), "21600")
            }
            ("GET", ["latest", "meta-data", "iam", "security-credentials", ""]) if trusted => {
                Answer::text(200, "text/plain", INSTANCE_KEYS[4])
            }
            ("GET", path) if trusted && path == INSTANCE_KEYS => Answer::json(200, &keys),
            _ => Answer::page(401, "Unauthorized"),
        }
    }

    fn throttled(&self) -> Answer {
        Answer::page(429, "Too many requests")
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let error = [tag("Type", "Sender"), tag("Code", code), tag("Message", &escaped(message))].concat();
    let body = format!("<ErrorResponse xmlns=\"{NAMESPACE}\">{}</ErrorResponse>", tag("Error", &error));
    Answer::text(status, "text/xml", body)
}
