//! The recursive resolver: the system's, or the one a zone names.
//!
//! It is asked only for names that certainly exist (zones and their name servers) and for CAA,
//! so that no negative answer about a challenge gets into a cache the CA may share.

use super::DnsError;
use super::answer::{code_name, shown_name};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as Negative, NetError};
use hickory_resolver::{TokioResolver, system_conf};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// One try at one resolver.
const TRY_TIMEOUT: Duration = Duration::from_secs(3);
/// A look-up with all its tries.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Look-ups at once: hickory's exchanges take few requests at a time and refuse the rest.
const AT_ONCE: usize = 16;

/// Resolvers by their addresses; none stands for the system's.
#[derive(Clone)]
pub(super) struct Recursive {
    shared: Arc<Shared>,
}

struct Shared {
    usual: Vec<SocketAddr>,
    resolvers: Mutex<HashMap<Vec<SocketAddr>, TokioResolver>>,
    slots: Semaphore,
}

/// A look-up that gave neither records nor the word that there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LookupFailure(pub(super) String);

impl Recursive {
    pub(super) fn new(usual: Vec<SocketAddr>) -> Self {
        let shared = Shared { usual, resolvers: Mutex::default(), slots: Semaphore::new(AT_ONCE) };
        Self { shared: Arc::new(shared) }
    }

    /// The records of `record_type` in the answer, aliases followed; empty if there are none.
    pub(super) async fn lookup(
        &self,
        resolvers: &[SocketAddr],
        name: &Name,
        record_type: RecordType,
    ) -> Result<Vec<RData>, LookupFailure> {
        let resolver = self.resolver(resolvers)?;
        let _slot = self.shared.slots.acquire().await;
        let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, resolver.lookup(name.clone(), record_type)).await;
        match lookup.unwrap_or(Err(NetError::Timeout)) {
            Ok(found) => Ok(found
                .answers()
                .iter()
                .filter(|record| record.record_type() == record_type)
                .map(|record| record.data.clone())
                .collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(LookupFailure(reason(&error))),
        }
    }

    /// As [`Self::lookup`], where a failure is the caller's failure.
    pub(super) async fn require(
        &self,
        resolvers: &[SocketAddr],
        name: &Name,
        record_type: RecordType,
    ) -> Result<Vec<RData>, DnsError> {
        self.lookup(resolvers, name, record_type).await.map_err(|LookupFailure(reason)| DnsError::Resolver {
            name: shown_name(name),
            record_type: record_type.to_string(),
            reason,
        })
    }

    fn resolver(&self, addresses: &[SocketAddr]) -> Result<TokioResolver, LookupFailure> {
        let addresses = if addresses.is_empty() { &self.shared.usual } else { addresses };
        let mut resolvers = self.shared.resolvers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resolver) = resolvers.get(addresses) {
            return Ok(resolver.clone());
        }
        let resolver = build(addresses)?;
        resolvers.insert(addresses.to_vec(), resolver.clone());
        Ok(resolver)
    }
}

fn build(addresses: &[SocketAddr]) -> Result<TokioResolver, LookupFailure> {
    let unusable =
        |error: NetError| LookupFailure(format!("the resolver configuration cannot be used: {error}"));
    let (config, mut options) = if addresses.is_empty() {
        system_conf::read_system_conf().map_err(unusable)?
    } else {
        let servers = addresses.iter().map(|address| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        });
        (ResolverConfig::from_parts(None, Vec::new(), servers.collect()), ResolverOpts::default())
    };
    options.timeout = options.timeout.min(TRY_TIMEOUT);
    // The public's view is wanted, not this machine's.
    options.use_hosts_file = ResolveHosts::Never;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(unusable)
}

fn reason(error: &NetError) -> String {
    match error {
        NetError::Dns(Negative::ResponseCode(code)) => format!("it answers {}", code_name(*code)),
        NetError::Timeout => "no answer in time".to_owned(),
        other => other.to_string(),
    }
}
