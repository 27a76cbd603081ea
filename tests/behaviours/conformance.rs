//! The conformance suite against every provider, one a module.

mod acme_dns;
mod acme_sh;
mod azure;
mod cloudflare;
mod desec;
mod digitalocean;
mod example;
mod exec;
mod fake;
mod gandi;
mod google;
mod hetzner;
mod httpreq;
mod lexicon;
mod linode;
mod memory;
mod ovh;
mod porkbun;
mod powerdns;
mod rfc2136;
mod route53;
mod table;
