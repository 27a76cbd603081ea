//! Google Cloud DNS v1, as far as TXT records and zones go, with its token address and its
//! metadata server.
//!
//! Stricter than the service: parameters and fields that are not documented are refused, pages
//! are short, and permissions are asked for as the documentation words them. A change stands
//! `pending` at the first look at it.

use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock, text_of};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use hyper::header::HeaderName;
use serde_json::{Map, Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The one project.
pub const PROJECT: &str = "proj-1";
/// Entries of a page, whatever is asked for.
const PER_PAGE: usize = 100;
/// Sets that may come, and that may go, in one change.
const LARGEST_CHANGE: usize = 1000;
/// Octets of data in one change.
const MOST_DATA: usize = 100_000;
/// Values of one set.
const LARGEST_SET: usize = 100;
const READ_WRITE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";
const PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const PUBLIC_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// What an account may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// `roles/dns.admin` on the project.
    Project,
    /// `dns.managedZones.list` on the project.
    List,
    /// The role for writing challenges on the zone with this id, without a condition.
    Zone(String),
    /// The same, by condition for these record sets only: `(zone, [name. without its dot, type])`.
    Sets(String, Vec<(String, String)>),
}

/// A service account with a key.
struct Account {
    email: String,
    key_id: String,
    key: RsaKeyPair,
    access: Vec<Access>,
}

/// The service.
pub struct Google {
    accounts: Mutex<Vec<Account>>,
    /// Tokens with the number of their account.
    tokens: Mutex<Vec<(String, usize)>>,
    /// The account of the machine that asks the metadata server.
    machine: Mutex<Option<usize>>,
    /// How often each change was looked at.
    changes: Mutex<Vec<u64>>,
    /// A value that somebody else writes just before the next change.
    intruder: Mutex<Option<String>>,
    issued: AtomicU64,
}

impl std::fmt::Debug for Google {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Google")
    }
}

impl Default for Google {
    fn default() -> Self {
        Self::new()
    }
}

