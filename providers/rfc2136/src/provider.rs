//! The plugin: the provider contract over DNS UPDATE.

use crate::api::{self, Learned, Session, Sight};
use crate::config::Config;
use crate::error::UpdateError;
use crate::scope::{self, Findings};
use async_trait::async_trait;
use dns01_provider::recipe::by_zone;
use dns01_provider::{
    Applied, Batch, DnsProvider, Fqdn, Limits, Listing, ProviderError, ScopeNeed, ScopeReport, Settings,
    SettingsError, TxtChange, TxtValue, Zone,
};
use futures_util::future::try_join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;
use hickory_proto::rr::{DNSClass, Name, Record};
use hickory_proto::serialize::binary::BinEncodable as _;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Changes that one call may hold. With names and values of usual length they fit one message.
const LARGEST_BATCH: usize = 400;
/// Octets of changes in one message; what is left of 65,535 holds header, zone, prerequisites
/// and signature.
const LARGEST_MESSAGE: usize = 60_000;
/// A server that took an add has this long to show it: none for a primary, some for a
/// secondary that forwards updates and gets the zone back by transfer.
const READ_BACK_PATIENCE: Duration = Duration::from_secs(5);
/// The first wait between two looks; it doubles up to [`LONGEST_READ_BACK_WAIT`].
const FIRST_READ_BACK_WAIT: Duration = Duration::from_millis(20);
const LONGEST_READ_BACK_WAIT: Duration = Duration::from_millis(500);

/// A server that takes DNS UPDATE.
#[derive(Clone, Debug)]
pub struct Rfc2136 {
    config: Config,
    learned: Arc<Learned>,
}

pub(crate) fn build(settings: Settings) -> Result<Arc<dyn DnsProvider>, SettingsError> {
    Ok(Arc::new(Rfc2136::new(Config::new(settings)?)))
}

impl Rfc2136 {
    /// A provider for the server that `config` names; nothing is sent yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, learned: Arc::default() }
    }

    /// Runs `work` for at most the configured time.
    async fn timed<T>(
        &self,
        zone: &Zone,
        work: impl Future<Output = Result<T, UpdateError>> + Send,
    ) -> Result<T, ProviderError> {
        let limit = self.config.timeout;
        let result = tokio::time::timeout(limit, work).await.unwrap_or(Err(UpdateError::Timeout(limit)));
        result.map_err(|error| error.into_provider_error(&self.config.server, zone.name.as_str()))
    }

    async fn carry_out(&self, zone: &Zone, changes: &[TxtChange]) -> Result<(), UpdateError> {
        let apex = wire_name(zone.name.apex());
        let mut session = Session::open(&self.config, &self.learned).await?;
        let places = added_names(changes);
        let before = session.look(&apex, &places).await?;
        let plan = Plan::new(apex, changes, places, before)?;
        for (index, message) in plan.messages.iter().enumerate() {
            if let Err(error) = session.update(message.clone()).await {
                plan.undo(&mut session, index).await;
                return Err(plan.explain(error, &mut session).await);
            }
        }
        plan.read_back(&mut session).await
    }
}

#[async_trait]
impl DnsProvider for Rfc2136 {
    fn limits(&self) -> Limits {
        let mut limits = Limits::new(Batch::Zone(LARGEST_BATCH));
        // A little longer than our own limit, whose error names the server.
        limits.call_timeout = self.config.timeout + Duration::from_secs(1);
        limits.smallest_ttl = 0;
        limits.atomic = true;
        limits
    }

    async fn apply(&self, zone: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        if !changes.is_empty() {
            self.timed(zone, self.carry_out(zone, changes)).await?;
        }
        Ok(Applied::default())
    }

    async fn values(&self, zone: &Zone, name: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        let place = wire_name(name);
        let look = async {
            let mut session = Session::open(&self.config, &self.learned).await?;
            let sight = session.look(&wire_name(zone.name.apex()), std::slice::from_ref(&place)).await?.pop();
            match sight {
                Some(Sight::Values { values, .. }) => Ok(values),
                Some(Sight::Cut(cut)) => Err(cut_away(&place, &cut)),
                Some(Sight::Unknown(code)) => Err(UpdateError::Response(code)),
                Some(Sight::Alias { .. } | Sight::Redirected { .. }) | None => Ok(Vec::new()),
            }
        };
        let values = self.timed(zone, look).await?;
        // Somebody else's value may be no printable text, and is then none that we could hold.
        let texts = values.into_iter().filter_map(|value| String::from_utf8(value).ok());
        Ok(Listing::Listed(texts.filter_map(|text| TxtValue::parse(&text).ok()).collect()))
    }

