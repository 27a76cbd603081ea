//! DNS as the public sees it: where a challenge record has to stand ([`Dns::locate`]), whether
//! every authoritative server shows it ([`Dns::propagated`]), and whether CAA records let the
//! CA issue at all ([`Dns::caa`]).
//!
//! Authoritative servers are asked directly, without recursion. The recursive resolver is used
//! only for names that certainly exist (name servers of zones) and for CAA: a question about a
//! challenge name would seed negative caches that the CA's resolver may share. Where a zone's
//! check mode has resolvers look for the values ([`CheckMode::Recursive`]), they are asked for
//! nothing at the challenge name before the values stand.
//!
//! | file | what stands there |
//! |---|---|
//! | `message`, `datagram`, `pipeline`, `query` | one question to one server, over UDP and TCP |
//! | `resolver`, `stream`, `https`, `resolving` | one question to one resolver, also over TLS and HTTPS |
//! | `recursive`, `survey`, `flight` | things found out by resolvers; several servers; one look-up for many |
//! | `zones`, `delegation`, `zone_cut` | zones of ours; the servers of a zone; the cuts below it |
//! | `alias`, `place`, `configured` | CNAME and DNAME; what stands at one name; all that by configuration |
//! | `answer`, `standing` | what an answer says; what all answers mean. No network |
//! | `probe` | what each name server says over each transport |
//! | `watcher`, `propagation`, `resolved` | one watcher a zone; a wait at its servers; a wait at resolvers |
//! | `progress`, `report` | how far a wait is; the failure table |
//! | `caa` | RFC 8659 and RFC 8657 |

mod alias;
mod answer;
mod caa;
mod configured;
mod datagram;
mod delegation;
mod flight;
mod https;
mod message;
mod pipeline;
mod place;
mod probe;
mod progress;
mod propagation;
mod query;
mod recursive;
mod report;
mod resolved;
mod resolver;
mod resolving;
#[cfg(test)]
mod scripted;
mod standing;
mod stream;
mod survey;
mod watcher;
mod zone_cut;
mod zones;

pub use alias::{Hop, Location, LocationWarning};
pub use caa::{CaaDecision, CaaQuestion, CaaRefusal, CaaRule};
pub use delegation::{NameServer, ZoneServers};
pub use probe::{ProbeAnswer, Probed};
pub use progress::{Progress, Waiting, count_down};
pub use propagation::{Awaited, PropagationReport, PropagationRules, Quorum};
pub use report::{FailureReason, Observers, PropagationFailure, PropagationTable, Row, Standing};
pub use resolver::Resolver;
pub(crate) use resolver::server_address;
pub use zones::{ConfiguredZone, ConfiguredZones};

use delegation::Delegations;
use dns01_provider::name::{Fqdn, ZoneName};
use query::QueryClient;
use recursive::Recursive;
use resolving::ResolverClient;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use watcher::Watchers;

/// How this room reaches the DNS.
#[derive(Clone, Debug)]
pub struct DnsSettings {
    /// The recursive resolvers; empty means those of the system's `resolv.conf`.
    pub resolvers: Vec<Resolver>,
    /// The port of name servers found by delegation: 53, except in tests.
    pub port: u16,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self { resolvers: Vec::new(), port: 53 }
    }
}

/// Who has to show the values of a zone before the CA is told to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckMode {
    /// Its authoritative servers.
    #[default]
    Authoritative,
    /// All of these resolvers.
    Recursive(Vec<Resolver>),
    /// The service that the values are written to; that is not this room's business.
    Provider,
    /// Nobody.
    Unwatched,
}

/// The room's door. Clones share sockets, caches and watchers.
#[derive(Clone)]
pub struct Dns {
    inner: Arc<Inner>,
}

/// What the files of this room share.
struct Inner {
    client: QueryClient,
    recursive: Recursive,
    resolvers: ResolverClient,
    delegations: Delegations,
    watchers: Watchers,
    caa: caa::Known,
}