impl Google {
    /// A service that knows no account yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            accounts: Mutex::default(),
            tokens: Mutex::default(),
            machine: Mutex::default(),
            changes: Mutex::default(),
            intruder: Mutex::default(),
            issued: AtomicU64::new(0),
        }
    }

    /// A service account that may do this and no more; its number.
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn account(&self, access: &[Access]) -> usize {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made");
        let mut accounts = lock(&self.accounts);
        let number = accounts.len();
        accounts.push(Account {
            email: format!("dns01-{number}@{PROJECT}.iam.gserviceaccount.com"),
            key_id: format!("{:040x}", 0xfa4e + number),
            key,
            access: access.to_vec(),
        });
        number
    }

    /// The account's key file; `host` is where the token address stands, such as
    /// `http://127.0.0.1:8080`.
    ///
    /// # Panics
    /// There is no such account.
    #[must_use]
    pub fn key_file(&self, account: usize, host: &str) -> String {
        let accounts = lock(&self.accounts);
        let account = &accounts[account];
        key_file(&account.email, &account.key_id, &account.key, host)
    }

    /// A key file for that account whose key the service does not know.
    ///
    /// # Panics
    /// No key can be made, or there is no such account.
    #[must_use]
    pub fn wrong_key_file(&self, account: usize, host: &str) -> String {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made");
        let accounts = lock(&self.accounts);
        key_file(&accounts[account].email, &accounts[account].key_id, &key, host)
    }

    /// Lets the metadata server speak for this account.
    pub fn runs_as(&self, account: usize) {
        *lock(&self.machine) = Some(account);
    }

    /// The tokens that were given out and are still taken.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        lock(&self.tokens).iter().map(|(token, _)| token.clone()).collect()
    }

    /// Ends all tokens.
    pub fn end_tokens(&self) {
        lock(&self.tokens).clear();
    }

    /// Somebody else adds `value` to the first set of the next change just before it.
    pub fn intrude(&self, value: &str) {
        *lock(&self.intruder) = Some(value.to_owned());
    }

    fn issue(&self, account: usize) -> Value {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let token = format!("ya29.fake-{number:032x}");
        lock(&self.tokens).push((token.clone(), account));
        json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" })
    }

    /// RFC 7523 with Google's rules: one hour at most, the account's own key.
    fn token(&self, asked: &Asked) -> Answer {
        let no =
            |why: &str| Answer::json(400, &json!({ "error": "invalid_grant", "error_description": why }));
        let Some(form) = asked.form().filter(|form| form.len() == 2) else {
            return no("a form of two fields");
        };
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if field("grant_type") != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
            return no("grant_type");
        }
        let host = asked.header("host").unwrap_or_default();
        match self.proven(field("assertion").unwrap_or_default(), &format!("http://{host}/token")) {
            Ok(account) => Answer::json(200, &self.issue(account)),
            Err(why) => no(why),
        }
    }

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
        if claims.keys().any(|key| !["iss", "scope", "aud", "iat", "exp"].contains(&key.as_str())) {
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
        Ok(number)
    }

    fn metadata(&self, asked: &Asked, path: &[&str]) -> Answer {
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

    fn access(&self, asked: &Asked) -> Result<Vec<Access>, Answer> {
        let token = asked.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let tokens = lock(&self.tokens);
        let known = tokens.iter().find(|(one, _)| token == Some(one));
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token";
        let (_, account) = known.ok_or_else(|| refusal(401, "authError", message))?;
        Ok(lock(&self.accounts)[*account].access.clone())
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let segments = asked.path();
        let zones = match &segments[..] {
            ["token"] if asked.method == "POST" => return Ok(self.token(asked)),
            ["computeMetadata", "v1", rest @ ..] if asked.method == "GET" => {
                return Ok(self.metadata(asked, rest));
            }
            ["dns", "v1", "projects", project, "managedZones", rest @ ..] => {
                let access = self.access(asked)?;
                if *project != PROJECT {
                    return Err(refusal(404, "notFound", "The 'parameters.project' resource does not exist"));
                }
                (access, rest)
            }
            _ => return Err(Answer::page(404, "Not Found")),
        };
        let (access, rest) = zones;
        match (asked.method.as_str(), rest) {
            ("GET", []) => list_zones(asked, held, &access),
            ("GET", [zone]) => {
                let (zone, _) = entered(held, zone, &access)?;
                Ok(Answer::json(200, &shown_zone(zone)))
            }
            ("POST", [zone]) if zone.ends_with(":testIamPermissions") => {
                test_permissions(asked, held, zone.trim_end_matches(":testIamPermissions"), &access)
            }
            ("GET", [zone, "rrsets"]) => list_sets(asked, entered(held, zone, &access)?.0),
            ("GET", [zone, "changes", id]) => {
                entered(held, zone, &access)?;
                only(asked, &[])?;
                self.look_at(id)
            }
            ("POST", [zone, "changes"]) => {
                let first_id = held.next_number();
                let (zone, sets) = entered(held, zone, &access)?;
                self.change(asked, zone, sets.as_deref(), first_id)
            }
            _ => Err(Answer::page(404, "Not Found")),
        }
    }

    fn look_at(&self, id: &str) -> Result<Answer, Answer> {
        let mut changes = lock(&self.changes);
        let looks = id.parse::<usize>().ok().and_then(|id| changes.get_mut(id));
        let message = format!("The 'parameters.changeId' resource named '{id}' does not exist.");
        let looks = looks.ok_or_else(|| refusal(404, "notFound", &message))?;
        *looks += 1;
        Ok(Answer::json(200, &change_state(id, if *looks > 1 { "done" } else { "pending" })))
    }

    fn change(
        &self,
        asked: &Asked,
        zone: &mut HeldZone,
        sets: Option<&[(String, String)]>,
        number: u64,
    ) -> Result<Answer, Answer> {
        only(asked, &[])?;
        let body = asked.object().ok_or_else(|| refusal(400, "parseError", "Parse Error"))?;
        let change = Change::read(&body, zone)?;
        let allowed = |set: &Set| {
            sets.is_none_or(|sets| sets.iter().any(|(name, kind)| *name == set.name && *kind == set.kind))
        };
        if !change.deletions.iter().chain(&change.additions).all(allowed) {
            return Err(forbidden("dns.resourceRecordSets.create"));
        }
        if let Some(value) = lock(&self.intruder).take() {
            let set = change.additions.first().or(change.deletions.first()).expect("it is not empty");
            let form = format!("\"{value}\"");
            zone.records.push(HeldRecord {
                data: value,
                form,
                ..set.record(&format!("r{number}-intruder"), "\"x\"")
            });
        }
        let before = zone.clone();
        if let Err(refusal) = change.carry_out(zone, number) {
            *zone = before;
            return Err(refusal);
        }
        let mut changes = lock(&self.changes);
        changes.push(0);
        Ok(Answer::json(200, &change_state(&(changes.len() - 1).to_string(), "pending")))
    }
}

impl Service for Google {
    fn base(&self) -> &'static str {
        ""
    }

    fn identifier(&self, number: u64) -> String {
        format!("zone-{number}")
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        self.route(asked, held).unwrap_or_else(|refusal| refusal)
    }

    fn throttled(&self) -> Answer {
        refusal(429, "rateLimitExceeded", "Rate Limit Exceeded")
    }
}

