//! The conformance suite against every provider, one a module.

mod azure;
mod cloudflare;
mod exec;
mod fake;
mod google;
mod httpreq;
mod memory;
mod ovh;
mod powerdns;
mod rfc2136;
mod table;
