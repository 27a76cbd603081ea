//! The conformance suite against every provider, one a module.

mod cloudflare;
mod rfc2136;
