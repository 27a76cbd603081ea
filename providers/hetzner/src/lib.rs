#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;
mod scope;

pub use config::Config;
pub use provider::Hetzner;

use dns01_provider::Plugin;

/// `provider = "hetzner"`: Hetzner DNS in the Cloud API.
pub const PLUGIN: Plugin = Plugin {
    name: "hetzner",
    summary: "Hetzner DNS in the Cloud API, with a token of a project that holds one zone",
    keys: &["api_token", "base_url"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".ns.hetzner.com", ".ns.hetzner.de"],
    template: r#"# A Read & Write token of a project that holds this zone and nothing else: it reaches the whole project.
api_token = { file = "/etc/dns01/secrets/hetzner" }
"#,
    recipe: recipe::recipe,
};
