//! Authoritative name servers with faults, on addresses of the test's choice.
//!
//! ```no_run
//! # use dns01_tests::fault_names::{Behaviour, Conduct, FaultServer};
//! # use hickory_proto::rr::RecordType;
//! # fn main() -> std::io::Result<()> {
//! let lame = FaultServer::start("127.9.1.2:53".parse().unwrap(), Behaviour::of(Conduct::upward_referral()))?;
//!
//! let only_tcp = Behaviour::good().udp(Conduct::silent());
//! let server = FaultServer::start("127.9.1.3:53".parse().unwrap(), only_tcp)?;
//! server.zone("a.test");
//! server.add("ns.a.test", RecordType::A, "127.9.1.3");
//! server.add_text("_acme-challenge.a.test", "value");
//!
//! let lagging = FaultServer::start("127.9.1.4:53".parse().unwrap(), Behaviour::good())?;
//! lagging.mirror("a.test", server.address(), std::time::Duration::from_secs(20));
//! # Ok(())
//! # }
//! ```
//!
//! A server knows CNAMEs and delegations but neither DNAMEs, wildcards nor signatures. It
//! runs on a runtime of its own; dropping it closes its sockets.

mod conduct;
mod server;
mod zone;

pub use conduct::{Behaviour, Conduct, Extensions};

use crate::rig::query;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use server::{Shared, Sockets};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use zone::Zone;

/// How often a mirror looks at its primary.
const MIRROR_PACE: Duration = Duration::from_millis(100);

/// A running name server; dropping it closes it.
#[derive(Debug)]
pub struct FaultServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// A question as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name, its letters as they came.
    pub name: String,
    /// The type asked for.
    pub kind: RecordType,
    /// How it came.
    pub transport: Transport,
    /// Whether it carried EDNS.
    pub edns: bool,
    /// When it came.
    pub at: Instant,
}

/// UDP or TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Over UDP.
    Udp,
    /// Over TCP.
    Tcp,
}

impl FaultServer {
    /// Starts a server at `address`, UDP and TCP; port 0 takes one that is free for both.
    ///
    /// # Errors
    /// When the address is taken.
    pub fn start(address: SocketAddr, behaviour: Behaviour) -> io::Result<Self> {
        let sockets = Sockets::open(address, &behaviour)?;
        let address = sockets.address();
        let shared = Arc::new(Shared::new(behaviour));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fault-names")
            .enable_all()
            .build()?;
        sockets.serve(&runtime, &shared)?;
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves otherwise from now on. A transport that was closed at the start stays closed.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    /// Serves the zone `apex`, which has an SOA and nothing else yet.
    pub fn zone(&self, apex: &str) {
        lock(&self.shared.zones).push(Zone::empty(name(apex)));
    }

    /// Adds a record, its data as in a zone file (`ns1.a.test.` for an NS); raises the serial.
    ///
    /// # Panics
    /// When the data cannot be read or no zone here holds `owner`.
    pub fn add(&self, owner: &str, kind: RecordType, data: &str) {
        self.change(&name(owner), |zone, owner| {
            let data = RData::try_from_str(kind, data).expect("the test's record can be read");
            zone.add(Record::from_rdata(owner.clone(), 60, data));
        });
    }

    /// Removes all records of this owner and type; raises the serial.
    ///
    /// # Panics
    /// When no zone here holds `owner`.
    pub fn remove(&self, owner: &str, kind: RecordType) {
        self.change(&name(owner), |zone, owner| zone.remove(owner, kind));
    }

    /// Adds a TXT value.
    ///
    /// # Panics
    /// When no zone here holds `owner`.
    pub fn add_text(&self, owner: &str, value: &str) {
        self.add(owner, RecordType::TXT, &format!("\"{value}\""));
    }

    /// Serves the zone `apex` as `primary` had it `lag` ago, or as it was first seen where it
    /// is known for less; transferred (AXFR) whenever its serial changes.
    ///
    /// Blocks until the first transfer is done.
    ///
    /// # Errors
    /// When `primary` refuses the transfer.
    pub fn mirror(&self, apex: &str, primary: SocketAddr, lag: Duration) -> io::Result<()> {
        let records = query::transfer(primary, apex)?;
        lock(&self.shared.zones).push(Zone::copied(name(apex), records, lag));
        let (shared, apex) = (Arc::clone(&self.shared), apex.to_owned());
        let runtime = self.runtime.as_ref().expect("the runtime lives as long as the server");
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(MIRROR_PACE).await;
                let (shared, apex) = (Arc::clone(&shared), apex.clone());
                // A primary that does not answer now is asked again at the next turn.
                let _next_time = tokio::task::spawn_blocking(move || refresh(&shared, &apex, primary)).await;
            }
        });
        Ok(())
    }

    /// All questions so far, oldest first.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        lock(&self.shared.questions).clone()
    }

    fn change(&self, owner: &Name, change: impl FnOnce(&mut Zone, &Name)) {
        let mut zones = lock(&self.shared.zones);
        let zone = zone::holding(&mut zones, owner).expect("the server has a zone for this name");
        change(zone, owner);
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Takes the primary's zone over when it has another serial than the newest copy.
fn refresh(shared: &Shared, apex: &str, primary: SocketAddr) {
    let known =
        lock(&shared.zones).iter().find(|zone| *zone.apex() == name(apex)).and_then(Zone::newest_serial);
    if query::serial(primary, apex).is_none_or(|serial| Some(serial) == known) {
        return;
    }
    if let Ok(records) = query::transfer(primary, apex) {
        let mut zones = lock(&shared.zones);
        if let Some(zone) = zone::holding(&mut zones, &name(apex)) {
            zone.update(records);
        }
    }
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("the test's name is a name");
    name.set_fqdn(true);
    name
}

/// A panic elsewhere leaves the data usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
