//! End-to-end behaviours, one a module.

// All of this crate is test code; clippy sees only the functions with `#[test]` as such.
#![allow(clippy::unwrap_used)]

mod fault_ca;
