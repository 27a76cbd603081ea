//! The conformance suite against every provider, one a module.

mod cloudflare;
mod exec;
mod fake;
mod httpreq;
mod memory;
mod powerdns;
mod rfc2136;
mod route53;
mod table;