/// Why a challenge record's place could not be found, or the DNS not be asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// The recursive resolver did not give what a walk needs.
    #[error("the resolver has no answer for `{name}` {record_type}: {reason}")]
    Resolver {
        /// What was asked for.
        name: String,
        /// The type asked for, as master files write it.
        record_type: String,
        /// What it answered.
        reason: String,
        /// True if nobody answered at all.
        silent: bool,
    },
    /// The parent zone does not delegate the zone.
    #[error("`{zone}` is not delegated: the servers of `{parent}` know of no such zone")]
    NotDelegated {
        /// The zone looked for.
        zone: Fqdn,
        /// The zone above it, as asked; `.` is the root.
        parent: String,
    },
    /// None of a zone's servers answered.
    #[error("no name server of `{zone}` answered for `{name}`: {details}")]
    NoAnswer {
        /// The zone, `.` for the root.
        zone: String,
        /// What was asked about.
        name: String,
        /// Each server with what it did.
        details: String,
    },
    /// A real zone cut lies between the configured zone and the name.
    #[error("`{name}` is not in zone `{configured}` but in `{cut}`, which is delegated from it")]
    DeeperCut {
        /// The name a record was wanted at.
        name: Fqdn,
        /// The zone the configuration names.
        configured: ZoneName,
        /// The zone the name is really in.
        cut: Fqdn,
    },
    /// No configured zone contains the name, and no alias leads to one.
    #[error("no credential for `{name}`: it is in zone `{zone}`, which is not configured")]
    NotConfigured {
        /// The challenge name.
        name: Fqdn,
        /// The zone it is in.
        zone: ZoneName,
    },
    /// An alias leads to a zone that is not configured.
    #[error("`{name}` is an alias of `{target}`, and no configured zone contains that")]
    AliasNotConfigured {
        /// The challenge name.
        name: Fqdn,
        /// Where its alias ends.
        target: Fqdn,
    },
    /// Servers of one zone answer with different aliases.
    #[error("the servers of `{zone}` do not agree on the alias at `{name}`: {answers}")]
    AliasDisagreement {
        /// The zone.
        zone: ZoneName,
        /// The name asked about.
        name: Fqdn,
        /// Each server with its answer.
        answers: String,
    },
    /// Aliases go round in a circle, or on for too long.
    #[error("the aliases of `{name}` do not end: {chain}")]
    AliasLoop {
        /// The challenge name.
        name: Fqdn,
        /// The names met, in order.
        chain: String,
    },
    /// An alias leads to something that no record of ours can stand at.
    #[error("`{name}` is an alias of `{target}`, at which no record can be written: {reason}")]
    AliasTarget {
        /// The name that is an alias.
        name: Fqdn,
        /// Where it leads.
        target: String,
        /// Why not there.
        reason: String,
    },
}

impl DnsError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Resolver { silent: true, .. } => Some(report::blocked()),
            Self::Resolver { .. } => Some(
                "name working resolvers with `resolvers`, or the zone's servers with `name_servers`"
                    .to_owned(),
            ),
            Self::NotDelegated { zone, .. } => Some(format!(
                "is `{zone}` spelt right and a zone of its own? For a zone only known inside, set its `name_servers`"
            )),
            Self::NoAnswer { .. } => Some(format!("unless all of them are down, {}", report::blocked())),
            Self::DeeperCut { cut, .. } => {
                Some(format!("add `{cut}` to the zones of a credential that can write it"))
            }
            Self::NotConfigured { zone, .. } => Some(format!(
                "add `{zone}` to the zones of a credential, or make the name an alias (CNAME) into a configured zone"
            )),
            Self::AliasNotConfigured { target, .. } => {
                Some(format!("add the zone of `{target}` to the zones of a credential, or remove the alias"))
            }
            Self::AliasDisagreement { zone, .. } => Some(format!(
                "wait until every server of `{zone}` has the change, or check its zone transfers"
            )),
            Self::AliasLoop { .. } | Self::AliasTarget { .. } => Some("correct the alias".to_owned()),
        }
    }
}

