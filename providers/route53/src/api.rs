//! The API, as far as it is used: zones, pages of sets, and batches of changes.

use crate::config::Config;
use crate::credentials;
use crate::error::{Failure, failure};
use aws_sdk_route53::Client;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ChangeStatus, HostedZone, ResourceRecord, ResourceRecordSet, RrType,
};
use dns01_provider::{
    Fqdn, Pace, ProviderError, ProviderErrorKind, Published, Rate, Receipt, Rrset, TxtValue, Zone, ZoneName,
};
use std::collections::BTreeMap;
use tokio::sync::OnceCell;

/// Sets of one page: the most that the service gives.
const PAGE: i32 = 300;
/// Zones that one look-up by name shows: those of one name stand together.
const ZONES: i32 = 100;
/// Pages that are read at most of a list of zones.
const MOST_PAGES: usize = 100;
/// ResourceRecord elements in one change.
const MOST_RECORDS: usize = 1000;
/// Characters of all Value elements in one change.
const MOST_CHARACTERS: usize = 32_000;
/// The service lets 10 requests a second pass in the long run, and 50 at once, for everything
/// that the account runs; a fifth is left to the others.
const RATE: Rate = Rate::new(40, std::time::Duration::from_secs(5));

/// The service with one credential.
#[derive(Debug)]
pub(crate) struct Api {
    config: Config,
    client: OnceCell<Client>,
    pace: Pace,
}

/// What stands at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// One set, as everybody writes them.
    Plain(Rrset),
    /// Sets with identifiers, or an alias: nothing can be added beside it. These values are
    /// served.
    Special(Vec<String>),
}

/// One set in place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replacement<'a> {
    pub(crate) name: &'a Fqdn,
    /// What must stand there now, exactly.
    pub(crate) old: Option<Rrset>,
    /// What stands there then; nothing if it has no records.
    pub(crate) new: Rrset,
}

