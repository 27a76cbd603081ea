#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;
mod scope;

pub use config::Config;
pub use provider::Porkbun;

use dns01_provider::Plugin;

/// `provider = "porkbun"`: Porkbun DNS.
pub const PLUGIN: Plugin = Plugin {
    name: "porkbun",
    summary: "Porkbun DNS, with an API key for one domain",
    keys: &["api_key", "secret_api_key", "minimum_ttl", "pause", "base_url"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".ns.porkbun.com", ".porkbun.com"],
    template: r#"# A key whose allowed domains are the zone only; API access must be on for the domain.
api_key = { file = "/etc/dns01/secrets/porkbun-api-key" }
secret_api_key = { file = "/etc/dns01/secrets/porkbun-secret-api-key" }
"#,
    recipe: recipe::recipe,
};
