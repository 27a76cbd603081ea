//! The conformance suite against every provider, one a module.

mod acme_dns;
mod cloudflare;
mod exec;
mod fake;
mod httpreq;
mod memory;
mod powerdns;
mod rfc2136;
mod table;
