//! `[dns.*]`: named credentials and the zones they are for.

use super::check::{Check, TextOr, secret_written_out, unknown_key};
use super::file::{KeyPath, Part};
use super::mistake::{Mistake, MistakeKind, nearest};
use super::propagation::{self, PropagationConfig, RawPropagation, RawResolver, read_resolvers};
use crate::dns::Resolver;
use dns01_provider::{CredentialName, Fqdn, Plugin, Settings, Zone, ZoneName};
use figment::value::{Dict, Value};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

/// A named credential, bound to zones.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialConfig {
    /// The name of its table.
    pub name: CredentialName,
    /// The plugin it belongs to.
    pub plugin: Plugin,
    /// The zones it is for. Empty (by flags only) where it is for every zone it serves.
    pub zones: Vec<ZoneConfig>,
    /// The plugin's own keys.
    pub settings: Settings,
    /// Seconds that new TXT records live, where it is said.
    pub ttl: Option<u32>,
    /// When values count as seen everywhere in a zone that is not among [`Self::zones`].
    pub propagation: PropagationConfig,
    /// Names that are aliases into its zones, which are taken as given and not looked for.
    pub aliases: BTreeMap<Fqdn, Fqdn>,
}

/// A zone that a credential may write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneConfig {
    /// Its name, and its id at the provider where one is given.
    pub zone: Zone,
    /// The servers to watch, instead of the delegated ones.
    pub name_servers: Vec<SocketAddr>,
    /// The recursive resolvers to find things out with, instead of the machine's.
    pub resolvers: Vec<Resolver>,
    /// When its values count as seen everywhere.
    pub propagation: PropagationConfig,
    /// True if the zone is served by several providers at once, each with a table that says so:
    /// records are then written at all of them.
    pub multi_provider: bool,
}

impl ZoneConfig {
    /// A zone with nothing but its name.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self {
            zone,
            name_servers: Vec::new(),
            resolvers: Vec::new(),
            propagation: PropagationConfig::default(),
            multi_provider: false,
        }
    }
}

/// The name servers that must confirm before the CA is told to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quorum {
    /// Every one that answers for the zone, and at least half of all.
    #[default]
    Half,
    /// Every one, whether it answers or not.
    All,
    /// This many.
    Servers(NonZeroUsize),
}

impl CredentialConfig {
    /// Of its zones, the longest that contains `name`.
    #[must_use]
    pub fn zone_for(&self, name: &Fqdn) -> Option<&ZoneConfig> {
        self.zones
            .iter()
            .filter(|zone| zone.zone.name.contains(name))
            .max_by_key(|zone| zone.zone.name.as_str().len())
    }
}

