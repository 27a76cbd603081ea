//! Amazon Route 53, API version 2013-04-01, as far as zones and TXT sets go.
//!
//! Stricter than the service: parameters and elements that are not documented are refused, the
//! order of elements matters, and one request may hold no more than the service says. Every
//! request must be signed. [`TokenService`] stands beside it for temporary keys.

mod change;
mod policy;
mod signature;
mod tokens;
mod xml;

pub use policy::Statement;
pub use signature::Key;
pub use tokens::{Metadata, TokenService};

use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock};
use change::{Change, changes, record};
use signature::Keys;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use xml::{escaped, tag};

const BASE: &str = "/2013-04-01";
const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
/// Sets, and zones, of a page.
const LARGEST_PAGE: usize = 300;

/// What another writer does just after a list: a zone's id, a name and the value it adds there.
type Meddling = (String, String, String);

/// A set with an identifier, as routing policies have them.
#[derive(Debug, Clone)]
struct Identified {
    zone: String,
    name: String,
    identifier: String,
    value: String,
}

/// The service.
#[derive(Debug, Default)]
pub struct Route53 {
    keys: Arc<Keys>,
    private: Mutex<BTreeSet<String>>,
    identified: Mutex<Vec<Identified>>,
    meddling: Mutex<Vec<Meddling>>,
    pending: Mutex<BTreeMap<String, bool>>,
    throttled: AtomicUsize,
    unfinished: AtomicUsize,
    second_form: AtomicBool,
}

impl Route53 {
    /// A service that knows no key yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A key with `policy`.
    #[must_use]
    pub fn key(&self, policy: &[Statement]) -> Key {
        self.keys.make(policy, false, false)
    }

    /// A temporary key with `policy`.
    #[must_use]
    pub fn temporary_key(&self, policy: &[Statement]) -> Key {
        self.keys.make(policy, true, false)
    }

    /// A temporary key whose time is over.
    #[must_use]
    pub fn expired_key(&self, policy: &[Statement]) -> Key {
        self.keys.make(policy, true, true)
    }

    /// A token service of the same account.
    #[must_use]
    pub fn token_service(&self) -> TokenService {
        TokenService::new(Arc::clone(&self.keys))
    }

    /// Makes the zone with this id private.
    pub fn make_private(&self, id: &str) {
        lock(&self.private).insert(id.to_owned());
    }

    /// Adds a TXT set with an identifier, as programs write that use routing policies.
    pub fn add_identified(&self, zone: &str, name: &str, identifier: &str, value: &str) {
        let [zone, name, identifier, value] = [zone, name, identifier, value].map(str::to_owned);
        lock(&self.identified).push(Identified { zone, name, identifier, value });
    }

    /// Another writer adds `value` at `name` just after the next list of the zone's sets; several
    /// stand in line.
    pub fn meddle(&self, zone: &str, name: &str, value: &str) {
        lock(&self.meddling).push((zone.to_owned(), name.to_owned(), value.to_owned()));
    }

    /// Refuses the next `requests` for rate, without a word on how long.
    pub fn throttle(&self, requests: usize) {
        self.throttled.store(requests, Ordering::SeqCst);
    }

    /// Refuses the next `changes` because one of the zone is under way.
    pub fn keep_unfinished(&self, changes: usize) {
        self.unfinished.store(changes, Ordering::SeqCst);
    }

    /// Refuses changes in the second form from now on, or in the first again.
    pub fn second_form(&self, on: bool) {
        self.second_form.store(on, Ordering::SeqCst);
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        if take(&self.throttled) {
            return Err(self.throttled());
        }
        let path = format!("{BASE}/{}", asked.segments.join("/"));
        let key =
            self.keys.verify(asked, &path, "route53").map_err(|(code, why)| refusal(403, code, &why))?;
        let may = |action: &str, zone: Option<&str>, changes: &[Change]| {
            let allowed = key.policy.iter().any(|statement| statement.allows(action, zone, changes));
            if allowed { Ok(()) } else { Err(denied(&key, action, zone)) }
        };
        match (asked.method.as_str(), &asked.path()[..]) {
            ("GET", ["hostedzonesbyname"]) => {
                may("ListHostedZonesByName", None, &[])?;
                no_body(asked)?;
                self.zones_by_name(asked, held)
            }
            ("GET", ["hostedzone"]) => {
                may("ListHostedZones", None, &[])?;
                no_body(asked)?;
                self.zones(asked, held)
            }
            ("GET", ["change", id]) => {
                may("GetChange", None, &[])?;
                no_body(asked)?;
                only(asked, &[])?;
                self.change(id)
            }
            ("GET", ["hostedzone", id, "rrset"]) => {
                may("ListResourceRecordSets", Some(id), &[])?;
                no_body(asked)?;
                let answer = self.sets(asked, held.zone_mut(id).ok_or_else(|| no_zone(id))?)?;
                self.let_others_meddle(id, held);
                Ok(answer)
            }
            ("POST", ["hostedzone", id, "rrset"] | ["hostedzone", id, "rrset", ""]) => {
                only(asked, &[])?;
                let changes = changes(asked)?;
                may("ChangeResourceRecordSets", Some(id), &changes)?;
                if take(&self.unfinished) {
                    let words =
                        "The request was rejected because Route 53 was still processing a prior request.";
                    return Err(refusal(400, "PriorRequestNotComplete", words));
                }
                let number = held.next_number();
                self.carry_out(held.zone_mut(id).ok_or_else(|| no_zone(id))?, changes, number)
            }
            _ => Err(refusal(404, "UnknownOperation", "no such path")),
        }
    }

