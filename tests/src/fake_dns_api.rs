//! Fakes of providers' HTTP APIs, as strict as the services are documented, on loopback.
//!
//! A fake is a [`Service`]: it answers requests from what is [`Held`]. The kit around it serves
//! HTTP, writes requests down, limits their rate and plays faults. What a fake holds can also
//! be served over DNS, so that a CA finds what was written through the API:
//!
//! ```no_run
//! # use dns01_tests::fake_dns_api::{FakeDnsApi, cloudflare::{Access, Cloudflare}};
//! # use dns01_tests::fault_names::{Behaviour, FaultServer};
//! # fn main() -> std::io::Result<()> {
//! let api = FakeDnsApi::start(Cloudflare::new())?;
//! let zone = api.zone("example.test");
//! let token = api.service().token(&[Access::Edit(zone)]);
//! api.serve(FaultServer::start("127.9.1.2:53".parse().unwrap(), Behaviour::good())?);
//! // … run a client against `api.url()` with `token` …
//! # Ok(())
//! # }
//! ```
//!
//! It runs on a runtime of its own; dropping it closes everything.

pub mod acme_dns;
pub mod azure;
pub mod cloudflare;
pub mod desec;
pub mod digitalocean;
pub mod example;
mod exchange;
pub mod gandi;
pub mod google;
mod held;
pub mod hetzner;
pub mod linode;
pub mod ovh;
mod patterns;
pub mod porkbun;
pub mod route53;
mod server;
mod tokens;

pub use exchange::{Answer, Asked, Fault};
pub use held::{Held, HeldRecord, HeldZone, text_of};

use crate::fault_names::FaultServer;
use crate::rig::Rig;
use exchange::Exchange;
use server::Stage;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A provider's API, documented somewhere and played here.
pub trait Service: fmt::Debug + Send + Sync + 'static {
    /// The path that all its paths begin with, without a slash at its end.
    fn base(&self) -> &'static str;

    /// An identifier as the service makes them, for the `number`th zone or record.
    fn identifier(&self, number: u64) -> String;

    /// What the service answers; a refused request has changed nothing in `held`.
    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer;

    /// Its refusal for rate, without Retry-After, which the kit adds.
    fn throttled(&self) -> Answer;
}

/// A running fake of one service.
#[derive(Debug)]
pub struct FakeDnsApi<S: Service> {
    stage: Stage,
    exchange: Arc<Exchange<S>>,
}

impl<S: Service> FakeDnsApi<S> {
    /// Starts `service` on a free port of 127.0.0.1, holding nothing.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn start(service: S) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let exchange = Arc::new(Exchange::new(service));
        let stage = Stage::open(listener, Arc::clone(&exchange))?;
        Ok(Self { stage, exchange })
    }

    /// The address that a client is configured with.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.stage.address(), self.service().base())
    }

    /// The service, for what is its own: tokens and the like.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.exchange.service
    }

    /// Adds an empty zone and returns its id.
    #[must_use]
    pub fn zone(&self, name: &str) -> String {
        self.exchange.edit(|service, held| held.add_zone(name, |number| service.identifier(number)))
    }

    /// Changes what is held by other means than the API; DNS follows.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut Held) -> T) -> T {
        self.exchange.edit(|_, held| edit(held))
    }

    /// Adds a record by other means than the API: somebody else's.
    pub fn add(&self, zone: &str, name: &str, kind: &str, ttl: u32, data: &str) {
        self.exchange.edit(|service, held| {
            let id = service.identifier(held.next_number());
            let form = data.to_owned();
            let record = HeldRecord {
                id,
                name: name.to_owned(),
                kind: kind.to_owned(),
                ttl,
                data: data.to_owned(),
                form,
            };
            held.zone_mut(zone).expect("the test made the zone").records.push(record);
        });
    }

    /// The TXT values at `name` in the zone `zone`, with the TTL of the first.
    #[must_use]
    pub fn txt(&self, zone: &str, name: &str) -> (u32, Vec<String>) {
        self.exchange.edit(|_, held| {
            let zone = held.zone_mut(zone).expect("the test made the zone");
            let found: Vec<_> =
                zone.records.iter().filter(|record| record.kind == "TXT" && record.name == name).collect();
            let ttl = found.first().map_or(0, |record| record.ttl);
            (ttl, found.iter().map(|record| record.data.clone()).collect())
        })
    }

    /// Serves what is held, now and after each change, from `server`; its zones need not be
    /// there yet. Its NS records are up to the test.
    pub fn serve(&self, server: FaultServer) {
        self.exchange.serve(server);
    }

    /// Plays `fault` on the next request; several stand in line.
    pub fn fault(&self, fault: Fault) {
        lock(&self.exchange.faults).push_back(fault);
    }

    /// Refuses for rate what is more than `requests` within `window`, from now on.
    pub fn limit(&self, requests: usize, window: Duration) {
        self.exchange.limit(requests, window);
    }

    /// Requests so far, oldest first: method, a blank, and the path below the base.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        lock(&self.exchange.journal).clone()
    }

    /// How many requests so far were `line`, such as `GET /zones`; the query string is no part
    /// of it.
    #[must_use]
    pub fn count(&self, line: &str) -> usize {
        lock(&self.exchange.journal).iter().filter(|one| *one == line).count()
    }
}

/// The Python that has the clients which prove the fakes. Where `tests/prepare` could not
/// install them there is none, and the rig names `what` as skipped at its end.
///
/// # Panics
/// The rig's directory cannot be written to.
#[must_use]
pub fn clients(what: &str) -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/clients/bin/python");
    if python.exists() {
        return Some(python);
    }
    Rig::get().skip(what, "the clients from PyPI are not installed");
    None
}

/// A panic elsewhere leaves the data usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
