//! What the end-to-end tests stand on.
//!
//! - [`rig`]: zones, name servers and a CA of a test's own, inside one private network
//!   namespace (`docs/testing.md` tells how the pieces fit together);
//! - [`program`]: runs the real `dns01` binary against them;
//! - [`authority`]: a CA as the command line names it; [`live`]: the files that come of it;
//! - [`fault_ca`]: an HTTPS proxy before a real CA, which counts requests and plays faults;
//! - [`httpreq`]: a strict service that takes lego's httpreq requests;
//! - [`fake_dns_api`]: strict fakes of providers' APIs, whose records are also served over DNS;
//! - [`fault_names`]: authoritative name servers that are lame, silent, stale, slow or lossy;
//! - [`crash`]: kills a program just before or just after a chosen rename, fsync, write or send;
//! - [`bench`]: the benchmark of `issue` beside its peers.
//!
//! All of it is made for tests: what cannot be done panics and says why.

pub mod authority;
pub mod bench;
pub mod crash;
pub mod fake_dns_api;
pub mod fault_ca;
pub mod fault_names;
pub mod live;
pub mod httpreq;
pub mod program;
pub mod rig;
