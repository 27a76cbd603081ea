//! The conformance suite against every provider, one a module.

mod rfc2136;
mod table;
