//! End-to-end behaviours, one a module. `tests/run` runs them inside the rig.

#![allow(clippy::unwrap_used, reason = "a test that unwraps tells what broke")]

mod accounts;
mod after_a_failed_validation;
mod alias;
mod apex_and_wildcard;
mod bad_input;
mod bench_quick;
mod ca_faults;
mod ca_habits;
mod caa;
mod certificate_kinds;
mod check;
mod cloudflare;
mod conformance;
mod crash;
mod documents;
mod fault_ca;
mod fault_names;
mod forbidden_name;
mod foreign_values;
mod generated;
mod init;
mod interrupted;
mod json_output;
mod killed;
mod left_behind;
mod many_zones;
mod name_servers;
mod one_order;
mod renewal;
mod revocation;
mod rig_leaves_nothing;
mod rig_stands;
mod secrets;
mod sql;
mod stand;
mod state_directory;
mod sub_zone;
mod terminal;
mod turns;
mod two_processes;
mod txt;
mod wildcard_host;
