//! OVHcloud's API, as far as TXT records and zones go, with its token address.
//!
//! Stricter than the service: parameters and fields that are not documented are refused, every
//! signature is computed anew, and the service's clock is ahead of ours. What is written is held
//! back until the zone is refreshed; the same record may be written twice.

use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::{BASE64, HEXLOWER};
use hyper::header::HeaderName;
use serde_json::{Map, Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds by which a request's time may be off.
const TOLERANCE: i64 = 120;
/// All that writing challenges takes of a service account.
pub const ACTIONS: [&str; 4] = [
    "dnsZone:apiovh:record/get",
    "dnsZone:apiovh:record/create",
    "dnsZone:apiovh:record/delete",
    "dnsZone:apiovh:refresh",
];

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
struct Consumer {
    keys: Keys,
    rules: Vec<(String, String)>,
    state: State,
}

/// A service account, and what it may do in which zones.
#[derive(Debug)]
struct Account {
    id: String,
    secret: String,
    rights: Vec<(String, Vec<String>)>,
}

/// What was asked for and is not served yet.
#[derive(Debug)]
enum Pending {
    Add(HeldRecord),
    Remove(String),
}

/// The service.
#[derive(Debug)]
pub struct Ovh {
    consumers: Mutex<Vec<Consumer>>,
    accounts: Mutex<Vec<Account>>,
    /// Tokens with the number of their account.
    tokens: Mutex<Vec<(String, usize)>>,
    /// By the name of the zone.
    pending: Mutex<Vec<(String, Pending)>>,
    ahead: AtomicI64,
    issued: AtomicU64,
    failing: AtomicUsize,
}

/// Who asks.
enum Who {
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

impl Default for Ovh {
    fn default() -> Self {
        Self::new()
    }
}

impl Ovh {
    /// A service that knows nobody yet, a quarter of an hour ahead.
    #[must_use]
    pub fn new() -> Self {
        Self {
            consumers: Mutex::default(),
            accounts: Mutex::default(),
            tokens: Mutex::default(),
            pending: Mutex::default(),
            ahead: AtomicI64::new(900),
            issued: AtomicU64::new(0),
            failing: AtomicUsize::new(0),
        }
    }

    /// An application with a consumer key for these methods and paths.
    #[must_use]
    pub fn keys(&self, rules: &[(&str, String)], state: State) -> Keys {
        let mut consumers = lock(&self.consumers);
        let number = consumers.len();
        let keys = Keys {
            application: format!("application-{number}"),
            secret: format!("application-secret-{number}"),
            consumer: format!("consumer-key-{number}"),
        };
        let rules = rules.iter().map(|(method, path)| ((*method).to_owned(), path.clone())).collect();
        consumers.push(Consumer { keys: keys.clone(), rules, state });
        keys
    }

    /// A service account that may do `actions` in `zones`: its id and its secret.
    #[must_use]
    pub fn account(&self, zones: &[&str], actions: &[&str]) -> (String, String) {
        let mut accounts = lock(&self.accounts);
        let number = accounts.len();
        let (id, secret) = (format!("EU.account-{number}"), format!("account-secret-{number}"));
        let actions: Vec<String> = actions.iter().map(|&action| action.to_owned()).collect();
        let rights = zones.iter().map(|&zone| (zone.to_owned(), actions.clone())).collect();
        accounts.push(Account { id: id.clone(), secret: secret.clone(), rights });
        (id, secret)
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

    /// Sets the service's clock ahead of ours.
    pub fn set_clock(&self, ahead: i64) {
        self.ahead.store(ahead, Ordering::SeqCst);
    }

    /// The next `count` refreshes fail.
    pub fn fail_refreshes(&self, count: usize) {
        self.failing.store(count, Ordering::SeqCst);
    }

    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        i64::try_from(now).unwrap_or_default() + self.ahead.load(Ordering::SeqCst)
    }

    fn token(&self, asked: &Asked) -> Answer {
        let no =
            |status, error: &str| Answer::json(status, &json!({ "error": error, "error_description": "no" }));
        let fields = asked.form().unwrap_or_default();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
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
        let token = format!("ovh-token-{:032x}", self.issued.fetch_add(1, Ordering::Relaxed));
        lock(&self.tokens).push((token.clone(), number));
        let body =
            json!({ "access_token": token, "expires_in": 3599, "scope": "all", "token_type": "Bearer" });
        Answer::json(200, &body)
    }

    fn who(&self, asked: &Asked) -> Result<Who, Answer> {
        if let Some(token) = asked.header("authorization").and_then(|header| header.strip_prefix("Bearer ")) {
            let tokens = lock(&self.tokens);
            let known = tokens.iter().find(|(one, _)| one == token).map(|(_, number)| Who::Account(*number));
            return known
                .ok_or_else(|| classed(401, "Client::Unauthorized", "Invalid access token", &json!({})));
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
    fn allow(&self, who: &Who, asked: &Asked, zone: &str, action: &str) -> Result<(), Answer> {
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

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let segments = asked.path();
        let method = asked.method.as_str();
        match (method, &segments[..]) {
            ("GET", ["1.0", "auth", "time"]) => return Ok(Answer::json(200, &json!(self.now()))),
            ("POST", ["auth", "oauth2", "token"]) => return Ok(self.token(asked)),
            _ => {}
        }
        let who = self.who(asked)?;
        match (method, &segments[..]) {
            ("GET", ["1.0", "auth", "currentCredential"]) => self.credential(&who),
            ("POST", ["v2", "iam", "resource", urn, "authorization", "check"]) => {
                self.check(asked, held, urn, &who)
            }
            ("GET", ["1.0", "domain", "zone"]) => {
                if let Who::Consumer(_) = who {
                    self.allow(&who, asked, "", "")?;
                }
                let seen = |zone: &&HeldZone| match who {
                    Who::Consumer(_) => true,
                    Who::Account(number) => {
                        lock(&self.accounts)[number].rights.iter().any(|(name, _)| *name == zone.name)
                    }
                };
                let names: Vec<&str> =
                    held.zones.iter().filter(seen).map(|zone| zone.name.as_str()).collect();
                Ok(Answer::json(200, &json!(names)))
            }
            (_, ["1.0", "domain", "zone", zone, rest @ ..]) => {
                let action = match (method, rest) {
                    ("GET", ["record"] | ["record", _]) => ACTIONS[0],
                    ("POST", ["record"]) => ACTIONS[1],
                    ("DELETE", ["record", _]) => ACTIONS[2],
                    ("POST", ["refresh"]) => ACTIONS[3],
                    _ => return Err(refusal(404, "", "Got an invalid (or empty) URL")),
                };
                self.allow(&who, asked, zone, action)?;
                let number = held.next_number();
                let zone = held.zones.iter_mut().find(|one| one.name == *zone);
                let zone = zone.ok_or_else(|| {
                    classed(404, "Client::NotFound", "This service does not exist", &json!({}))
                })?;
                self.zone(asked, zone, method, rest, number)
            }
            _ => Err(refusal(404, "", "Got an invalid (or empty) URL")),
        }
    }

    fn credential(&self, who: &Who) -> Result<Answer, Answer> {
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

    fn check(&self, asked: &Asked, held: &Held, urn: &str, who: &Who) -> Result<Answer, Answer> {
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

    fn zone(
        &self,
        asked: &Asked,
        zone: &mut HeldZone,
        method: &str,
        rest: &[&str],
        number: u64,
    ) -> Result<Answer, Answer> {
        let gone = |id: &str| refusal(404, "", &format!("The requested object (id = {id}) does not exist"));
        match (method, rest) {
            ("GET", ["record"]) => {
                only(asked, &["fieldType", "subDomain"])?;
                let fits = |record: &&HeldRecord| {
                    asked.parameter("fieldType").is_none_or(|kind| record.kind == kind)
                        && asked
                            .parameter("subDomain")
                            .is_none_or(|like| is_like(like, relative(zone, &record.name)))
                };
                let view = self.view(zone);
                let ids: Vec<u64> =
                    view.iter().filter(fits).filter_map(|record| record.id.parse().ok()).collect();
                Ok(Answer::json(200, &json!(ids)))
            }
            ("GET", ["record", id]) => {
                only(asked, &[])?;
                let view = self.view(zone);
                let record = view.iter().find(|record| record.id == *id).ok_or_else(|| gone(id))?;
                Ok(Answer::json(200, &shown(zone, record)))
            }
            ("POST", ["record"]) => {
                let record = self.new_record(asked, zone, number)?;
                let answer = Answer::json(200, &shown(zone, &record));
                lock(&self.pending).push((zone.name.clone(), Pending::Add(record)));
                Ok(answer)
            }
            ("DELETE", ["record", id]) => {
                only(asked, &[])?;
                if !self.view(zone).iter().any(|record| record.id == *id) {
                    return Err(gone(id));
                }
                lock(&self.pending).push((zone.name.clone(), Pending::Remove((*id).to_owned())));
                Ok(Answer::json(200, &Value::Null))
            }
            _ => {
                only(asked, &[])?;
                self.refresh(zone)
            }
        }
    }

    fn refresh(&self, zone: &mut HeldZone) -> Result<Answer, Answer> {
        let left = self.failing.load(Ordering::SeqCst);
        if left > 0 {
            self.failing.store(left - 1, Ordering::SeqCst);
            return Err(classed(500, "Server::InternalServerError", "Internal server error", &json!({})));
        }
        zone.records = self.view(zone);
        lock(&self.pending).retain(|(name, _)| *name != zone.name);
        Ok(Answer::json(200, &Value::Null))
    }

    /// The zone as the API shows it, with what is not served yet.
    fn view(&self, zone: &HeldZone) -> Vec<HeldRecord> {
        let mut records = zone.records.clone();
        for (_, pending) in lock(&self.pending).iter().filter(|(name, _)| *name == zone.name) {
            match pending {
                Pending::Add(record) => records.push(record.clone()),
                Pending::Remove(id) => records.retain(|record| record.id != *id),
            }
        }
        records
    }

    fn new_record(&self, asked: &Asked, zone: &HeldZone, number: u64) -> Result<HeldRecord, Answer> {
        only(asked, &[])?;
        let bad = |what: &str| classed(400, "Client::BadRequest", what, &json!({}));
        let body: Map<String, Value> = asked.object().ok_or_else(|| bad("no JSON"))?;
        if let Some(key) =
            body.keys().find(|key| !["fieldType", "subDomain", "target", "ttl"].contains(&key.as_str()))
        {
            return Err(bad(&format!("unknown field {key}")));
        }
        // The service says so of a wrong type.
        let typed = || refusal(400, "INVALID_SIGNATURE", "Invalid signature");
        let text = |key: &str| body.get(key).map_or(Ok(""), |value| value.as_str().ok_or_else(typed));
        let (kind, sub_domain, form) = (text("fieldType")?, text("subDomain")?, text("target")?);
        let ttl = body.get("ttl").map_or(Ok(0), |ttl| ttl.as_u64().ok_or_else(typed))?;
        let ttl = u32::try_from(ttl).ok().filter(|ttl| *ttl == 0 || (60..=2_147_483_647).contains(ttl));
        let ttl = ttl.ok_or_else(|| bad("Invalid ttl"))?;
        if kind != "TXT" {
            return Err(bad("this fake takes TXT only"));
        }
        if sub_domain.ends_with('.') || sub_domain.split('.').any(|label| label.len() > 63) {
            return Err(bad("Invalid subDomain"));
        }
        let name =
            if sub_domain.is_empty() { zone.name.clone() } else { format!("{sub_domain}.{}", zone.name) };
        let name = name.to_lowercase();
        if self.view(zone).iter().any(|record| record.name == name && record.kind == "CNAME") {
            return Err(bad("A CNAME already exists for this subdomain"));
        }
        let data = text_of_target(form).ok_or_else(|| bad("Invalid target"))?;
        let (id, kind, form) = (number.to_string(), kind.to_owned(), form.to_owned());
        Ok(HeldRecord { id, name, kind, ttl, data, form })
    }
}

impl Service for Ovh {
    fn base(&self) -> &'static str {
        ""
    }

    fn identifier(&self, number: u64) -> String {
        number.to_string()
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        let answer = self.route(asked, held).unwrap_or_else(|refusal| refusal);
        answer.with(HeaderName::from_static("x-ovh-queryid"), "EU.ext-1.query-1")
    }

    fn throttled(&self) -> Answer {
        classed(429, "Client::TooManyRequests", "Too many requests", &json!({}))
    }
}

/// The older form of an error.
fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let mut body = json!({ "message": message, "httpCode": format!("{status} Refused") });
    if !code.is_empty() {
        body["errorCode"] = json!(code);
    }
    Answer::json(status, &body)
}

/// The newer form.
fn classed(status: u16, class: &str, message: &str, details: &Value) -> Answer {
    Answer::json(status, &json!({ "class": class, "message": message, "details": details }))
}

fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    match asked.unknown_parameter(known) {
        None => Ok(()),
        Some(name) => {
            Err(classed(400, "Client::BadRequest", &format!("unknown parameter {name}"), &json!({})))
        }
    }
}

/// `*` stands for anything.
fn fits(rule: &str, path: &str) -> bool {
    match rule.split_once('*') {
        None => rule == path,
        Some((first, last)) => {
            path.len() >= first.len() + last.len() && path.starts_with(first) && path.ends_with(last)
        }
    }
}

/// `_` stands for one character, `%` for any, without regard to case.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut characters = pattern.chars();
    match characters.next() {
        None => text.is_empty(),
        Some('%') => text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .any(|at| is_like(characters.as_str(), &text[at..])),
        Some(one) => {
            let mut rest = text.chars();
            rest.next().is_some_and(|other| one == '_' || one == other)
                && is_like(characters.as_str(), rest.as_str())
        }
    }
}

fn relative<'a>(zone: &HeldZone, name: &'a str) -> &'a str {
    name.strip_suffix(&zone.name).map_or(name, |front| front.strip_suffix('.').unwrap_or_default())
}

/// Targets of texts are shown in quotes, however they came.
fn shown(zone: &HeldZone, record: &HeldRecord) -> Value {
    let target = if record.kind == "TXT" && !record.form.starts_with('"') {
        format!("\"{}\"", record.form.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        record.form.clone()
    };
    json!({
        "id": record.id.parse::<u64>().unwrap_or_default(),
        "zone": zone.name,
        "subDomain": relative(zone, &record.name),
        "fieldType": record.kind,
        "target": target,
        "ttl": record.ttl,
    })
}

/// What quoted strings of any length hold, or a text without quotes.
fn text_of_target(target: &str) -> Option<String> {
    if !target.starts_with('"') {
        return (!target.is_empty() && !target.contains('"')).then(|| target.to_owned());
    }
    let (mut text, mut inside) = (String::new(), false);
    let mut characters = target.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => inside = !inside,
            '\\' if inside => text.push(characters.next()?),
            other if inside => text.push(other),
            ' ' => {}
            _ => return None,
        }
    }
    (!inside && !text.is_empty()).then_some(text)
}