    fn zone(&self, zone: &HeldZone) -> String {
        let private = lock(&self.private).contains(&zone.id).to_string();
        let parts = [
            tag("Id", &format!("/hostedzone/{}", zone.id)),
            tag("Name", &format!("{}.", zone.name)),
            tag("CallerReference", &zone.id),
            tag("Config", &tag("PrivateZone", &private)),
            tag("ResourceRecordSetCount", &(zone.records.len() + 2).to_string()),
        ];
        tag("HostedZone", &parts.concat())
    }

    fn zones_by_name(&self, asked: &Asked, held: &Held) -> Result<Answer, Answer> {
        only(asked, &["dnsname", "hostedzoneid", "maxitems"])?;
        let most = count(asked, 100)?;
        let name = asked.parameter("dnsname").unwrap_or_default();
        let first = (place(name), asked.parameter("hostedzoneid").unwrap_or_default().to_owned());
        let mut zones: Vec<_> =
            held.zones.iter().map(|zone| ((place(&zone.name), zone.id.clone()), zone)).collect();
        zones.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        zones.retain(|(place, _)| name.is_empty() || *place >= first);
        let shown: String = zones.iter().take(most).map(|(_, zone)| self.zone(zone)).collect();
        let mut parts = tag("HostedZones", &shown) + &tag("DNSName", &escaped(name));
        parts += &tag("IsTruncated", &(zones.len() > most).to_string());
        if let Some((_, next)) = zones.get(most) {
            parts += &tag("NextDNSName", &format!("{}.", next.name));
            parts += &tag("NextHostedZoneId", &next.id);
        }
        parts += &tag("MaxItems", &most.to_string());
        Ok(document(200, "ListHostedZonesByNameResponse", &parts))
    }

    fn zones(&self, asked: &Asked, held: &Held) -> Result<Answer, Answer> {
        only(asked, &["marker", "maxitems"])?;
        let most = count(asked, 100)?;
        let start = match asked.parameter("marker") {
            None => 0,
            Some(marker) => {
                let found = held.zones.iter().position(|zone| zone.id == marker);
                found.ok_or_else(|| refusal(400, "InvalidInput", "the marker is unknown"))?
            }
        };
        let shown: String = held.zones.iter().skip(start).take(most).map(|zone| self.zone(zone)).collect();
        let next = held.zones.get(start + most);
        let mut parts = tag("HostedZones", &shown) + &tag("IsTruncated", &next.is_some().to_string());
        if let Some(next) = next {
            parts += &tag("NextMarker", &next.id);
        }
        parts += &tag("MaxItems", &most.to_string());
        Ok(document(200, "ListHostedZonesResponse", &parts))
    }

    fn sets(&self, asked: &Asked, zone: &HeldZone) -> Result<Answer, Answer> {
        only(asked, &["name", "type", "identifier", "maxitems"])?;
        let most = count(asked, LARGEST_PAGE)?;
        let parameter = |name: &str| asked.parameter(name).unwrap_or_default();
        let (name, kind, identifier) = (parameter("name"), parameter("type"), parameter("identifier"));
        if name.is_empty() && !kind.is_empty() || kind.is_empty() && !identifier.is_empty() {
            return Err(refusal(400, "InvalidInput", "a type needs a name, and an identifier needs a type"));
        }
        let first = (place(name), kind.to_owned(), identifier.to_owned());
        let sets = self.all_sets(zone);
        let found: Vec<_> = sets.iter().filter(|(place, _)| name.is_empty() || **place >= first).collect();
        let shown: String = found.iter().take(most).map(|(_, set)| set.as_str()).collect();
        let mut parts = tag("ResourceRecordSets", &shown);
        parts += &tag("IsTruncated", &(found.len() > most).to_string());
        if let Some(((place, kind, identifier), _)) = found.get(most) {
            let labels: Vec<&str> = place.trim_end_matches('.').rsplit('.').collect();
            parts += &tag("NextRecordName", &octal(&labels.join(".")));
            parts += &tag("NextRecordType", kind);
            if !identifier.is_empty() {
                parts += &tag("NextRecordIdentifier", &escaped(identifier));
            }
        }
        parts += &tag("MaxItems", &most.to_string());
        Ok(document(200, "ListResourceRecordSetsResponse", &parts))
    }

