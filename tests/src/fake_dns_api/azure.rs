//! Azure DNS (2018-05-01) in the resource manager, as far as TXT records and zones go, with its
//! login host and both places where machines get tokens.
//!
//! Stricter than the service: parameters and fields that are not documented are refused, pages
//! are short, and every write is held against the ETag that it names.

use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The directory.
pub const TENANT: &str = "tenant-1";
/// The one subscription.
pub const SUBSCRIPTION: &str = "sub-1";
/// The group that has all zones.
pub const GROUP: &str = "dns-group";
/// Entries of a page, whatever is asked for.
const PER_PAGE: usize = 2;
/// Characters of one set in the public cloud.
const LARGEST_SET: usize = 4096;
/// Records of one set.
const MOST_RECORDS: usize = 400;
const VERSION: &str = "2018-05-01";
const AUDIENCE: &str = "https://management.azure.com";

/// Roles, as lists of actions and of those taken out.
pub type Role = (&'static [&'static str], &'static [&'static str]);

/// May write and delete TXT records, and not ask what it may.
pub const CHALLENGES: Role = (
    &[
        "Microsoft.Network/dnsZones/TXT/read",
        "Microsoft.Network/dnsZones/TXT/write",
        "Microsoft.Network/dnsZones/TXT/delete",
    ],
    &[],
);
/// The built-in role `DNS Zone Contributor`.
pub const DNS_ZONE_CONTRIBUTOR: Role =
    (&["Microsoft.Network/dnsZones/*", "Microsoft.Authorization/*/read"], &[]);
/// The built-in role `Contributor`.
pub const CONTRIBUTOR: Role =
    (&["*"], &["Microsoft.Authorization/*/write", "Microsoft.Authorization/*/delete"]);
/// The built-in role `Reader`.
pub const READER: Role = (&["*/read"], &[]);

/// An application or a machine's identity.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Its client id.
    pub client_id: String,
    /// Its secret.
    pub secret: String,
    /// The assertion that it is trusted with.
    pub assertion: String,
}

/// A role at a place, in small letters and without a slash in front.
type Assignment = (String, Role);

/// The service.
#[derive(Debug, Default)]
pub struct Azure {
    principals: Mutex<Vec<(Principal, Vec<Assignment>)>>,
    /// Tokens with the number of their principal.
    tokens: Mutex<Vec<(String, usize)>>,
    ended: Mutex<Vec<String>>,
    /// The identity of the machine that asks, and the secret of its address.
    machine: Mutex<Option<usize>>,
    /// Notes on record sets, by path.
    notes: Mutex<HashMap<String, Value>>,
    /// A value that somebody else writes just before the next write.
    intruder: Mutex<Option<String>>,
    /// Stale writes are answered by 409.
    conflicts: AtomicBool,
    issued: AtomicU64,
}

/// The path of the zone `name`.
#[must_use]
pub fn zone_path(name: &str) -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/dnsZones/{name}"
    )
}

impl Azure {
    /// What is sent to the machine's own address beside its question.
    pub const HEADER: &str = "identity-header-1";

    /// A service that knows nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A principal with roles at places (paths as in [`zone_path`]).
    #[must_use]
    pub fn principal(&self, assignments: &[(&str, Role)]) -> Principal {
        let mut principals = lock(&self.principals);
        let number = principals.len();
        let principal = Principal {
            client_id: format!("client-{number}"),
            secret: format!("secret~{number}+of/an=application"),
            assertion: format!("assertion-{number}.of.issuer"),
        };
        let assignments = assignments.iter().map(|(place, role)| (lowered(place), *role)).collect();
        principals.push((principal.clone(), assignments));
        principal
    }

    /// Lets the machine be this principal.
    ///
    /// # Panics
    /// There is no such principal.
    pub fn runs_as(&self, principal: &Principal) {
        let principals = lock(&self.principals);
        let number = principals.iter().position(|(one, _)| one.client_id == principal.client_id);
        *lock(&self.machine) = Some(number.expect("the test made it"));
    }

