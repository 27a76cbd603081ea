//! The recursive resolvers that things are found out with: the system's, or those a zone names.
//!
//! It is asked only for names that certainly exist (zones and their name servers) and for CAA,
//! so that no negative answer about a challenge gets into a cache the CA may share.

use super::DnsError;
use super::answer::{code_name, shown_name};
use super::flight::Flights;
use super::resolver::Resolver;
use super::resolving::ResolverClient;
use futures_util::FutureExt as _;
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

/// Resolvers by name; none stands for the system's.
#[derive(Clone)]
pub(super) struct Recursive {
    shared: Arc<Shared>,
}

struct Shared {
    usual: Vec<Resolver>,
    client: ResolverClient,
    /// Those that are asked in plain, or the system's.
    plain: Mutex<HashMap<Vec<SocketAddr>, TokioResolver>>,
    /// What the others said: nothing else remembers it.
    known: Flights<(Vec<Resolver>, Name, RecordType), Vec<RData>, LookupFailure>,
    slots: Semaphore,
}

/// A look-up that gave neither records nor the word that there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LookupFailure {
    pub(super) reason: String,
    /// True if nobody answered at all.
    pub(super) silent: bool,
}

impl Recursive {
    pub(super) fn new(usual: Vec<Resolver>, client: ResolverClient) -> Self {
        let shared = Shared {
            usual,
            client,
            plain: Mutex::default(),
            known: Flights::default(),
            slots: Semaphore::new(AT_ONCE),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The records of `record_type` in the answer, aliases followed; empty if there are none.
    pub(super) async fn lookup(
        &self,
        resolvers: &[Resolver],
        name: &Name,
        record_type: RecordType,
    ) -> Result<Vec<RData>, LookupFailure> {
        let resolvers = if resolvers.is_empty() { &self.shared.usual } else { resolvers };
        let plain: Option<Vec<SocketAddr>> = resolvers.iter().map(Resolver::plain).collect();
        let Some(plain) = plain else {
            return self.lookup_secured(resolvers, name, record_type).await;
        };
        let resolver = self.resolver(&plain)?;
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
            Err(error) => Err(failure(&error)),
        }
    }

    /// By resolvers of which some are asked over TLS or HTTPS, one after the other.
    async fn lookup_secured(
        &self,
        resolvers: &[Resolver],
        name: &Name,
        record_type: RecordType,
    ) -> Result<Vec<RData>, LookupFailure> {
        let key = (resolvers.to_vec(), name.clone(), record_type);
        let work = || {
            let (client, (resolvers, name, record_type)) = (self.shared.client.clone(), key.clone());
            async move {
                let answer = client.ask_any(&resolvers, &name, record_type).await?;
                let fitting = answer.answers.iter().filter(|record| record.record_type() == record_type);
                Ok(fitting.map(|record| record.data.clone()).collect())
            }
            .boxed()
        };
        self.shared.known.get(&key, work).await
    }

    /// As [`Self::lookup`], where a failure is the caller's failure.
    pub(super) async fn require(
        &self,
        resolvers: &[Resolver],
        name: &Name,
        record_type: RecordType,
    ) -> Result<Vec<RData>, DnsError> {
        self.lookup(resolvers, name, record_type).await.map_err(|failure| failure.of(name, record_type))
    }

    fn resolver(&self, addresses: &[SocketAddr]) -> Result<TokioResolver, LookupFailure> {
        let mut resolvers = self.shared.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resolver) = resolvers.get(addresses) {
            return Ok(resolver.clone());
        }
        let resolver = build(addresses)?;
        resolvers.insert(addresses.to_vec(), resolver.clone());
        Ok(resolver)
    }
}

impl LookupFailure {
    /// The same as the failure of whoever needs the answer.
    pub(super) fn of(self, name: &Name, record_type: RecordType) -> DnsError {
        DnsError::Resolver {
            name: shown_name(name),
            record_type: record_type.to_string(),
            reason: self.reason,
            silent: self.silent,
        }
    }
}

fn build(addresses: &[SocketAddr]) -> Result<TokioResolver, LookupFailure> {
    let unusable = |error: NetError| LookupFailure {
        reason: format!("the resolver configuration cannot be used: {error}"),
        silent: false,
    };
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

fn failure(error: &NetError) -> LookupFailure {
    let (reason, silent) = match error {
        NetError::Dns(Negative::ResponseCode(code)) => (format!("it answers {}", code_name(*code)), false),
        NetError::Timeout => ("no answer in time".to_owned(), true),
        NetError::Io(_) | NetError::NoConnections => (error.to_string(), true),
        other => (other.to_string(), false),
    };
    LookupFailure { reason, silent }
}
