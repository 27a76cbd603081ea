//! The conformance suite against every provider, one a module.

mod powerdns;
mod rfc2136;
mod table;
