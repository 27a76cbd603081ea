#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;
mod scope;

pub use config::{Authorization, Config};
pub use provider::Gandi;

use dns01_provider::Plugin;

/// `provider = "gandi"`: Gandi LiveDNS.
pub const PLUGIN: Plugin = Plugin {
    name: "gandi",
    summary: "Gandi LiveDNS, with a personal access token for one domain",
    keys: &["access_token", "api_key", "base_url", "id_url"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".gandi.net"],
    template: r#"# A personal access token for this domain, with `Manage technical configuration of domains`. It ends after a
# year at the latest.
access_token = { file = "/etc/dns01/secrets/gandi" }
"#,
    recipe: recipe::recipe,
};