    fn reading_proves_credential(&self) -> bool {
        self.learned.knows_key()
    }

    /// Found by updates that change nothing; zone by zone, each over a connection of its own.
    async fn audit_scope(&self, needs: &[ScopeNeed]) -> Result<ScopeReport, ProviderError> {
        if needs.is_empty() {
            let reason = "nothing is needed of it, and the server cannot be asked for its zones".to_owned();
            return Ok(ScopeReport::CannotTell { reason });
        }
        let zones = by_zone(needs).into_values().map(|needs| async move {
            let zone = &needs[0].zone;
            let names: Vec<Name> = needs.iter().map(|need| wire_name(&need.name)).collect();
            let probing = async {
                let mut session = Session::open(&self.config, &self.learned).await?;
                scope::probe(&mut session, &wire_name(zone.name.apex()), &names).await
            };
            self.timed(zone, probing).await
        });
        let findings: Vec<Findings> = try_join_all(zones).await?;
        Ok(scope::report(findings, self.config.tsig.is_some()))
    }
}

/// What one `apply` sends, made from the changes and what stood there before.
struct Plan {
    apex: Name,
    /// UPDATE messages: one, unless names and values are very long.
    messages: Vec<Message>,
    /// Adds by message, for [`Plan::undo`], and for reading back.
    added: Vec<Vec<(Name, TxtValue)>>,
    /// Values that were there before, which `undo` must leave alone.
    present: Vec<(Name, Vec<u8>)>,
    /// Names that answered with an alias, which may be a wildcard's.
    aliases: Vec<(Name, Name)>,
}

impl Plan {
    /// Refuses what the server would accept and hide: names beyond a zone cut or a DNAME.
    fn new(
        apex: Name,
        changes: &[TxtChange],
        places: Vec<Name>,
        before: Vec<Sight>,
    ) -> Result<Self, UpdateError> {
        let mut plan =
            Self { apex, messages: Vec::new(), added: Vec::new(), present: Vec::new(), aliases: Vec::new() };
        let mut ttls = BTreeMap::new();
        for (name, sight) in places.into_iter().zip(before) {
            match sight {
                Sight::Values { ttl, values } => {
                    ttls.extend(ttl.map(|ttl| (name.clone(), ttl)));
                    plan.present.extend(values.into_iter().map(|value| (name.clone(), value)));
                }
                Sight::Alias { target } => plan.aliases.push((name, target)),
                Sight::Cut(cut) => return Err(cut_away(&name, &cut)),
                Sight::Redirected { owner, target } => return Err(redirected(&name, &owner, &target)),
                Sight::Unknown(code) => not_shown(&name, code),
            }
        }
        plan.fill(changes, &ttls);
        Ok(plan)
    }

    /// Puts the changes into as few messages as hold them, in their order.
    fn fill(&mut self, changes: &[TxtChange], ttls: &BTreeMap<Name, u32>) {
        let mut room = 0;
        for change in changes {
            let name = wire_name(change.name());
            let strings = change.value().character_strings().collect();
            let record = match change {
                TxtChange::Add { ttl, .. } => {
                    let ttl = ttls.get(&name).copied().unwrap_or(*ttl);
                    api::change_record(&name, strings, DNSClass::IN, ttl)
                }
                TxtChange::Remove { .. } => api::change_record(&name, strings, DNSClass::NONE, 0),
            };
            let size = size_of_record(&record);
            if size > room || self.messages.is_empty() {
                self.messages.push(api::empty_update(&self.apex));
                self.added.push(Vec::new());
                room = LARGEST_MESSAGE;
            }
            room = room.saturating_sub(size);
            let message = self.messages.last_mut().expect("one was just made");
            if let (TxtChange::Add { value, .. }, Some(added)) = (change, self.added.last_mut()) {
                if self.aliases.iter().any(|(alias, _)| *alias == name) {
                    // The prerequisites are the answer section (RFC 2136 §2).
                    message.add_answer(api::no_alias_at(&name));
                }
                added.push((name, value.clone()));
            }
            // The changes are the authority section.
            message.add_authority(record);
        }
    }