fn key_file(email: &str, id: &str, key: &RsaKeyPair, host: &str) -> String {
    let der: Pkcs8V1Der<'_> = key.as_der().expect("a key has a form");
    let body = data_encoding::BASE64.encode(der.as_ref());
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is text")).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    json!({
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": id,
        "private_key": pem,
        "client_email": email,
        "client_id": "100000000000000000001",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": format!("{host}/token"),
        "universe_domain": "googleapis.com",
    })
    .to_string()
}

fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    let errors = json!([{ "domain": "global", "reason": reason, "message": message }]);
    Answer::json(code, &json!({ "error": { "code": code, "message": message, "errors": errors } }))
}

fn forbidden(permission: &str) -> Answer {
    refusal(403, "forbidden", &format!("Permission '{permission}' denied on resource"))
}

fn invalid(field: &str, value: &str) -> Answer {
    refusal(400, "invalid", &format!("Invalid value for 'entity.change.{field}': '{value}'"))
}

/// Clients say how they would like the JSON.
fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    let known = [known, &["alt", "prettyPrint"]].concat();
    match asked.unknown_parameter(&known) {
        None => Ok(()),
        Some(name) => Err(refusal(400, "invalidParameter", &format!("Unknown name \"{name}\""))),
    }
}

/// A zone's number in the form of the service.
fn number_of(zone: &HeldZone) -> String {
    zone.id.replace("zone-", "41000000000000")
}

/// The zone and the sets to which the access is kept; without a condition `None`.
#[expect(clippy::type_complexity, reason = "one use")]
fn entered<'a>(
    held: &'a mut Held,
    id: &str,
    access: &[Access],
) -> Result<(&'a mut HeldZone, Option<Vec<(String, String)>>), Answer> {
    let absent = format!("The 'parameters.managedZone' resource named '{id}' does not exist.");
    let zone = held.zones.iter_mut().find(|zone| zone.id == id || number_of(zone) == id);
    let Some(zone) = zone else {
        // Who may see no zone is not told which there are.
        let all = access.contains(&Access::Project) || access.contains(&Access::List);
        return Err(if all { refusal(404, "notFound", &absent) } else { forbidden("dns.changes.create") });
    };
    if access.contains(&Access::Project) || access.contains(&Access::Zone(zone.id.clone())) {
        return Ok((zone, None));
    }
    let sets = access.iter().find_map(|access| match access {
        Access::Sets(id, sets) if *id == zone.id => Some(sets.clone()),
        _ => None,
    });
    match sets {
        Some(sets) => Ok((zone, Some(sets))),
        None => Err(forbidden("dns.changes.create")),
    }
}

fn shown_zone(zone: &HeldZone) -> Value {
    json!({
        "kind": "dns#managedZone",
        "name": zone.id,
        "id": number_of(zone),
        "dnsName": format!("{}.", zone.name),
        "visibility": "public",
        "nameServers": ["ns-cloud-a1.googledomains.com."],
    })
}

/// The page that is asked for.
fn page(asked: &Asked, key: &str, found: &[Value]) -> Result<Answer, Answer> {
    let most = match asked.parameter("maxResults").map(str::parse) {
        None => PER_PAGE,
        Some(Ok(most)) if most > 0 => PER_PAGE.min(most),
        Some(_) => return Err(refusal(400, "invalidParameter", "maxResults")),
    };
    let start = match asked.parameter("pageToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("from-")
            .and_then(|start| start.parse().ok())
            .ok_or_else(|| refusal(400, "invalidParameter", "pageToken"))?,
    };
    let some: Vec<&Value> = found.iter().skip(start).take(most).collect();
    let mut body = json!({ "kind": "dns#listResponse" });
    body[key] = json!(some);
    if start + most < found.len() {
        body["nextPageToken"] = json!(format!("from-{}", start + most));
    }
    Ok(Answer::json(200, &body))
}

fn list_zones(asked: &Asked, held: &Held, access: &[Access]) -> Result<Answer, Answer> {
    only(asked, &["dnsName", "maxResults", "pageToken"])?;
    if !access.contains(&Access::Project) && !access.contains(&Access::List) {
        return Err(forbidden("dns.managedZones.list"));
    }
    let fits =
        |zone: &&HeldZone| asked.parameter("dnsName").is_none_or(|name| format!("{}.", zone.name) == name);
    let found: Vec<Value> = held.zones.iter().filter(fits).map(shown_zone).collect();
    page(asked, "managedZones", &found)
}