impl Api {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, client: OnceCell::new(), pace: Pace::new(&[RATE]) }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The client, when one more request may be sent.
    async fn turn(&self) -> &Client {
        self.pace.turn().await;
        self.client.get_or_init(|| credentials::client(&self.config)).await
    }

    /// The public zones called `name`.
    pub(crate) async fn zones_named(&self, name: &ZoneName) -> Result<Vec<Zone>, ProviderError> {
        let call = self.turn().await.list_hosted_zones_by_name().dns_name(name.as_str()).max_items(ZONES);
        let reply = call.send().await.map_err(|error| failure("ListHostedZonesByName", &error))?;
        let zones = reply.hosted_zones.iter().filter_map(public);
        Ok(zones.filter(|zone| zone.name == *name).collect())
    }

    /// All public zones of the account.
    pub(crate) async fn zones(&self) -> Result<Vec<Zone>, ProviderError> {
        let (mut found, mut marker) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = self.turn().await.list_hosted_zones().set_marker(marker);
            let reply = call.send().await.map_err(|error| failure("ListHostedZones", &error))?;
            found.extend(reply.hosted_zones.iter().filter_map(public));
            marker = reply.next_marker.filter(|_| reply.is_truncated);
            if marker.is_none() {
                return Ok(found);
            }
        }
        let message = format!("the list of zones has more than {MOST_PAGES} pages");
        Err(ProviderError::new(ProviderErrorKind::Invalid, message))
    }

    /// What stands at each of `names` in the zone `id`, in as few pages as show them all: the
    /// next page begins at the first name that none has shown.
    pub(crate) async fn standing(
        &self,
        id: &str,
        names: impl IntoIterator<Item = &Fqdn>,
    ) -> Result<BTreeMap<Fqdn, Standing>, ProviderError> {
        let mut wanted: Vec<(String, &Fqdn)> =
            names.into_iter().map(|name| (place(name.as_str()), name)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (mut found, mut shown) = (BTreeMap::new(), 0);
        while let Some((_, first)) = wanted.get(shown) {
            let most = if wanted.len() - shown == 1 { 1 } else { PAGE };
            let page = self.page(id, first, most).await?;
            for set in page.sets.iter().filter(|set| set.r#type == RrType::Txt) {
                let at = place(&set.name);
                if let Ok(index) = wanted.binary_search_by(|(place, _)| place.cmp(&at)) {
                    add(&mut found, wanted[index].1, set);
                }
            }
            let until =
                page.next.map_or(wanted.len(), |next| wanted.partition_point(|(place, _)| *place < next));
            shown = until.max(shown + 1);
        }
        Ok(found)
    }

    /// All values at `name` in the zone `id`.
    pub(crate) async fn values(&self, id: &str, name: &Fqdn) -> Result<Vec<TxtValue>, ProviderError> {
        // More than one set is shown: there may be several with identifiers.
        let page = self.page(id, name, 20).await?;
        let here = place(name.as_str());
        let sets = page.sets.iter().filter(|set| set.r#type == RrType::Txt && place(&set.name) == here);
        Ok(sets.flat_map(values).filter_map(|text| TxtValue::from_presentation(text)).collect())
    }

    async fn page(&self, id: &str, first: &Fqdn, most: i32) -> Result<Page, ProviderError> {
        let call = self
            .turn()
            .await
            .list_resource_record_sets()
            .hosted_zone_id(id)
            .start_record_name(first.absolute())
            .start_record_type(RrType::Txt)
            .max_items(most);
        let reply = call.send().await.map_err(|error| failure("ListResourceRecordSets", &error))?;
        let next = reply.next_record_name.filter(|_| reply.is_truncated).map(|name| place(&name));
        Ok(Page { sets: reply.resource_record_sets, next })
    }

    /// Carries all of `replacements` out in the zone `id`, or none.
    pub(crate) async fn change(
        &self,
        id: &str,
        replacements: &[Replacement<'_>],
    ) -> Result<Receipt, Failure> {
        fits(replacements).map_err(Failure::Other)?;
        let mut changes = Vec::new();
        for one in replacements {
            if let Some(old) = &one.old {
                changes.push(change(ChangeAction::Delete, one.name, RrType::Txt, old));
            }
            if !one.new.records.is_empty() {
                changes.push(change(ChangeAction::Create, one.name, RrType::Txt, &one.new));
            }
        }
        self.send(id, changes).await
    }

    /// Sends `changes` as they are.
    pub(crate) async fn send(
        &self,
        id: &str,
        changes: Vec<Result<Change, BuildError>>,
    ) -> Result<Receipt, Failure> {
        let unbuilt = |error: BuildError| {
            Failure::Other(
                ProviderError::new(ProviderErrorKind::Invalid, "the change has no form").with_source(error),
            )
        };
        let changes = changes.into_iter().collect::<Result<Vec<_>, _>>().map_err(unbuilt)?;
        let batch = ChangeBatch::builder().set_changes(Some(changes)).build().map_err(unbuilt)?;
        let call = self.turn().await.change_resource_record_sets().hosted_zone_id(id).change_batch(batch);
        let reply = call.send().await.map_err(|error| failure("ChangeResourceRecordSets", &error))?;
        let id = reply.change_info.map(|info| info.id).unwrap_or_default();
        Ok(Receipt(id.trim_start_matches("/change/").to_owned()))
    }

    /// Whether all servers of the service have what `receipt` stands for.
    pub(crate) async fn status(&self, receipt: &Receipt) -> Result<Published, ProviderError> {
        let call = self.turn().await.get_change().id(&receipt.0);
        let reply = call.send().await.map_err(|error| failure("GetChange", &error))?;
        Ok(match reply.change_info.map(|info| info.status) {
            Some(ChangeStatus::Insync) => Published::Yes,
            Some(ChangeStatus::Pending) => Published::NotYet,
            _ => Published::NotAvailable,
        })
    }
}

/// Some sets, and the place at which the list goes on.
struct Page {
    sets: Vec<ResourceRecordSet>,
    next: Option<String>,
}

/// Where `name` stands in the service's order: by its labels from the last to the first, as one
/// text with a dot behind each.
fn place(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name.rsplit('.').fold(String::with_capacity(name.len() + 1), |place, label| place + label + ".")
}

/// Only public zones can prove anything.
fn public(zone: &HostedZone) -> Option<Zone> {
    if zone.config.as_ref().is_some_and(|config| config.private_zone) {
        return None;
    }
    // A name that is no host's (an RFC 2317 zone with `/`) can hold no challenge.
    let name = ZoneName::parse(&zone.name).ok()?;
    Some(Zone { name, id: Some(zone.id.trim_start_matches("/hostedzone/").to_owned()) })
}

fn values(set: &ResourceRecordSet) -> impl Iterator<Item = &String> {
    set.resource_records.iter().flatten().map(|record| &record.value)
}

fn add(found: &mut BTreeMap<Fqdn, Standing>, name: &Fqdn, set: &ResourceRecordSet) {
    let records: Vec<String> = values(set).cloned().collect();
    let ttl = set.ttl.and_then(|ttl| u32::try_from(ttl).ok());
    let bound = set.set_identifier.is_some() || set.health_check_id.is_some() || set.alias_target.is_some();
    let standing = match (found.remove(name), ttl) {
        (None, Some(ttl)) if !bound => Standing::Plain(Rrset { ttl, records }),
        (Some(Standing::Special(before)), _) => Standing::Special([before, records].concat()),
        (Some(Standing::Plain(before)), _) => Standing::Special([before.records, records].concat()),
        (None, _) => Standing::Special(records),
    };
    found.insert(name.clone(), standing);
}

/// One change in the service's form.
pub(crate) fn change(
    action: ChangeAction,
    name: &Fqdn,
    kind: RrType,
    set: &Rrset,
) -> Result<Change, BuildError> {
    let records: Result<Vec<_>, _> =
        set.records.iter().map(|value| ResourceRecord::builder().value(value).build()).collect();
    let set = ResourceRecordSet::builder()
        .name(name.absolute())
        .r#type(kind)
        .ttl(i64::from(set.ttl))
        .set_resource_records(Some(records?))
        .build()?;
    Change::builder().action(action).resource_record_set(set).build()
}

/// What is too large for one request is refused before it is sent, so that nothing is done by
/// halves; the caller halves it.
fn fits(replacements: &[Replacement<'_>]) -> Result<(), ProviderError> {
    let sets = || replacements.iter().flat_map(|one| one.old.iter().chain([&one.new]));
    let records = sets().map(|set| set.records.len()).sum::<usize>();
    let characters = sets().flat_map(|set| &set.records).map(|value| value.chars().count()).sum::<usize>();
    if records <= MOST_RECORDS && characters <= MOST_CHARACTERS {
        return Ok(());
    }
    let message = format!(
        "the change has {records} records of {characters} characters, and {MOST_RECORDS} of {MOST_CHARACTERS} are \
         allowed in one request"
    );
    Err(ProviderError::new(ProviderErrorKind::Invalid, message)
        .with_hint("look how many values stand at the name: each change names all of them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, identifier: Option<&str>, value: &str) -> ResourceRecordSet {
        let record = ResourceRecord::builder().value(value).build().unwrap();
        let set =
            ResourceRecordSet::builder().name(name).r#type(RrType::Txt).ttl(60).resource_records(record);
        set.set_set_identifier(identifier.map(str::to_owned)).build().unwrap()
    }

    #[test]
    fn names_stand_in_the_order_of_the_service() {
        // `-` comes before the dot, so that `a-b` and all below it come before `a`.
        let sorted = ["test.", "a-b.test", "x.a-b.test.", "A.test", "_x.a.test", "b.a.test", "a0.test"];
        assert!(sorted.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{:?}", sorted.map(place));
        assert_eq!(place("_acme-challenge.Example.com."), place("_acme-challenge.example.com"));
    }

    #[test]
    fn sets_with_identifiers_are_told_from_plain_ones() {
        let name = Fqdn::parse("_acme-challenge.a.test").unwrap();
        let standing = |sets: &[ResourceRecordSet]| {
            let mut found = BTreeMap::new();
            sets.iter().for_each(|set| add(&mut found, &name, set));
            found.remove(&name).unwrap()
        };
        let text = name.absolute();
        let plain = Rrset { ttl: 60, records: vec!["\"v\"".to_owned()] };
        assert_eq!(standing(&[set(&text, None, "\"v\"")]), Standing::Plain(plain));
        let both = [set(&text, Some("1"), "\"v\""), set(&text, Some("2"), "\"w\"")];
        assert_eq!(standing(&both), Standing::Special(vec!["\"v\"".to_owned(), "\"w\"".to_owned()]));
    }

    #[test]
    fn what_no_request_can_carry_is_refused_before_it_is_sent() {
        let name = Fqdn::parse("_acme-challenge.a.test").unwrap();
        let change = |values: usize, length: usize| {
            let records = vec!["x".repeat(length); values];
            fits(&[Replacement { name: &name, old: None, new: Rrset { ttl: 60, records } }])
        };
        assert!(change(1000, 32).is_ok());
        assert!(change(1001, 1).is_err());
        assert!(!change(100, 321).unwrap_err().is_retryable());
    }
}