    /// The tokens that were given out and are still taken.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        lock(&self.tokens).iter().map(|(token, _)| token.clone()).collect()
    }

    /// Ends all tokens.
    pub fn end_tokens(&self) {
        lock(&self.ended).extend(lock(&self.tokens).drain(..).map(|(token, _)| token));
    }

    /// Somebody else adds `value` to the set of the next write just before it.
    pub fn intrude(&self, value: &str) {
        *lock(&self.intruder) = Some(value.to_owned());
    }

    /// Stale writes are answered by 409 from now on, as some parts of the service do.
    pub fn answer_conflict(&self) {
        self.conflicts.store(true, Ordering::SeqCst);
    }

    /// The notes on the set `relative` of the zone `zone`.
    #[must_use]
    pub fn notes(&self, zone: &str, relative: &str) -> Option<Value> {
        lock(&self.notes).get(&lowered(&format!("{}/TXT/{relative}", zone_path(zone)))).cloned()
    }

    fn issue(&self, principal: usize) -> String {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let token = format!("eyJ0eXAi.fake-{number:032x}.sig");
        lock(&self.tokens).push((token.clone(), principal));
        token
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
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let known = [
            "client_id",
            "grant_type",
            "scope",
            "client_secret",
            "client_assertion",
            "client_assertion_type",
        ];
        // The vendor's library tells its name and version.
        let known =
            |name: &str| known.contains(&name) || name.starts_with("x-client") || name == "client_info";
        if let Some((name, _)) = form.iter().find(|(name, _)| !known(name)) {
            return no(400, "invalid_request", &format!("AADSTS900144: unknown field {name}"));
        }
        if field("grant_type") != Some("client_credentials") {
            return no(400, "unsupported_grant_type", "AADSTS70003");
        }
        if field("scope") != Some(&format!("{AUDIENCE}/.default")) {
            return no(400, "invalid_scope", "AADSTS70011: the scope is not valid");
        }
        let principals = lock(&self.principals);
        let number =
            principals.iter().position(|(one, _)| Some(one.client_id.as_str()) == field("client_id"));
        let Some(number) = number else {
            return no(
                400,
                "unauthorized_client",
                "AADSTS700016: Application was not found in the directory.",
            );
        };
        let principal = &principals[number].0;
        match (field("client_secret"), field("client_assertion"), field("client_assertion_type")) {
            (Some(secret), None, None) if secret == principal.secret => {}
            (None, Some(assertion), Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"))
                if assertion == principal.assertion => {}
            (Some(_), None, None) => {
                return no(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.");
            }
            (None, Some(_), Some(_)) => {
                return no(
                    401,
                    "invalid_client",
                    "AADSTS700213: No matching federated identity record found.",
                );
            }
            _ => return no(401, "invalid_client", "AADSTS7000216: one credential is required"),
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

    /// The number of the principal that asks.
    fn principal_of(&self, asked: &Asked) -> Result<usize, Answer> {
        let token = asked.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        if let Some((_, number)) = lock(&self.tokens).iter().find(|(one, _)| Some(one.as_str()) == token) {
            return Ok(*number);
        }
        let ended = lock(&self.ended).iter().any(|one| Some(one.as_str()) == token);
        let code = if ended { "ExpiredAuthenticationToken" } else { "InvalidAuthenticationToken" };
        Err(refusal(401, code, "The access token is invalid or has expired."))
    }

    /// Refuses what no role allows, before anything is looked up.
    fn allow(&self, principal: usize, action: &str, path: &str) -> Result<(), Answer> {
        let path = lowered(path);
        let principals = lock(&self.principals);
        let (who, assignments) = &principals[principal];
        let allowed = assignments.iter().any(|(place, (actions, not))| {
            let any = |patterns: &[&str]| patterns.iter().any(|pattern| fits(pattern, action));
            is_at_or_below(&path, place) && any(actions) && !any(not)
        });
        if allowed {
            return Ok(());
        }
        let message = format!(
            "The client '{}' with object id 'o' does not have authorization to perform action '{action}' \
             over scope '/{path}' or the scope is invalid.",
            who.client_id
        );
        Err(refusal(403, "AuthorizationFailed", &message))
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let segments = asked.path();
        match (asked.method.as_str(), &segments[..]) {
            ("POST", [tenant, "oauth2", "v2.0", "token"]) => return Ok(self.log_in(asked, tenant)),
            ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
                return Ok(configuration(asked, tenant));
            }
            ("GET", ["metadata", "identity", "oauth2", "token"]) => {
                return Ok(self.machine(asked, "2018-02-01", asked.header("metadata") == Some("true")));
            }
            ("GET", ["msi", "token"]) => {
                let proven = asked.header("x-identity-header") == Some(Self::HEADER);
                return Ok(self.machine(asked, "2019-08-01", proven));
            }
            _ => {}
        }
        let principal = self.principal_of(asked)?;
        let path = asked.segments.join("/");
        if let Some(scope) = lowered(&path).strip_suffix("/providers/microsoft.authorization/permissions") {
            only(asked, "2022-04-01", &[])?;
            self.allow(principal, "Microsoft.Authorization/permissions/read", scope)?;
            return Ok(self.permissions(principal, scope));
        }
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match &lower[..] {
            ["subscriptions", subscription, "providers", "microsoft.network", "dnszones"]
            | [
                "subscriptions",
                subscription,
                "resourcegroups",
                _,
                "providers",
                "microsoft.network",
                "dnszones",
            ] => {
                known_subscription(subscription)?;
                self.list_zones(asked, held, principal)
            }
            [
                "subscriptions",
                subscription,
                "resourcegroups",
                group,
                "providers",
                "microsoft.network",
                "dnszones",
                zone,
                rest @ ..,
            ] => {
                let action = match (asked.method.as_str(), rest) {
                    ("GET", []) => "Microsoft.Network/dnsZones/read",
                    ("GET", ["txt"] | ["txt", _]) => "Microsoft.Network/dnsZones/TXT/read",
                    ("PUT", ["txt", _]) => "Microsoft.Network/dnsZones/TXT/write",
                    ("DELETE", ["txt", _]) => "Microsoft.Network/dnsZones/TXT/delete",
                    _ => return Err(refusal(404, "InvalidResourceType", "no such type")),
                };
                self.allow(principal, action, &path)?;
                known_subscription(subscription)?;
                if *group != GROUP {
                    let message = format!("Resource group '{group}' could not be found.");
                    return Err(refusal(404, "ResourceGroupNotFound", &message));
                }
                let number = held.next_number();
                let found = held.zones.iter_mut().find(|one| one.name == *zone);
                let zone = found.ok_or_else(|| {
                    let message = format!("The Resource 'dnszones/{zone}' under '{group}' was not found.");
                    let code = if rest.is_empty() { "ResourceNotFound" } else { "ParentResourceNotFound" };
                    refusal(404, code, &message)
                })?;
                match (asked.method.as_str(), rest) {
                    ("GET", []) => only(asked, VERSION, &[]).map(|()| Answer::json(200, &shown_zone(zone))),
                    ("GET", ["txt"]) => self.list_sets(asked, zone),
                    (method, ["txt", relative]) => self.set(asked, zone, method, relative, number),
                    _ => unreachable!("the action was found"),
                }
            }
            _ => Err(refusal(404, "InvalidResourceType", "no such type")),
        }
    }

    fn permissions(&self, principal: usize, scope: &str) -> Answer {
        let principals = lock(&self.principals);
        let held = principals[principal].1.iter().filter(|(place, _)| is_at_or_below(scope, place));
        let shown = |(_, (actions, not)): &Assignment| json!({ "actions": actions, "notActions": not, "dataActions": [] });
        Answer::json(200, &json!({ "value": held.map(shown).collect::<Vec<_>>() }))
    }

    fn list_zones(&self, asked: &Asked, held: &Held, principal: usize) -> Result<Answer, Answer> {
        only(asked, VERSION, &["$top", "$skiptoken"])?;
        // The list shows what may be read, and is empty where nothing may.
        let may = |zone: &&HeldZone| {
            self.allow(principal, "Microsoft.Network/dnsZones/read", &zone_path(&zone.name)).is_ok()
        };
        let found: Vec<Value> = held.zones.iter().filter(may).map(shown_zone).collect();
        page(asked, &found)
    }

    fn list_sets(&self, asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
        only(asked, VERSION, &["$top", "$skiptoken", "$recordsetnamesuffix"])?;
        let mut names: Vec<&str> = Vec::new();
        for record in zone.records.iter().filter(|record| record.kind == "TXT") {
            let fits =
                asked.parameter("$recordsetnamesuffix").is_none_or(|suffix| record.name.contains(suffix));
            if fits && !names.contains(&record.name.as_str()) {
                names.push(&record.name);
            }
        }
        let found: Vec<Value> =
            names.iter().filter_map(|name| self.shown(zone, relative(zone, name))).collect();
        page(asked, &found)
    }

    /// The set as the service shows it, with its ETag.
    fn shown(&self, zone: &HeldZone, relative: &str) -> Option<Value> {
        let name = absolute(zone, relative);
        let records = zone.set(&name, "TXT");
        let first = records.first()?;
        let path = format!("{}/TXT/{relative}", zone_path(&zone.name));
        let notes = lock(&self.notes).get(&lowered(&path)).cloned();
        let texts: Vec<Value> =
            records.iter().map(|record| json!({ "value": strings(&record.form) })).collect();
        let mut hasher = DefaultHasher::new();
        (first.ttl, json!(texts).to_string(), json!(notes).to_string()).hash(&mut hasher);
        let mut properties = json!({
            "fqdn": format!("{name}."), "TTL": first.ttl, "TXTRecords": texts, "targetResource": {},
            "provisioningState": "Succeeded",
        });
        if let Some(notes) = notes {
            properties["metadata"] = notes;
        }
        Some(json!({
            "id": path.replace("resourceGroups", "resourcegroups").replace("dnsZones", "dnszones"),
            "name": relative,
            "type": "Microsoft.Network/dnszones/TXT",
            "etag": format!("{:016x}", hasher.finish()),
            "properties": properties,
        }))
    }

    fn set(
        &self,
        asked: &Asked,
        zone: &mut HeldZone,
        method: &str,
        relative: &str,
        number: u64,
    ) -> Result<Answer, Answer> {
        only(asked, VERSION, &[])?;
        let absent = || {
            refusal(
                404,
                "NotFound",
                &format!("The resource record '{relative}' does not exist in resource group."),
            )
        };
        if method == "GET" {
            return self.shown(zone, relative).map(|set| Answer::json(200, &set)).ok_or_else(absent);
        }
        let name = absolute(zone, relative);
        if let Some(value) = lock(&self.intruder).take() {
            let ttl = zone.set(&name, "TXT").first().map_or(300, |record| record.ttl);
            let form = json!([value]).to_string();
            let (id, name, kind) = (format!("r{number}-i"), name.clone(), "TXT".to_owned());
            zone.records.push(HeldRecord { id, name, kind, ttl, data: value, form });
        }
        let present = self.shown(zone, relative);
        self.hold_against(asked, present.as_ref())?;
        if method == "DELETE" {
            if present.is_none() {
                return Ok(Answer::text(204, "application/json", ""));
            }
            zone.replace_set(&name, "TXT", Vec::new());
            let path = lowered(&format!("{}/TXT/{relative}", zone_path(&zone.name)));
            lock(&self.notes).remove(&path);
            // Roles stand on a resource and go with it.
            for (_, assignments) in lock(&self.principals).iter_mut() {
                assignments.retain(|(place, _)| *place != path);
            }
            return Ok(Answer::text(200, "application/json", ""));
        }
        self.put(asked, zone, relative, number)?;
        let shown = self.shown(zone, relative).expect("it was just put");
        Ok(Answer::json(if present.is_some() { 200 } else { 201 }, &shown))
    }

    /// `If-Match` and `If-None-Match` (RFC 9110 §13.1).
    fn hold_against(&self, asked: &Asked, present: Option<&Value>) -> Result<(), Answer> {
        let etag = present.and_then(|set| set["etag"].as_str());
        let stale = |header: &str, value: &str| {
            let message = format!(
                "The condition '{value}' in the {header} header was not satisfied. The current was '{}'.",
                etag.unwrap_or("n/a")
            );
            let conflicts = self.conflicts.load(Ordering::SeqCst);
            let (status, code) = if conflicts { (409, "Conflict") } else { (412, "PreconditionFailed") };
            Err(refusal(status, code, &message))
        };
        match (asked.header("if-match"), asked.header("if-none-match")) {
            (Some(_), Some(_)) => Err(refusal(400, "BadRequest", "both conditions")),
            (Some("*"), None) if etag.is_none() && asked.method == "PUT" => stale("If-Match", "*"),
            (Some("*"), None) | (None, None) => Ok(()),
            (Some(wanted), None) if etag == Some(wanted) || (etag.is_none() && asked.method == "DELETE") => {
                Ok(())
            }
            (Some(wanted), None) => stale("If-Match", wanted),
            (None, Some("*")) if etag.is_none() => Ok(()),
            (None, Some(wanted)) => stale("If-None-Match", wanted),
        }
    }

    fn put(&self, asked: &Asked, zone: &mut HeldZone, relative: &str, number: u64) -> Result<(), Answer> {
        let bad = |what: &str| refusal(400, "BadRequest", what);
        let body = asked.object().ok_or_else(|| bad("no JSON"))?;
        fields(&body, &["properties", "etag"])?;
        let properties =
            body.get("properties").and_then(Value::as_object).ok_or_else(|| bad("no properties"))?;
        fields(properties, &["TTL", "TXTRecords", "metadata"])?;
        let ttl = properties.get("TTL").and_then(Value::as_u64).and_then(|ttl| u32::try_from(ttl).ok());
        let ttl = ttl.filter(|ttl| (1..=2_147_483_647).contains(ttl)).ok_or_else(|| bad("TTL"))?;
        let records =
            properties.get("TXTRecords").and_then(Value::as_array).ok_or_else(|| bad("TXTRecords"))?;
        let texts = records
            .iter()
            .map(|record| text(record).ok_or_else(|| bad("TXTRecords")))
            .collect::<Result<Vec<_>, _>>()?;
        if texts.is_empty()
            || texts.len() > MOST_RECORDS
            || texts.iter().map(|text| text.0.len()).sum::<usize>() > LARGEST_SET
        {
            return Err(bad("The record set has too many or too long records, or none."));
        }
        if (1..texts.len()).any(|index| texts[..index].contains(&texts[index])) {
            return Err(bad("The record set has the same record twice."));
        }
        let name = absolute(zone, relative);
        if zone.records.iter().any(|record| record.name == name && record.kind == "CNAME") {
            return Err(refusal(
                409,
                "Conflict",
                "A CNAME record with the same name already exists in this zone.",
            ));
        }
        let record = |(index, (data, form)): (usize, &(String, String))| HeldRecord {
            id: format!("r{number}-{index}"),
            name: name.clone(),
            kind: "TXT".to_owned(),
            ttl,
            data: data.clone(),
            form: form.clone(),
        };
        zone.replace_set(&name, "TXT", texts.iter().enumerate().map(record).collect());
        let path = lowered(&format!("{}/TXT/{relative}", zone_path(&zone.name)));
        match properties.get("metadata") {
            Some(notes @ Value::Object(_)) => drop(lock(&self.notes).insert(path, notes.clone())),
            _ => drop(lock(&self.notes).remove(&path)),
        }
        Ok(())
    }
}

impl Service for Azure {
    fn base(&self) -> &'static str {
        ""
    }

    fn identifier(&self, number: u64) -> String {
        format!("held-{number}")
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        let answer = self.route(asked, held).unwrap_or_else(|refusal| refusal);
        answer.with(hyper::header::HeaderName::from_static("x-ms-request-id"), "request-1")
    }

    fn throttled(&self) -> Answer {
        refusal(429, "Throttled", "The request was throttled.")
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let answer = Answer::json(status, &json!({ "error": { "code": code, "message": message } }));
    let header = hyper::header::WWW_AUTHENTICATE;
    if status == 401 { answer.with(header, "Bearer error=\"invalid_token\"") } else { answer }
}

fn lowered(path: &str) -> String {
    path.trim_matches('/').to_lowercase()
}

fn is_at_or_below(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `*` stands for anything.
fn fits(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_lowercase(), action.to_lowercase());
    match pattern.split_once('*') {
        None => pattern == action,
        Some((first, last)) => {
            action.len() >= first.len() + last.len() && action.starts_with(first) && action.ends_with(last)
        }
    }
}

fn only(asked: &Asked, version: &str, known: &[&str]) -> Result<(), Answer> {
    if asked.parameter("api-version") != Some(version) {
        return Err(refusal(
            400,
            "MissingApiVersionParameter",
            "The api-version is required and must be known.",
        ));
    }
    match asked.unknown_parameter(&[known, &["api-version"]].concat()) {
        None => Ok(()),
        Some(name) => Err(refusal(400, "InvalidRequestUri", &format!("unknown parameter {name}"))),
    }
}

fn fields(object: &Map<String, Value>, known: &[&str]) -> Result<(), Answer> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(refusal(400, "BadRequest", &format!("unknown field {key}"))),
    }
}

