//! What the end-to-end tests stand on.
//!
//! [`rig`] gives a test zones, name servers and a CA of its own inside one private network
//! namespace; [`program`] runs the real `dns01` binary against them. `docs/testing.md` tells
//! how the pieces fit together.
//!
//! [`fault_ca`] stands between a client and a real CA, counts requests and plays faults;
//! [`fault_names`] are name servers that are lame, silent, stale, slow or lossy; [`crash`]
//! kills a program just before or just after a chosen rename, fsync or send.
//!
//! Everything here blocks the calling thread, so that a test reads from top to bottom. It is
//! made for tests: what cannot be done panics and says why.

pub mod crash;
pub mod fault_ca;
pub mod fault_names;
pub mod program;
pub mod rig;
