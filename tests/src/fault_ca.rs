//! A CA with faults: an HTTPS proxy before Pebble that counts requests and plays faults.
//!
//! It keeps the client's `Host`, so that Pebble's directory and all its URLs point at the
//! proxy and signatures over `url` stay right. It cannot change what a client signed; it
//! changes, loses and delays what the client hears. It serves HTTP/1.1, one request at a time
//! on a connection, so that a reset concerns one request only.
//!
//! ```no_run
//! # use dns01_tests::fault_ca::{Endpoint, Fault, FaultCa, Nth, Setup};
//! # fn main() -> std::io::Result<()> {
//! let ca = FaultCa::start(&Setup::before("127.0.0.1:14000".parse().unwrap()))?;
//! ca.fault(Endpoint::NewOrder, Nth::First, Fault::ReplyLost);
//! // … run a client against `ca.directory()`, trusting `ca.root_file()` …
//! assert_eq!(ca.orders(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! It runs on a runtime of its own, so that blocking tests and async ones can both use it.
//! A client that is not given [`FaultCa::root_file`] meets an untrusted certificate.

mod certificates;
mod connect_proxy;
mod endpoint;
mod exchange;
mod journal;
mod preauthorization;
mod reply;
mod script;
mod server;

pub use connect_proxy::{ClosedPort, ConnectProxy};
pub use endpoint::Endpoint;
pub use journal::{Jws, Request};
pub use script::{Fault, Moment, NotReached, Nth, Pause, RetryAfter, WrongChain};

use exchange::Exchange;
use server::Stage;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the proxy listens and what stands behind it.
#[derive(Debug, Clone)]
pub struct Setup {
    upstream: SocketAddr,
    listen: SocketAddr,
    names: Vec<String>,
    preauthorization: Option<Proof>,
}

/// How the fake pre-authorization proves control of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Every answered challenge is good.
    Taken,
    /// The TXT record is looked up at this name server or resolver, over TCP.
    LookedUp(SocketAddr),
}

impl Setup {
    /// A proxy before the Pebble at `upstream`, on a free port of 127.0.0.1.
    #[must_use]
    pub fn before(upstream: SocketAddr) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { upstream, listen, names: vec!["localhost".to_owned()], preauthorization: None }
    }

    /// Listens at `address`; port 0 takes a free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Puts `name` into the server's certificate, and into [`FaultCa::directory`].
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.names.insert(0, name.to_owned());
        self
    }

    /// Adds `newAuthz` to the directory: see [`FaultCa`] for what this fakes.
    #[must_use]
    pub fn preauthorization(mut self, proof: Proof) -> Self {
        self.preauthorization = Some(proof);
        self
    }
}

/// The running proxy; dropping it closes everything.
///
/// **Pre-authorization is a fake.** Pebble has no `newAuthz`, and nobody but the client can
/// sign an order at Pebble for the client's account. So for names that were pre-authorized
/// the proxy plays the CA itself: authorization, order, finalize and a certificate from its
/// own root. It checks no signatures there (Pebble checks those of all other requests). An
/// order that names anything else goes to Pebble as ever.
#[derive(Debug)]
pub struct FaultCa {
    stage: Stage,
    exchange: Arc<Exchange>,
    directory: String,
}

impl FaultCa {
    /// Starts the proxy.
    ///
    /// # Errors
    /// When the address is taken or a certificate cannot be made.
    pub fn start(setup: &Setup) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(setup.listen)?;
        let address = listener.local_addr()?;
        let authority = certificates::Authority::new("dns01 fault CA")?;
        let mut names = setup.names.clone();
        names.push(address.ip().to_string());
        let tls = authority.server(&names)?;
        let host = match setup.names.as_slice() {
            [first, _, ..] => format!("{first}:{}", address.port()),
            _ => address.to_string(),
        };
        let exchange = Arc::new(Exchange::new(setup, authority)?);
        let stage = Stage::open(listener, tls, Arc::clone(&exchange))?;
        Ok(Self { stage, exchange, directory: format!("https://{host}/dir") })
    }

    /// The directory's URL.
    #[must_use]
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// The address it listens at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.stage.address()
    }

    /// A PEM file with the root that signed the proxy's certificate; gone when this is dropped.
    #[must_use]
    pub fn root_file(&self) -> &Path {
        self.exchange.root_file()
    }

    /// The same root, as PEM.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        self.exchange.root_pem()
    }

    /// Plays `fault` on the `nth` requests to `endpoint`, counted from now. Of several rules
    /// that fit one request the oldest wins.
    pub fn fault(&self, endpoint: Endpoint, nth: Nth, fault: Fault) {
        lock(&self.exchange.script).fault(endpoint, nth, fault);
    }

    /// Makes the `nth` request to `endpoint` (1 is the next) stand still at `moment`.
    #[must_use = "dropping the pause lets the request go on"]
    pub fn pause(&self, endpoint: Endpoint, nth: usize, moment: Moment) -> Pause {
        lock(&self.exchange.script).pause(endpoint, nth, moment)
    }

    /// Ends all faults and pauses that have not happened yet.
    pub fn heal(&self) {
        lock(&self.exchange.script).clear();
    }

    /// All requests so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.exchange.journal).requests().to_vec()
    }

    /// How many requests came for `endpoint`.
    #[must_use]
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.matching(|request| request.endpoint == endpoint)
    }

    /// How many orders the CA behind has made; a client may not have heard of each.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.matching(|request| request.endpoint == Endpoint::NewOrder && request.upstream == Some(201))
    }

    /// How many certificates the CA behind has promised: each accepted finalize is one.
    #[must_use]
    pub fn certificates(&self) -> usize {
        self.matching(|request| request.endpoint == Endpoint::Finalize && request.upstream == Some(200))
    }

    /// How many challenges the CA behind was told to look at (a POST-as-GET is not one).
    #[must_use]
    pub fn challenges_answered(&self) -> usize {
        self.matching(|request| {
            request.endpoint == Endpoint::Challenge
                && request.upstream == Some(200)
                && request.jws.as_ref().is_some_and(|jws| !jws.payload.is_null())
        })
    }

    fn matching(&self, fits: impl Fn(&Request) -> bool) -> usize {
        lock(&self.exchange.journal).requests().iter().filter(|request| fits(request)).count()
    }
}

/// A panic elsewhere leaves script and journal usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