    /// Looks until every added value is there. What stays hidden is taken away again, since a
    /// failed batch has done nothing.
    async fn read_back(&self, session: &mut Session) -> Result<(), UpdateError> {
        let deadline = Instant::now() + READ_BACK_PATIENCE;
        let mut wait = FIRST_READ_BACK_WAIT;
        let mut missing: Vec<(Name, TxtValue)> = self.added.concat();
        loop {
            let mut places: Vec<Name> = missing.iter().map(|(name, _)| name.clone()).collect();
            places.dedup();
            let sights = session.look(&self.apex, &places).await?;
            let sights: BTreeMap<Name, Sight> = places.into_iter().zip(sights).collect();
            let hidden = sights.iter().find_map(|(name, sight)| hidden(name, sight));
            if let Some(error) = hidden {
                self.undo(session, self.messages.len()).await;
                return Err(error);
            }
            missing.retain(|(name, value)| !shows(&sights[name], value));
            let Some((name, _)) = missing.first() else { return Ok(()) };
            if Instant::now() + wait >= deadline {
                return Err(UpdateError::Invisible(name.into()));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_READ_BACK_WAIT);
        }
    }

    /// Takes back what the first `messages` messages added and was not there before. A failure
    /// here leaves the first error standing: the caller's ledger still knows the values.
    async fn undo(&self, session: &mut Session, messages: usize) {
        for added in &self.added[..messages] {
            let mut message = api::empty_update(&self.apex);
            for (name, value) in added {
                let was_there =
                    |(place, text): &(Name, Vec<u8>)| place == name && text == value.as_str().as_bytes();
                if !self.present.iter().any(was_there) {
                    let strings = value.character_strings().collect();
                    message.add_authority(api::change_record(name, strings, DNSClass::NONE, 0));
                }
            }
            if message.authorities.is_empty() {
                continue;
            }
            if let Err(error) = session.update(message).await {
                tracing::warn!(%error, zone = %self.apex, "values of a failed batch could not be taken back");
            }
        }
    }

    /// Says what the server meant, where its answer alone does not.
    async fn explain(&self, error: UpdateError, session: &mut Session) -> UpdateError {
        match (&error, self.aliases.first()) {
            // One of the aliases seen before is real and not a wildcard's.
            (UpdateError::Response(ResponseCode::YXRRSet), Some((name, target))) => {
                UpdateError::Alias { name: name.into(), target: target.into() }
            }
            // Knot answers BADKEY also when it knows the key and forbids the change. Then it
            // takes an update that changes nothing.
            (UpdateError::Tsig { error: TsigError::BadKey, .. }, _) => {
                match session.update(api::empty_update(&self.apex)).await {
                    Ok(()) => UpdateError::Response(ResponseCode::Refused),
                    Err(_) => error,
                }
            }
            _ => error,
        }
    }
}

fn shows(sight: &Sight, value: &TxtValue) -> bool {
    match sight {
        Sight::Values { values, .. } => values.iter().any(|present| present == value.as_str().as_bytes()),
        // A server that takes updates and refuses questions cannot be read back.
        Sight::Unknown(_) => true,
        Sight::Alias { .. } | Sight::Redirected { .. } | Sight::Cut(_) => false,
    }
}

/// Why what was added at `name` will never be seen.
fn hidden(name: &Name, sight: &Sight) -> Option<UpdateError> {
    match sight {
        Sight::Alias { target } => Some(UpdateError::Alias { name: name.into(), target: target.into() }),
        Sight::Redirected { owner, target } => Some(redirected(name, owner, target)),
        Sight::Cut(cut) => Some(cut_away(name, cut)),
        Sight::Values { .. } | Sight::Unknown(_) => None,
    }
}

fn cut_away(name: &Name, cut: &Name) -> UpdateError {
    UpdateError::ZoneCut { name: name.into(), cut: cut.into() }
}

fn redirected(name: &Name, owner: &Name, target: &Name) -> UpdateError {
    UpdateError::Redirected { name: name.into(), owner: owner.into(), target: target.into() }
}

fn not_shown(name: &Name, code: ResponseCode) {
    tracing::warn!(%name, %code, "the server does not answer questions: TTLs are not kept and adds not read back");
}

/// The distinct names that something is added at.
fn added_names(changes: &[TxtChange]) -> Vec<Name> {
    let adds = changes.iter().filter(|change| matches!(change, TxtChange::Add { .. }));
    let mut names: Vec<&Fqdn> = adds.map(TxtChange::name).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(wire_name).collect()
}

fn wire_name(name: &Fqdn) -> Name {
    Name::from_ascii(name.absolute()).expect("an `Fqdn` is a domain name of letters, digits, `-` and `_`")
}

/// Octets of `record` without name compression, which is the most it can take.
fn size_of_record(record: &Record) -> usize {
    record.to_bytes().map_or(LARGEST_MESSAGE, |bytes| bytes.len())
}

#[cfg(test)]
mod tests;
