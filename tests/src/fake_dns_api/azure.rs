//! Azure DNS (2018-05-01) in the resource manager, as far as TXT records and zones go, with its
//! login host and both places where machines get tokens.
//!
//! Stricter than the service: parameters and fields that are not documented are refused, pages
//! are short, and every write is held against the ETag that it names.

mod answers;
mod login;
mod roles;
mod sets;

pub use roles::{CHALLENGES, CONTRIBUTOR, DNS_ZONE_CONTRIBUTOR, READER, Role};

use super::tokens::Tokens;
use super::{Answer, Asked, Held, HeldZone, Service, lock};
use answers::{VERSION, known_subscription, only, page, refusal, shown_zone};
use roles::Assignment;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// The directory.
pub const TENANT: &str = "tenant-1";
/// The one subscription.
pub const SUBSCRIPTION: &str = "sub-1";
/// The group that has all zones.
pub const GROUP: &str = "dns-group";
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

/// The service.
#[derive(Debug, Default)]
pub struct Azure {
    principals: Mutex<Vec<(Principal, Vec<Assignment>)>>,
    /// Those of principals.
    tokens: Tokens,
    /// The identity of the machine that asks, and the secret of its address.
    machine: Mutex<Option<usize>>,
    /// Notes on record sets, by path.
    notes: Mutex<HashMap<String, Value>>,
    /// A value that somebody else writes just before the next write.
    intruder: Mutex<Option<String>>,
    /// Stale writes are answered by 409.
    conflicts: AtomicBool,
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
        self.tokens.taken()
    }

    /// Ends all tokens.
    pub fn end_tokens(&self) {
        self.tokens.end();
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

    /// The number of the principal that asks.
    fn principal_of(&self, asked: &Asked) -> Result<usize, Answer> {
        let token = asked.bearer();
        if let Some(number) = self.tokens.owner(token) {
            return Ok(number);
        }
        let ended = self.tokens.has_ended(token);
        let code = if ended { "ExpiredAuthenticationToken" } else { "InvalidAuthenticationToken" };
        Err(refusal(401, code, "The access token is invalid or has expired."))
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let segments = asked.path();
        if let Some(answer) = self.without_token(asked) {
            return Ok(answer);
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
                let action = action(&asked.method, rest).ok_or_else(no_such_type)?;
                self.allow(principal, action, &path)?;
                known_subscription(subscription)?;
                if *group != GROUP {
                    let message = format!("Resource group '{group}' could not be found.");
                    return Err(refusal(404, "ResourceGroupNotFound", &message));
                }
                self.in_zone(asked, held, zone, rest)
            }
            _ => Err(no_such_type()),
        }
    }

    /// What is asked of one zone, in small letters.
    fn in_zone(&self, asked: &Asked, held: &mut Held, zone: &str, rest: &[&str]) -> Result<Answer, Answer> {
        let number = held.next_number();
        let found = held.zones.iter_mut().find(|one| one.name == zone);
        let zone = found.ok_or_else(|| {
            let message = format!("The Resource 'dnszones/{zone}' under '{GROUP}' was not found.");
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

    fn list_zones(&self, asked: &Asked, held: &Held, principal: usize) -> Result<Answer, Answer> {
        only(asked, VERSION, &["$top", "$skiptoken"])?;
        // The list shows what may be read, and is empty where nothing may.
        let may = |zone: &&HeldZone| {
            self.allow(principal, "Microsoft.Network/dnsZones/read", &zone_path(&zone.name)).is_ok()
        };
        let found: Vec<Value> = held.zones.iter().filter(may).map(shown_zone).collect();
        page(asked, &found)
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

/// What has to be allowed for a request below a zone.
fn action(method: &str, rest: &[&str]) -> Option<&'static str> {
    match (method, rest) {
        ("GET", []) => Some("Microsoft.Network/dnsZones/read"),
        ("GET", ["txt"] | ["txt", _]) => Some("Microsoft.Network/dnsZones/TXT/read"),
        ("PUT", ["txt", _]) => Some("Microsoft.Network/dnsZones/TXT/write"),
        ("DELETE", ["txt", _]) => Some("Microsoft.Network/dnsZones/TXT/delete"),
        _ => None,
    }
}

fn no_such_type() -> Answer {
    refusal(404, "InvalidResourceType", "no such type")
}

/// The form in which paths are compared: the service tells no case.
fn lowered(path: &str) -> String {
    path.trim_matches('/').to_lowercase()
}
