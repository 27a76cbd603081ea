//! The plugin: the provider contract over Cloudflare's API.

use crate::api::{Api, BatchChanges, Deletion, ListedRecord, ListedZone, Place, unquoted};
use crate::config::{Authorization, Config};
use crate::error::Failure;
use crate::scope;
use async_trait::async_trait;
use cloudflare::endpoints::dns::dns::{CreateDnsRecordParams, DnsContent};
use dns01_provider::recipe::by_zone;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ProviderErrorKind, Rate, ScopeNeed,
    ScopeReport, Settings, SettingsError, TxtChange, TxtValue, Zone, ZoneIds, ZoneName,
};
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Records in one batch: the limit of the smallest plan, since the plan cannot be seen.
const LARGEST_BATCH: usize = 200;
/// 1,200 requests in 5 minutes are allowed to everything that one user runs, and a call is a
/// look and a change; the rest is left to the others.
const RATE: Rate = Rate::new(500, Duration::from_secs(300));
/// The TTLs that every plan takes, in seconds.
const TTLS: (u32, u32) = (60, 86_400);
/// Zones that an audit looks at together.
const ZONES_AT_ONCE: usize = 4;
/// How often a change is made anew because somebody else changed the same records meanwhile.
const ATTEMPTS: usize = 3;

/// Cloudflare DNS with one credential.
#[derive(Debug)]
pub struct Cloudflare {
    api: Api,
    ids: ZoneIds,
    /// The Global API Key is used.
    global: bool,
    /// Zones are looked up with another token.
    looks_up_apart: bool,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Cloudflare::new(&Config::new(settings)?)))
}

impl Cloudflare {
    /// A provider with the credential of `config`; nothing is sent yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            api: Api::new(config),
            ids: ZoneIds::default(),
            global: matches!(config.authorization, Authorization::GlobalKey { .. }),
            looks_up_apart: config.zone_token.is_some(),
        }
    }

    /// What can be done to each needed zone, or why it cannot be found.
    async fn needed_zones(&self, needs: &[ScopeNeed]) -> Result<Vec<scope::Zone>, ProviderError> {
        let mut looks = Vec::new();
        for needs in by_zone(needs).into_values() {
            looks.push(self.needed_zone(needs[0]));
        }
        iter(looks).buffered(ZONES_AT_ONCE).try_collect().await
    }

    async fn needed_zone(&self, need: &ScopeNeed) -> Result<scope::Zone, ProviderError> {
        let id = self.ids.of(&need.zone, || self.look_up(&need.zone)).await;
        scope::Zone::look(&self.api, &need.zone, &need.name, id).await
    }

    /// The id of the zone as the service lists it.
    async fn look_up(&self, zone: &Zone) -> Result<String, ProviderError> {
        let listed = self.api.zones(Some(&zone.name)).await?;
        let mut fitting =
            listed.into_iter().filter(|one| ZoneName::parse(&one.name).as_ref() == Ok(&zone.name));
        // Several accounts may have a zone of this name; at most one of them is served.
        let first = fitting.next();
        let found = match first {
            Some(one) if one.status != "active" => {
                fitting.find(|other| other.status == "active").or(Some(one))
            }
            first => first,
        };
        let Some(found) = found else {
            let message = format!("the credential sees no zone `{}`", zone.name);
            return Err(ProviderError::new(ProviderErrorKind::NotFound, message).with_hint(
                "let the token read the zone (`Zone / Zone / Read`), or configure the zone with its id",
            ));
        };
        Ok(found.id)
    }
}

#[async_trait]
impl DnsProvider for Cloudflare {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(LARGEST_BATCH));
        limits.rates = vec![RATE];
        limits.smallest_ttl = TTLS.0;
        limits.atomic = true;
        limits
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if changes.is_empty() {
            return Ok(Applied::default());
        }
        let id = self.ids.of(zone, || self.look_up(zone)).await?;
        let place = place_of(changes);
        let mut attempt = 1;
        loop {
            let present = self.api.records(&id, &place).await?;
            let batch = plan(changes, &present);
            if batch.deletes.is_empty() && batch.posts.is_empty() {
                return Ok(Applied::default());
            }
            match self.api.change(&id, &batch).await {
                Ok(()) => return Ok(Applied::default()),
                // Done already. In a batch it undid the rest, which is made anew.
                Err(Failure::Present(_) | Failure::Gone(_)) if changes.len() == 1 => {
                    return Ok(Applied::default());
                }
                Err(Failure::Present(error) | Failure::Gone(error)) if attempt < ATTEMPTS => {
                    tracing::debug!(%error, zone = %zone.name, "somebody else changed the same records");
                    attempt += 1;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let id = self.ids.of(zone, || self.look_up(zone)).await?;
        let records = self.api.records(&id, &Place::At(name.clone())).await?;
        // Somebody else's value may be no printable text, and is then none that we could hold.
        let texts = records.iter().filter_map(|record| TxtValue::parse(&unquoted(&record.content)).ok());
        Ok(Listing::Listed(texts.collect()))
    }

    async fn zones(&self) -> Result<Listing<Zone>, ProviderError> {
        let zone = |one: ListedZone| Some(Zone { name: ZoneName::parse(&one.name).ok()?, id: Some(one.id) });
        let listed = self.api.zones(None).await;
        Listing::if_permitted(listed.map(|all| all.into_iter().filter_map(zone).collect()))
    }

    /// Found by looking, and by the removal of records that do not exist.
    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        let zones = self.needed_zones(needs).await?;
        let mut audit = scope::Audit::of(&self.api, zones)?;
        if self.global {
            audit.global_key().await?;
        } else {
            audit.token().await?;
        }
        if self.looks_up_apart {
            audit.look_up_token().await?;
        }
        Ok(audit.report())
    }
}

