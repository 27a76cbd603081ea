//! End-to-end behaviours, one a module. `tests/run` runs them inside the rig.

#![allow(clippy::unwrap_used, reason = "a test that unwraps tells what broke")]

mod ca_faults;
mod conformance;
mod crash;
mod fault_ca;
mod fault_names;
mod rig_leaves_nothing;
mod rig_stands;
