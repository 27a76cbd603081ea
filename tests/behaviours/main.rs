//! End-to-end behaviours, one a module. `tests/run` runs them inside the rig.

#![allow(clippy::unwrap_used, reason = "a test that unwraps tells what broke")]

mod accounts;
mod after_a_failed_validation;
mod caa;
mod certificate_kinds;
mod check;
mod conformance;
mod crash;
mod documents;
mod fault_ca;
mod fault_names;
mod name_servers;
mod renewal;
mod revocation;
mod rig_leaves_nothing;
mod rig_stands;
mod sql;
mod stand;
mod txt;
mod wildcard_host;