/// The narrowest question that shows all records at the names of `changes` in one list.
fn place_of(changes: &[TxtChange]) -> Place {
    let first = changes[0].name();
    if changes.iter().all(|change| change.name() == first) {
        return Place::At(first.clone());
    }
    let label = |name: &Fqdn| name.labels().next().map(str::to_owned);
    match label(first) {
        Some(text) if changes.iter().all(|change| label(change.name()).as_deref() == Some(&text)) => {
            Place::Beginning(format!("{text}."))
        }
        _ => Place::Anywhere,
    }
}

/// What is still to be done, given the records that are there.
fn plan<'a>(changes: &'a [TxtChange], present: &[ListedRecord]) -> BatchChanges<'a> {
    let mut standing: BTreeMap<String, Vec<(String, &ListedRecord)>> = BTreeMap::new();
    for record in present {
        let name = record.name.to_ascii_lowercase();
        standing.entry(name).or_default().push((unquoted(&record.content), record));
    }
    // The service deletes before it adds, whatever the order: the last word on a value counts.
    let last: BTreeMap<(&Fqdn, &TxtValue), &TxtChange> =
        changes.iter().map(|change| ((change.name(), change.value()), change)).collect();
    let mut batch = BatchChanges::default();
    for ((name, value), change) in last {
        let there = standing.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        let mut same = there.iter().filter(|(text, _)| text == value.as_str()).peekable();
        match change {
            TxtChange::Add { ttl, .. } if same.peek().is_none() => {
                let kept = there.first().map(|(_, record)| record.ttl);
                batch.posts.push(CreateDnsRecordParams {
                    ttl: Some(kept.unwrap_or((*ttl).clamp(TTLS.0, TTLS.1))),
                    priority: None,
                    proxied: None,
                    name: name.as_str(),
                    content: DnsContent::TXT { content: value.presentation() },
                });
            }
            TxtChange::Add { .. } => {}
            TxtChange::Remove { .. } => {
                batch.deletes.extend(same.map(|(_, record)| Deletion { id: record.id.clone() }));
            }
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).unwrap()
    }

    fn add(at: &str, value: &str, ttl: u32) -> TxtChange {
        TxtChange::Add { name: name(at), value: TxtValue::parse(value).unwrap(), ttl }
    }

    fn remove(at: &str, value: &str) -> TxtChange {
        TxtChange::Remove { name: name(at), value: TxtValue::parse(value).unwrap() }
    }

    fn record(id: &str, at: &str, content: &str) -> ListedRecord {
        ListedRecord { id: id.to_owned(), name: at.to_owned(), content: content.to_owned(), ttl: 3607 }
    }

    fn planned(changes: &[TxtChange], present: &[ListedRecord]) -> serde_json::Value {
        serde_json::to_value(plan(changes, present)).unwrap()
    }

    #[test]
    fn an_add_beside_others_takes_their_ttl_and_one_of_its_own_the_smallest_allowed() {
        let batch = planned(&[add("a.test", "v", 30), add("b.test", "v", 30)], &[record("r", "A.test", "w")]);
        let posts = serde_json::json!([
            { "type": "TXT", "name": "a.test", "content": "\"v\"", "ttl": 3607 },
            { "type": "TXT", "name": "b.test", "content": "\"v\"", "ttl": 60 },
        ]);
        assert_eq!(batch, serde_json::json!({ "deletes": [], "posts": posts }));
    }

    #[test]
    fn what_is_done_already_is_not_asked_for_again() {
        let present = [record("r1", "a.test", "v"), record("r2", "a.test", "\"w\"")];
        let nothing = serde_json::json!({ "deletes": [], "posts": [] });
        let done = [add("a.test", "v", 60), add("a.test", "w", 60), remove("a.test", "x")];
        assert_eq!(planned(&done, &present), nothing);
    }

    #[test]
    fn a_removal_takes_its_own_value_however_it_is_written_and_the_last_word_counts() {
        let present =
            [record("r1", "a.test", "v"), record("r2", "a.test", "\"v\""), record("r3", "a.test", "w")];
        let changes =
            [add("a.test", "v", 60), remove("a.test", "v"), remove("a.test", "w"), add("a.test", "w", 60)];
        let deletes = serde_json::json!([{ "id": "r1" }, { "id": "r2" }]);
        assert_eq!(planned(&changes, &present), serde_json::json!({ "deletes": deletes, "posts": [] }));
    }

    #[test]
    fn one_list_shows_what_a_batch_needs() {
        let challenge = |host: &str| add(&format!("_acme-challenge.{host}"), "v", 60);
        assert_eq!(
            place_of(&[challenge("a.test"), challenge("a.test")]),
            Place::At(name("_acme-challenge.a.test"))
        );
        let many = [challenge("a.test"), challenge("b.a.test")];
        assert_eq!(place_of(&many), Place::Beginning("_acme-challenge.".to_owned()));
        assert_eq!(place_of(&[challenge("a.test"), add("x.a.test", "v", 60)]), Place::Anywhere);
    }
}