fn known_subscription(subscription: &str) -> Result<(), Answer> {
    if subscription == SUBSCRIPTION {
        return Ok(());
    }
    let message = format!("The subscription '{subscription}' could not be found.");
    Err(refusal(404, "SubscriptionNotFound", &message))
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

/// Ids come in another spelling than they are documented.
fn shown_zone(zone: &HeldZone) -> Value {
    json!({
        "id": zone_path(&zone.name).replace("resourceGroups", "resourcegroups").replace("dnsZones", "dnszones"),
        "name": zone.name,
        "type": "Microsoft.Network/dnszones",
        "etag": "00000000-0000-0000-0000-000000000001",
        "location": "global",
        "tags": {},
        "properties": { "nameServers": ["ns1-01.azure-dns.com."], "zoneType": "Public", "numberOfRecordSets": 2 },
    })
}

fn page(asked: &Asked, found: &[Value]) -> Result<Answer, Answer> {
    let number = |name: &str, default: usize| match asked.parameter(name).map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => Err(refusal(400, "InvalidRequestUri", name)),
    };
    let (most, start) = (number("$top", PER_PAGE)?.clamp(1, PER_PAGE), number("$skiptoken", 0)?);
    let some: Vec<&Value> = found.iter().skip(start).take(most).collect();
    let mut body = json!({ "value": some });
    if start + most < found.len() {
        let (host, path) = (asked.header("host").unwrap_or_default(), asked.segments.join("/"));
        body["nextLink"] =
            json!(format!("https://{host}/{path}?api-version={VERSION}&%24skiptoken={}", start + most));
    }
    Ok(Answer::json(200, &body))
}

fn relative<'a>(zone: &HeldZone, name: &'a str) -> &'a str {
    name.strip_suffix(&zone.name).map_or(name, |front| front.strip_suffix('.').unwrap_or("@"))
}

fn absolute(zone: &HeldZone, relative: &str) -> String {
    if relative == "@" { zone.name.clone() } else { format!("{relative}.{}", zone.name) }
}

/// The character-strings of a record's form; what a test wrote plainly is one.
fn strings(form: &str) -> Value {
    match serde_json::from_str(form) {
        Ok(strings @ Value::Array(_)) => strings,
        _ => json!([form.trim_matches('"')]),
    }
}

/// What a record holds, and the form in which it is kept: its character-strings as JSON.
fn text(record: &Value) -> Option<(String, String)> {
    let object = record.as_object().filter(|object| object.len() == 1)?;
    let strings = object.get("value")?.as_array()?;
    let mut text = String::new();
    for string in strings {
        let string = string.as_str().filter(|string| string.len() <= 255)?;
        text += string;
    }
    (!text.is_empty()).then(|| (text, json!(strings).to_string()))
}