fn test_permissions(asked: &Asked, held: &mut Held, zone: &str, access: &[Access]) -> Result<Answer, Answer> {
    only(asked, &[])?;
    if !access.contains(&Access::Project) && !access.contains(&Access::List) {
        return Err(forbidden("dns.managedZones.list"));
    }
    let body = asked.object().filter(|body| body.len() == 1);
    let wanted = body.as_ref().and_then(|body| body.get("permissions")).and_then(Value::as_array);
    let wanted = wanted.ok_or_else(|| refusal(400, "parseError", "Parse Error"))?;
    let entered = entered(held, zone, access).ok();
    let held: Vec<&Value> = wanted
        .iter()
        .filter(|permission| {
            let permission = permission.as_str().unwrap_or_default();
            let ours =
                permission.starts_with("dns.changes.") || permission.starts_with("dns.resourceRecordSets.");
            access.contains(&Access::Project) || (ours && entered.is_some())
        })
        .collect();
    Ok(Answer::json(200, &json!({ "permissions": held })))
}

/// One record set of a request, checked.
#[derive(Debug)]
struct Set {
    /// Without the final dot.
    name: String,
    kind: String,
    ttl: u32,
    forms: Vec<String>,
}

#[derive(Debug)]
struct Change {
    deletions: Vec<Set>,
    additions: Vec<Set>,
}

impl Change {
    fn read(body: &Map<String, Value>, zone: &HeldZone) -> Result<Self, Answer> {
        if let Some(key) = body.keys().find(|key| !["kind", "additions", "deletions"].contains(&key.as_str()))
        {
            return Err(refusal(400, "invalid", &format!("Unknown name \"{key}\"")));
        }
        let part = |key: &str| match body.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(sets)) => sets
                .iter()
                .enumerate()
                .map(|(index, set)| Set::read(set, &format!("{key}[{index}]"), zone))
                .collect(),
            Some(_) => Err(refusal(400, "parseError", key)),
        };
        let change = Self { deletions: part("deletions")?, additions: part("additions")? };
        if change.deletions.is_empty() && change.additions.is_empty() {
            return Err(refusal(400, "required", "Required field 'entity.change' not specified"));
        }
        for (sets, what) in [(&change.additions, "additions"), (&change.deletions, "deletions")] {
            if sets.len() > LARGEST_CHANGE {
                let message = format!("The change would exceed quota for {what} per change.");
                return Err(refusal(403, "quotaExceeded", &message));
            }
        }
        let all = change.deletions.iter().chain(&change.additions);
        if all.flat_map(|set| &set.forms).map(String::len).sum::<usize>() > MOST_DATA {
            return Err(refusal(
                403,
                "quotaExceeded",
                "The change would exceed quota for total rrdata size per change.",
            ));
        }
        Ok(change)
    }

    fn carry_out(&self, zone: &mut HeldZone, number: u64) -> Result<(), Answer> {
        for (index, set) in self.deletions.iter().enumerate() {
            let there = zone.set(&set.name, &set.kind);
            if there.is_empty() {
                let message = format!(
                    "The 'entity.change.deletions[{index}]' resource named '{}. ({})' does not exist.",
                    set.name, set.kind
                );
                return Err(refusal(404, "notFound", &message));
            }
            let sorted = |mut forms: Vec<String>| {
                forms.sort_unstable();
                forms
            };
            let forms = there.iter().map(|record| record.form.clone()).collect();
            if there[0].ttl != set.ttl || sorted(forms) != sorted(set.forms.clone()) {
                let message = format!("Precondition not met for 'entity.change.deletions[{index}]'");
                return Err(refusal(412, "conditionNotMet", &message));
            }
            zone.replace_set(&set.name, &set.kind, Vec::new());
        }
        for (index, set) in self.additions.iter().enumerate() {
            if zone
                .records
                .iter()
                .any(|one| one.name == set.name && (one.kind == "CNAME") != (set.kind == "CNAME"))
            {
                let message = format!(
                    "The resource record set 'entity.change.additions[{index}]' is invalid because the DNS name '{}.' \
                     may have either one CNAME resource record set or resource record sets of other types, but not both.",
                    set.name
                );
                return Err(refusal(400, "cnameResourceRecordSetConflict", &message));
            }
            if !zone.set(&set.name, &set.kind).is_empty() {
                let message = format!(
                    "The 'entity.change.additions[{index}]' resource named '{}. ({})' already exists.",
                    set.name, set.kind
                );
                return Err(refusal(409, "alreadyExists", &message));
            }
            let records = set.forms.iter().enumerate();
            let records =
                records.map(|(nth, form)| set.record(&format!("r{number}-{index}-{nth}"), form)).collect();
            zone.replace_set(&set.name, &set.kind, records);
        }
        Ok(())
    }
}

