//! The conformance suite against every provider, one a module.

mod acme_dns;
mod acme_sh;
mod cloudflare;
mod example;
mod exec;
mod fake;
mod httpreq;
mod lexicon;
mod memory;
mod powerdns;
mod rfc2136;
mod table;