/// The keys that every `[dns.*]` table may have; the others are the plugin's.
const COMMON_KEYS: [&str; 7] =
    ["provider", "zones", "ttl", "resolvers", "name_servers", "propagation", "aliases"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCredential {
    provider: String,
    zones: Vec<TextOr<RawZone>>,
    ttl: Option<u32>,
    #[serde(default)]
    resolvers: Vec<TextOr<RawResolver>>,
    #[serde(default)]
    name_servers: Vec<String>,
    #[serde(default)]
    propagation: RawPropagation,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawZone {
    name: String,
    id: Option<String>,
    resolvers: Option<Vec<TextOr<RawResolver>>>,
    name_servers: Option<Vec<String>>,
    propagation: Option<RawPropagation>,
    #[serde(default)]
    multi_provider: bool,
}

impl From<String> for RawZone {
    fn from(name: String) -> Self {
        Self { name, id: None, resolvers: None, name_servers: None, propagation: None, multi_provider: false }
    }
}

impl CredentialConfig {
    pub(super) fn read(check: &mut Check, name: &str, value: &Value, plugins: &[Plugin]) -> Option<Self> {
        let path = KeyPath::of(["dns", name]);
        let Value::Dict(tag, table) = value else {
            check.table::<RawCredential>(&path, value);
            return None;
        };
        let (common, own): (Dict, Dict) =
            table.clone().into_iter().partition(|(key, _)| COMMON_KEYS.contains(&key.as_str()));
        let raw: RawCredential = check.table(&path, &Value::Dict(*tag, common))?;
        let plugin = find_plugin(check, &path, &raw.provider, plugins)?;
        let known = own.keys().filter(|key| {
            let known = plugin.keys.contains(&key.as_str());
            if !known {
                let candidates = plugin.keys.iter().chain(&COMMON_KEYS).copied();
                check.wrong(&path.join(key), Part::Key, unknown_key(key, &path.heading(), candidates));
            }
            known
        });
        let mut sound = known.count() == own.len();
        let document = check.document.clone();
        for secret in document.iter().flat_map(|document| document.plain_secrets(&path)) {
            let mistake = secret_written_out(secret.key());
            check.wrong(&secret, Part::Value, mistake);
            sound = false;
        }
        let settings = settings_of(own);
        let name = check.parse_key(&path, name, CredentialName::parse)?;
        if raw.zones.is_empty() {
            let mistake = Mistake::new(MistakeKind::Value, format!("{} has no zone", path.heading()))
                .with_hint("name the zones that it may write to: `zones = [\"example.com\"]`".to_owned());
            check.wrong(&path.join("zones"), Part::Value, mistake);
            return None;
        }
        let (propagation, zones) = read_zones(check, &path, &raw)?;
        let aliases = read_aliases(check, &path.join("aliases"), &raw.aliases, &zones)?;
        sound.then_some(Self { name, plugin, zones, settings, ttl: raw.ttl, propagation, aliases })
    }
}

fn find_plugin(check: &mut Check, path: &KeyPath, wanted: &str, plugins: &[Plugin]) -> Option<Plugin> {
    let found = plugins.iter().find(|plugin| plugin.name == wanted);
    if found.is_none() {
        let names = plugins.iter().map(|plugin| plugin.name);
        let hint = match nearest(wanted, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("this program has {}", names.collect::<Vec<_>>().join(", ")),
        };
        let mistake =
            Mistake::new(MistakeKind::UnknownReference, format!("no provider is called `{wanted}`"));
        check.wrong(&path.join("provider"), Part::Value, mistake.with_hint(hint));
    }
    found.copied()
}

fn settings_of(own: Dict) -> Settings {
    match serde_json::to_value(own) {
        Ok(serde_json::Value::Object(table)) => Settings::new(table),
        _ => Settings::default(),
    }
}

/// The zones of a credential, and what holds for those that it does not name.
fn read_zones(
    check: &mut Check,
    path: &KeyPath,
    raw: &RawCredential,
) -> Option<(PropagationConfig, Vec<ZoneConfig>)> {
    let at = path.join("propagation");
    let outer = raw.propagation.settings(check, &at);
    let of_all = propagation::finish(check, &at, outer.clone())?;
    let resolvers = read_resolvers(check, &path.join("resolvers"), &raw.resolvers);
    let name_servers = check.servers(&path.join("name_servers"), &raw.name_servers);
    let zones = raw.zones.iter().enumerate().map(|(index, TextOr(zone))| {
        let path = path.join("zones").join(index);
        let name = check.parse_either(&path, "name", &zone.name, ZoneName::parse)?;
        let name_servers = match &zone.name_servers {
            Some(texts) => check.servers(&path.join("name_servers"), texts),
            None => name_servers.clone(),
        };
        let resolvers = match &zone.resolvers {
            Some(raw) => read_resolvers(check, &path.join("resolvers"), raw),
            None => resolvers.clone(),
        };
        let propagation = match &zone.propagation {
            Some(own) => {
                let at = path.join("propagation");
                let settings = own.settings(check, &at).over(outer.clone());
                propagation::finish(check, &at, settings)?
            }
            None => of_all.clone(),
        };
        Some(ZoneConfig {
            name_servers,
            resolvers,
            propagation,
            zone: Zone { name, id: zone.id.clone() },
            multi_provider: zone.multi_provider,
        })
    });
    let zones: Vec<Option<ZoneConfig>> = zones.collect();
    Some((of_all, zones.into_iter().collect::<Option<_>>()?))
}

/// Of the zones of another credential, those that are at several providers, this one's among them.
#[must_use]
pub fn shared_zones(own: &[ZoneConfig], others: &[ZoneConfig]) -> Vec<ZoneConfig> {
    let shared = |zone: &&ZoneConfig| {
        let same = |own: &ZoneConfig| own.multi_provider && own.zone.name == zone.zone.name;
        zone.multi_provider && own.iter().any(same)
    };
    others.iter().filter(shared).cloned().collect()
}

/// A zone in the table of a credential.
pub(super) struct Entry<'a> {
    pub(super) credential: &'a CredentialName,
    /// Its place among the zones of the table.
    pub(super) index: usize,
    pub(super) zone: &'a ZoneConfig,
}

/// Refuses a zone that is there twice, unless every table says that it is at several providers.
/// Written at one of two providers only, a record would be seen by half of the CA's questions.
pub(super) fn check_entries(check: &mut Check, entries: &[Entry<'_>]) {
    let [first, others @ ..] = entries else { return };
    let name = &first.zone.zone.name;
    let path = |entry: &Entry<'_>| KeyPath::of(["dns", entry.credential.as_str(), "zones"]).join(entry.index);
    if others.is_empty() && first.zone.multi_provider {
        let message = format!("`multi_provider` is said of zone `{name}`, and no other [dns.*] table has it");
        let mistake = Mistake::new(MistakeKind::Value, message)
            .with_hint("name the zone in the table of its other provider too, or leave it out".to_owned());
        check.wrong(&path(first).join("multi_provider"), Part::Value, mistake);
    }
    let at_several = entries.iter().all(|entry| entry.zone.multi_provider);
    for (number, entry) in (1..).zip(others) {
        let earlier = &entries[..number];
        let own = earlier.iter().any(|other| other.credential == entry.credential);
        if own || !at_several {
            let message = format!("zone `{name}` is in [dns.{}] already", earlier[number - 1].credential);
            let hint = (!own).then(|| {
                format!(
                    "remove one; only if the zone is served by both providers at once, say \
                     `{{ name = \"{name}\", multi_provider = true }}` in each"
                )
            });
            let mistake = Mistake::new(MistakeKind::Duplicate, message).with_hint(hint);
            check.wrong(&path(entry), Part::Value, mistake);
        } else if entry.zone.name_servers.is_empty() != first.zone.name_servers.is_empty() {
            let message = format!("zone `{name}` has `name_servers` in one of its tables only");
            let hint = "the servers of every provider must be watched: name them in each, or in none";
            let mistake = Mistake::new(MistakeKind::Value, message).with_hint(hint.to_owned());
            check.wrong(&path(entry), Part::Value, mistake);
        }
    }
}

fn read_aliases(
    check: &mut Check,
    path: &KeyPath,
    raw: &BTreeMap<String, String>,
    zones: &[ZoneConfig],
) -> Option<BTreeMap<Fqdn, Fqdn>> {
    let mut aliases = BTreeMap::new();
    for (from, to) in raw {
        let at = path.join(from);
        let name = check.parse_key(&at, from, alias_name)?;
        let target = check.parse(&at, to, Fqdn::parse)?;
        let written = zones.iter().any(|zone| zone.zone.name.contains(&target));
        if !written && !raw.contains_key(target.as_str()) {
            let message = format!("`{target}` is in none of the zones of this table");
            let mistake = Mistake::new(MistakeKind::Value, message)
                .with_hint("an alias leads to where the values are written".to_owned());
            check.wrong(&at, Part::Value, mistake);
            return None;
        }
        aliases.insert(name, target);
    }
    Some(aliases)
}

/// The name of an alias: that of a challenge, not of the host.
///
/// # Errors
/// In words, what is wrong.
pub fn alias_name(text: &str) -> Result<Fqdn, String> {
    let name = Fqdn::parse(text).map_err(|error| error.to_string())?;
    if name.as_str().starts_with('_') {
        return Ok(name);
    }
    Err(format!("`{name}` is no challenge's name: did you mean `_acme-challenge.{name}`?"))
}

impl<'de> Deserialize<'de> for Quorum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl serde::de::Visitor<'_> for Words {
            type Value = Quorum;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`\"all\"` or a number of name servers, 1 or more")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Quorum, E> {
                match text {
                    "all" => Ok(Quorum::All),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Quorum, E> {
                let servers = usize::try_from(number).ok().and_then(NonZeroUsize::new);
                let unexpected = serde::de::Unexpected::Signed(number);
                servers.map(Quorum::Servers).ok_or_else(|| E::invalid_value(unexpected, &self))
            }
        }
        deserializer.deserialize_any(Words)
    }
}
