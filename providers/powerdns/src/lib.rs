#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;

pub use config::Config;
pub use provider::PowerDns;

use dns01_provider::Plugin;

/// `provider = "powerdns"`: the HTTP API of a PowerDNS authoritative server.
pub const PLUGIN: Plugin = Plugin {
    name: "powerdns",
    summary: "PowerDNS authoritative server, by its HTTP API",
    keys: &["url", "api_key", "server_id", "ca_bundle", "timeout"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[],
    template: r#"url = "http://127.0.0.1:8081"
api_key = { file = "/etc/dns01/secrets/powerdns" }
"#,
    recipe: recipe::recipe,
};
