#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;
mod scope;

pub use config::Config;
pub use provider::DigitalOcean;

use dns01_provider::Plugin;

/// `provider = "digitalocean"`: DigitalOcean DNS.
pub const PLUGIN: Plugin = Plugin {
    name: "digitalocean",
    summary: "DigitalOcean DNS, with a token that may write records and nothing else",
    keys: &["api_token", "base_url"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".digitalocean.com"],
    template: r#"# A token with the custom scopes `domain:read` and `domain:update`, of a team that has this zone alone.
api_token = { file = "/etc/dns01/secrets/digitalocean" }
"#,
    recipe: recipe::recipe,
};
