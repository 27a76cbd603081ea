#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;
mod scope;

pub use config::{Authorization, Config};
pub use provider::Cloudflare;

use dns01_provider::Plugin;

/// `provider = "cloudflare"`: Cloudflare DNS.
pub const PLUGIN: Plugin = Plugin {
    name: "cloudflare",
    summary: "Cloudflare DNS, with an API token that may edit one zone",
    keys: &["api_token", "zone_token", "email", "api_key", "base_url"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".ns.cloudflare.com"],
    template: r#"# A token with the permission `Zone / DNS / Edit` for the zone; give the zone's id beside its
# name, and the token need not read zones.
api_token = { file = "/etc/dns01/secrets/cloudflare" }
"#,
    recipe: recipe::recipe,
};
