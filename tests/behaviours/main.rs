//! End-to-end behaviours, one a module. `tests/run` runs them inside the rig.

#![allow(clippy::unwrap_used, reason = "a test that unwraps tells what broke")]

mod conformance;
mod crash;
mod fault_ca;
mod fault_names;
mod interrupted;
mod killed;
mod left_behind;
mod one_order;
mod rig_leaves_nothing;
mod rig_stands;
mod turns;