impl Dns {
    /// Opens the door; nothing is sent yet. Watchers and connections run on `tasks` and end
    /// with `cancel`.
    #[must_use]
    pub fn new(settings: DnsSettings, tasks: TaskTracker, cancel: CancellationToken) -> Self {
        let client = QueryClient::new(tasks.clone(), cancel.clone());
        let resolvers = ResolverClient::new(client.clone(), tasks.clone(), cancel.clone());
        let recursive = Recursive::new(settings.resolvers, resolvers.clone());
        let delegations = Delegations::new(client.clone(), recursive.clone(), settings.port);
        let watchers = Watchers::new(client.clone(), tasks, cancel);
        let caa = caa::Known::default();
        Self { inner: Arc::new(Inner { client, recursive, resolvers, delegations, watchers, caa }) }
    }

    /// Finds where a record for `challenge_name` has to be written: through aliases, to the
    /// longest of `zones` that contains the end, and the servers that must show it.
    ///
    /// Dropped half-way it has no effect.
    ///
    /// # Errors
    /// [`DnsError`]: nobody to ask, no configured zone, or a zone cut in between.
    pub async fn locate(&self, challenge_name: &Fqdn, zones: &ConfiguredZones) -> Result<Location, DnsError> {
        alias::locate(&self.inner, challenge_name, zones).await
    }

    /// The zone that `name` is in, with its servers, found by its delegation: no configured zone
    /// is looked at.
    ///
    /// # Errors
    /// [`DnsError`]: nobody to ask, or no answer.
    pub async fn zone_of(&self, name: &Fqdn) -> Result<Arc<ZoneServers>, DnsError> {
        zone_cut::descend(&self.inner, name).await
    }

    /// Asks every address of a zone's servers, over UDP and over TCP, whether it serves the zone.
    pub async fn probe(&self, servers: &ZoneServers) -> Vec<Probed> {
        probe::every_server(&self.inner.client, servers).await
    }

    /// The name servers that the server at `address` names for `zone`, which need not be
    /// delegated. Empty where it does not say.
    pub async fn name_servers_at(&self, address: SocketAddr, zone: &ZoneName) -> Vec<NameServer> {
        probe::name_servers_at(&self.inner.client, address, zone).await
    }

    /// How long resolvers may remember that a name of the zone did not exist (RFC 2308 §5), as
    /// its servers or those who check it say: after a failed validation nothing is to be tried
    /// before. `None` where nobody tells.
    pub async fn negative_ttl(&self, location: &Location) -> Option<Duration> {
        match (&location.servers, &location.check) {
            (Some(servers), _) => survey::negative_ttl(&self.inner.client, servers).await,
            (None, CheckMode::Recursive(resolvers)) => {
                survey::negative_ttl_by(&self.inner.resolvers, resolvers, &location.zone).await
            }
            _ => None,
        }
    }

    /// Waits until everybody who has to show an awaited value shows it, by `rules`, and tells
    /// `progress` how far that is: authoritative servers or resolvers. Zones of other check
    /// modes are passed over.
    ///
    /// Names of one zone, also of concurrent calls, share one watcher. Dropped half-way it
    /// stops looking.
    ///
    /// # Errors
    /// [`PropagationFailure`] holds the table of what each server answered, and a hint.
    pub async fn propagated(
        &self,
        awaited: &[Awaited],
        rules: &PropagationRules,
        progress: &watch::Sender<Progress>,
    ) -> Result<PropagationReport, Box<PropagationFailure>> {
        propagation::propagated(&self.inner, awaited, rules, progress).await
    }

    /// Decides by CAA (RFC 8659, RFC 8657) whether the CA may issue, through the resolvers of
    /// the longest of `zones` that contains the name.
    ///
    /// # Errors
    /// [`CaaRefusal`]: a record forbids it, or the DNS gave no answer, which forbids it too.
    pub async fn caa(
        &self,
        question: &CaaQuestion,
        zones: &ConfiguredZones,
    ) -> Result<CaaDecision, CaaRefusal> {
        caa::decide(&self.inner, question, zones).await
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_room_names_neither_acme_nor_records() {
        let room = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dns");
        let mut open = vec![room];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path()));
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for other in ["acme", "records"] {
                assert!(!text.contains(&format!("crate::{other}")), "{} names {other}", path.display());
            }
        }
    }
}