impl Set {
    fn read(set: &Value, place: &str, zone: &HeldZone) -> Result<Self, Answer> {
        let wrong = |key: &str, value: &Value| invalid(&format!("{place}.{key}"), &value.to_string());
        let object = set.as_object().ok_or_else(|| invalid(place, "no object"))?;
        let known = ["kind", "name", "type", "ttl", "rrdatas", "signatureRrdatas"];
        if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(refusal(400, "invalid", &format!("Unknown name \"{key}\" at '{place}'")));
        }
        let name = set["name"]
            .as_str()
            .and_then(|name| name.strip_suffix('.'))
            .ok_or_else(|| wrong("name", &set["name"]))?;
        let inside = name == zone.name || name.ends_with(&format!(".{}", zone.name));
        if !inside
            || name != name.to_lowercase()
            || name.split('.').any(|label| label.is_empty() || label.len() > 63)
        {
            return Err(wrong("name", &set["name"]));
        }
        let kind = set["type"].as_str().ok_or_else(|| wrong("type", &set["type"]))?;
        // Some clients write it as a text.
        let ttl = set["ttl"].as_u64().or_else(|| set["ttl"].as_str()?.parse().ok());
        let ttl = ttl.and_then(|ttl| i32::try_from(ttl).ok()).and_then(|ttl| u32::try_from(ttl).ok());
        let ttl = ttl.ok_or_else(|| wrong("ttl", &set["ttl"]))?;
        let rrdatas = set["rrdatas"].as_array().ok_or_else(|| wrong("rrdatas", &set["rrdatas"]))?;
        let form = |data: &Value| match (kind, data.as_str()) {
            ("TXT", Some(text)) => txt_form(text).ok_or_else(|| wrong("rrdata", data)),
            (_, Some(text)) => Ok(text.to_owned()),
            (_, None) => Err(wrong("rrdata", data)),
        };
        let forms = rrdatas.iter().map(form).collect::<Result<Vec<_>, _>>()?;
        let mut unlike = forms.clone();
        unlike.sort_unstable();
        unlike.dedup();
        if forms.is_empty() || forms.len() > LARGEST_SET || unlike.len() < forms.len() {
            return Err(wrong("rrdatas", &set["rrdatas"]));
        }
        Ok(Self { name: name.to_owned(), kind: kind.to_owned(), ttl, forms })
    }

    fn record(&self, id: &str, form: &str) -> HeldRecord {
        let data = if self.kind == "TXT" { text_of(form).unwrap_or_default() } else { form.to_owned() };
        HeldRecord {
            id: id.to_owned(),
            name: self.name.clone(),
            kind: self.kind.clone(),
            ttl: self.ttl,
            data,
            form: form.to_owned(),
        }
    }
}

/// Quoted as the service shows it; a text without quotes is one string if it has no blank.
fn txt_form(text: &str) -> Option<String> {
    if text.starts_with('"') {
        return text_of(text).map(|_| text.to_owned());
    }
    let bare = !text.is_empty() && text.len() <= 255 && !text.contains([' ', '"', '\\']);
    bare.then(|| format!("\"{text}\""))
}

fn list_sets(asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
    only(asked, &["name", "type", "maxResults", "pageToken"])?;
    let (name, kind) = (asked.parameter("name"), asked.parameter("type"));
    if kind.is_some() && name.is_none() {
        return Err(refusal(400, "invalidParameter", "type can only be given with name"));
    }
    let mut places: Vec<(&str, &str)> = Vec::new();
    for record in &zone.records {
        let fits = name.is_none_or(|name| format!("{}.", record.name) == name)
            && kind.is_none_or(|kind| record.kind == kind);
        if fits && !places.contains(&(&record.name, &record.kind)) {
            places.push((&record.name, &record.kind));
        }
    }
    let shown = |(name, kind): &(&str, &str)| {
        let records = zone.set(name, kind);
        json!({
            "kind": "dns#resourceRecordSet",
            "name": format!("{name}."),
            "type": kind,
            "ttl": records[0].ttl,
            "rrdatas": records.iter().map(|record| &record.form).collect::<Vec<_>>(),
            "signatureRrdatas": [],
        })
    };
    let found: Vec<Value> = places.iter().map(shown).collect();
    page(asked, "rrsets", &found)
}

fn change_state(id: &str, status: &str) -> Value {
    json!({ "kind": "dns#change", "id": id, "status": status, "startTime": "2026-11-22T00:00:00.000Z" })
}
