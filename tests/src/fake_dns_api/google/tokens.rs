//! Tokens for signed assertions, and for the machine's own identity.

use super::{Google, PROJECT};
use crate::fake_dns_api::exchange::{field, unknown_member};
use crate::fake_dns_api::{Answer, Asked, lock};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use hyper::header::HeaderName;
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const READ_WRITE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";
const PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const PUBLIC_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

impl Google {
    /// RFC 7523 with Google's rules: one hour at most, the account's own key.
    pub(super) fn token(&self, asked: &Asked) -> Answer {
        let no =
            |why: &str| Answer::json(400, &json!({ "error": "invalid_grant", "error_description": why }));
        let Some(form) = asked.form().filter(|form| form.len() == 2) else {
            return no("a form of two fields");
        };
        let field = |name: &str| field(&form, name);
        if field("grant_type") != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
            return no("grant_type");
        }
        let host = asked.header("host").unwrap_or_default();
        match self.proven(field("assertion").unwrap_or_default(), &format!("http://{host}/token")) {
            Ok(account) => Answer::json(200, &self.issue(account)),
            Err(why) => no(why),
        }
    }

    /// What the metadata server says of the machine.
    pub(super) fn metadata(&self, asked: &Asked, path: &[&str]) -> Answer {
        let flavor = HeaderName::from_static("metadata-flavor");
        if asked.header("metadata-flavor") != Some("Google") {
            return Answer::page(403, "Missing Metadata-Flavor:Google header.");
        }
        let machine = *lock(&self.machine);
        let answer = match (path, machine) {
            (["project", "project-id"], _) => Answer::text(200, "application/text", PROJECT),
            (["instance", "service-accounts", "default", "token"], Some(account)) => {
                if asked.unknown_parameter(&["scopes"]).is_some() {
                    return Answer::page(400, "unknown parameter");
                }
                Answer::json(200, &self.issue(account))
            }
            (["instance", "service-accounts", "default", ""], Some(account)) => {
                let email = lock(&self.accounts)[account].email.clone();
                Answer::json(200, &json!({ "email": email, "scopes": [READ_WRITE], "aliases": ["default"] }))
            }
            _ => Answer::page(404, "not found"),
        };
        answer.with(flavor, "Google")
    }

    fn issue(&self, account: usize) -> Value {
        let token = self.tokens.issue(account, |number| format!("ya29.fake-{number:032x}"));
        json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" })
    }

    /// The account that has signed `assertion` for our `own` address.
    fn proven(&self, assertion: &str, own: &str) -> Result<usize, &'static str> {
        let bad = "Invalid JWT";
        let (input, signature) = assertion.rsplit_once('.').ok_or(bad)?;
        let (header, claims) = input.split_once('.').ok_or(bad)?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| bad)?;
        let object = |part: &str| -> Result<Map<String, Value>, &'static str> {
            let octets = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| bad)?;
            serde_json::from_slice(&octets).map_err(|_| bad)
        };
        let (header, claims) = (object(header)?, object(claims)?);
        if header.get("alg") != Some(&json!("RS256")) || header.get("typ") != Some(&json!("JWT")) {
            return Err("Invalid JWT: alg or typ");
        }
        if unknown_member(&claims, &["iss", "scope", "aud", "iat", "exp"]).is_some() {
            return Err("Invalid JWT: unknown claim");
        }
        let accounts = lock(&self.accounts);
        let number = accounts.iter().position(|one| claims.get("iss") == Some(&json!(one.email)));
        let number = number.ok_or("Invalid grant: account not found")?;
        let account = &accounts[number];
        if header.get("kid") != Some(&json!(account.key_id)) {
            return Err("Invalid JWT Signature: unknown key");
        }
        let public: PublicKeyX509Der<'_> = account.key.public_key().as_der().map_err(|_| bad)?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_ref())
            .verify(input.as_bytes(), &signature)
            .map_err(|_| "Invalid JWT Signature.")?;
        acceptable(&claims, own)?;
        Ok(number)
    }
}

/// What an account has signed, whoever it is: for whom, for what and how long.
fn acceptable(claims: &Map<String, Value>, own: &str) -> Result<(), &'static str> {
    let bad = "Invalid JWT";
    let text = |key: &str| claims.get(key).and_then(Value::as_str).unwrap_or_default();
    if ![own, PUBLIC_TOKEN_URI].contains(&text("aud")) {
        return Err("Invalid JWT: aud");
    }
    if text("scope").split(' ').any(|scope| ![READ_WRITE, PLATFORM].contains(&scope)) {
        return Err("Invalid OAuth scope");
    }
    let time = |key: &str| claims.get(key).and_then(Value::as_u64).ok_or(bad);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| bad)?.as_secs();
    let (iat, exp) = (time("iat")?, time("exp")?);
    if iat > now + 300 || exp < now || exp > iat + 3600 {
        return Err(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe",
        );
    }
    Ok(())
}
