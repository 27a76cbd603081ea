//! The conformance suite against every provider, one a module.

mod cloudflare;
mod digitalocean;
mod exec;
mod fake;
mod gandi;
mod hetzner;
mod httpreq;
mod memory;
mod powerdns;
mod rfc2136;
mod table;
