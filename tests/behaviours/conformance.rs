//! The conformance suite against every provider, one a module.

mod acme_dns;
mod azure;
mod cloudflare;
mod desec;
mod digitalocean;
mod exec;
mod fake;
mod gandi;
mod google;
mod hetzner;
mod httpreq;
mod linode;
mod memory;
mod ovh;
mod porkbun;
mod powerdns;
mod rfc2136;
mod route53;
mod table;
