#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;
mod scope;

pub use config::{Algorithm, Config, ServerAddress, TsigKey};
pub use provider::Rfc2136;

use dns01_provider::Plugin;

/// `provider = "rfc2136"`: DNS UPDATE with TSIG.
pub const PLUGIN: Plugin = Plugin {
    name: "rfc2136",
    summary: "DNS UPDATE (RFC 2136) with TSIG: BIND, Knot, PowerDNS and every server that speaks it",
    keys: &["server", "tsig", "timeout"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[],
    template: r#"server = "192.0.2.53:53"
tsig = { name = "dns01.", algorithm = "hmac-sha256", secret = { file = "/etc/dns01/secrets/tsig" } }
"#,
    recipe: recipe::recipe,
};