    /// Every set in its form, in the service's order; the apex has two of the service's own.
    fn all_sets(&self, zone: &HeldZone) -> BTreeMap<(String, String, String), String> {
        let mut sets = BTreeMap::new();
        let mut add = |name: &str, kind: &str, identifier: &str, ttl: u32, values: &[&str]| {
            let records: String =
                values.iter().map(|value| tag("ResourceRecord", &tag("Value", &escaped(value)))).collect();
            let mut parts = tag("Name", &octal(name)) + &tag("Type", kind);
            if !identifier.is_empty() {
                parts += &tag("SetIdentifier", &escaped(identifier));
                parts += &tag("MultiValueAnswer", "true");
            }
            parts += &tag("TTL", &ttl.to_string());
            parts += &tag("ResourceRecords", &records);
            let at = (place(name), kind.to_owned(), identifier.to_owned());
            sets.insert(at, tag("ResourceRecordSet", &parts));
        };
        add(&zone.name, "NS", "", 172_800, &["ns-512.awsdns-00.net.", "ns-1024.awsdns-00.org."]);
        let soa = "ns-512.awsdns-00.net. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400";
        add(&zone.name, "SOA", "", 900, &[soa]);
        for record in &zone.records {
            let set = zone.set(&record.name, &record.kind);
            let values: Vec<&str> = set.iter().map(|record| record.form.as_str()).collect();
            add(&record.name, &record.kind, "", set[0].ttl, &values);
        }
        for one in lock(&self.identified).iter().filter(|one| one.zone == zone.id) {
            add(&one.name, "TXT", &one.identifier, 60, &[one.value.as_str()]);
        }
        sets
    }

    fn change(&self, id: &str) -> Result<Answer, Answer> {
        let mut pending = lock(&self.pending);
        let waits = pending.get_mut(id);
        let waits = waits
            .ok_or_else(|| refusal(404, "NoSuchChange", &format!("Could not find resource with ID: {id}")))?;
        // Seen once as pending, it is everywhere the next time.
        let status = if std::mem::take(waits) { "PENDING" } else { "INSYNC" };
        Ok(document(200, "GetChangeResponse", &info(id, status)))
    }

    fn let_others_meddle(&self, id: &str, held: &mut Held) {
        let mut meddling = lock(&self.meddling);
        if meddling.first().is_none_or(|(zone, ..)| zone != id) {
            return;
        }
        let (_, name, value) = meddling.remove(0);
        let zone = held.zone_mut(id).expect("its sets were just listed");
        let ttl = zone.set(&name, "TXT").first().map_or(300, |record| record.ttl);
        zone.records.push(record(&name, "TXT", ttl, &format!("\"{value}\"")).expect("it is quoted"));
    }

    fn carry_out(&self, zone: &mut HeldZone, changes: Vec<Change>, number: u64) -> Result<Answer, Answer> {
        let before = zone.clone();
        let complaints: Vec<String> =
            changes.into_iter().filter_map(|change| self.apply(zone, change).err()).collect();
        if !complaints.is_empty() {
            *zone = before;
            return Err(self.invalid(&complaints));
        }
        let id = format!("C{number:0>20}");
        lock(&self.pending).insert(id.clone(), true);
        Ok(document(200, "ChangeResourceRecordSetsResponse", &info(&id, "PENDING")))
    }

    fn apply(&self, zone: &mut HeldZone, change: Change) -> Result<(), String> {
        let Change { action, name, kind, ttl, values } = change;
        let shown = octal(&name);
        if !zone.contains(&name) {
            return Err(format!("RRSet with DNS name {shown} is not permitted in zone {}.", zone.name));
        }
        let set: Vec<HeldRecord> = zone.set(&name, &kind).into_iter().cloned().collect();
        let what = format!("resource record set [name='{shown}', type='{kind}']");
        match action.as_str() {
            "DELETE" if set.is_empty() => Err(format!("Tried to delete {what} but it was not found")),
            "DELETE" => {
                let present: BTreeSet<&str> = set.iter().map(|record| record.form.as_str()).collect();
                if set[0].ttl != ttl || present != values.iter().map(String::as_str).collect() {
                    return Err(format!(
                        "Tried to delete {what} but the values provided do not match the current values"
                    ));
                }
                zone.replace_set(&name, &kind, Vec::new());
                Ok(())
            }
            "CREATE" if !set.is_empty() => Err(format!("Tried to create {what} but it already exists")),
            _ => {
                let identified = lock(&self.identified);
                if identified.iter().any(|one| one.zone == zone.id && one.name == name && kind == "TXT") {
                    return Err(format!(
                        "RRSet with DNS name {shown}, type {kind} cannot be created as a set with a SetIdentifier \
                         exists with the same name and type"
                    ));
                }
                let other = |record: &&HeldRecord| {
                    record.name == name && record.kind != kind && (record.kind == "CNAME" || kind == "CNAME")
                };
                if let Some(other) = zone.records.iter().find(other) {
                    return Err(format!(
                        "RRSet of type {kind} with DNS name {shown} is not permitted because a conflicting RRSet of \
                         type {} with the same DNS name already exists in zone {}.",
                        other.kind, zone.name
                    ));
                }
                let records: Result<Vec<_>, _> =
                    values.iter().map(|value| record(&name, &kind, ttl, value)).collect();
                zone.replace_set(&name, &kind, records?);
                Ok(())
            }
        }
    }

