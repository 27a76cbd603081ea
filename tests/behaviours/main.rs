//! End-to-end behaviours, one a module. `tests/run` runs them inside the rig.

#![allow(clippy::unwrap_used, reason = "a test that unwraps tells what broke")]

mod accounts;
mod certificate_kinds;
mod cloudflare;
mod conformance;
mod crash;
mod documents;
mod fault_ca;
mod fault_names;
mod renewal;
mod revocation;
mod rig_leaves_nothing;
mod rig_stands;
mod sql;
