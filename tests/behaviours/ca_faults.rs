//! `dns01 issue` against a CA that fails: each run ends in a certificate, or in a clear error
//! in time; with no second certificate, no record left, and the old files as they were.

mod bench;
mod bodies;
mod dead_orders;
mod failed_validations;
mod lost_replies;
mod preauthorization;
mod proxies;
mod refusals;
mod terms;
mod unreachable;
mod wrong_certificates;