    fn invalid(&self, complaints: &[String]) -> Answer {
        if !self.second_form.load(Ordering::SeqCst) {
            return refusal(400, "InvalidChangeBatch", &format!("[{}]", complaints.join(", ")));
        }
        let messages: String = complaints.iter().map(|words| tag("Message", &escaped(words))).collect();
        document(400, "InvalidChangeBatch", &(tag("Messages", &messages) + &tag("RequestId", REQUEST_ID)))
    }
}

impl Service for Route53 {
    fn base(&self) -> &'static str {
        BASE
    }

    fn identifier(&self, number: u64) -> String {
        format!("Z{number:0>20}")
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        self.route(asked, held).unwrap_or_else(|refusal| refusal)
    }

    fn throttled(&self) -> Answer {
        refusal(400, "Throttling", "Rate exceeded")
    }
}

/// Where a name stands in the service's order.
fn place(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name).to_lowercase();
    let labels: Vec<&str> = name.rsplit('.').collect();
    labels.join(".") + "."
}

/// A name as the service writes it: final dot, and octal numbers for what is no host's.
fn octal(name: &str) -> String {
    let mut shown = String::new();
    for octet in name.bytes() {
        if octet.is_ascii_alphanumeric() || b"-_.".contains(&octet) {
            shown.push(char::from(octet));
        } else {
            let _ = write!(shown, "\\{octet:03o}");
        }
    }
    shown + "."
}

fn take(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

const REQUEST_ID: &str = "b25f48e8-84fd-11e6-80d9-574e0c4664cb";

fn info(id: &str, status: &str) -> String {
    let parts = [
        tag("Id", &format!("/change/{id}")),
        tag("Status", status),
        tag("SubmittedAt", "2026-11-26T20:00:00.000Z"),
    ];
    tag("ChangeInfo", &parts.concat())
}

fn document(status: u16, root: &str, content: &str) -> Answer {
    let body = format!("<?xml version=\"1.0\"?>\n<{root} xmlns=\"{NAMESPACE}\">{content}</{root}>");
    Answer::text(status, "text/xml", body)
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let error = [tag("Type", "Sender"), tag("Code", code), tag("Message", &escaped(message))].concat();
    document(status, "ErrorResponse", &(tag("Error", &error) + &tag("RequestId", REQUEST_ID)))
}

fn denied(key: &Key, action: &str, zone: Option<&str>) -> Answer {
    let resource =
        zone.map(|id| format!(" on resource: arn:aws:route53:::hostedzone/{id}")).unwrap_or_default();
    let words = format!(
        "User: arn:aws:iam::123456789012:user/{} is not authorized to perform: route53:{action}{resource} because no \
         identity-based policy allows the route53:{action} action",
        key.id
    );
    refusal(403, "AccessDenied", &words)
}

fn no_zone(id: &str) -> Answer {
    refusal(404, "NoSuchHostedZone", &format!("No hosted zone found with ID: {id}"))
}

fn only(asked: &Asked, known: &[&str]) -> Result<(), Answer> {
    match asked.unknown_parameter(known) {
        None => Ok(()),
        Some(name) => Err(refusal(400, "InvalidInput", &format!("unknown parameter {name}"))),
    }
}

fn no_body(asked: &Asked) -> Result<(), Answer> {
    if asked.body.is_empty() { Ok(()) } else { Err(refusal(400, "InvalidInput", "a body")) }
}

/// `maxitems`: the service takes what is too much for the most there is.
fn count(asked: &Asked, most: usize) -> Result<usize, Answer> {
    match asked.parameter("maxitems").map(str::parse) {
        None => Ok(most),
        Some(Ok(number)) if number > 0 => Ok(most.min(number)),
        Some(_) => Err(refusal(400, "InvalidInput", "maxitems is no number")),
    }
}
