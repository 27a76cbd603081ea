//! Servers that misbehave on purpose, and a way to kill a program at an exact moment.
//!
//! - [`fault_ca`]: an HTTPS proxy before a real CA, which counts requests and plays faults.
//! - [`fault_names`]: authoritative name servers that are lame, silent, stale, slow or lossy.
//! - [`crash`]: kills a program just before or just after a chosen rename, fsync or send.

pub mod crash;
pub mod fault_ca;
pub mod fault_names;
