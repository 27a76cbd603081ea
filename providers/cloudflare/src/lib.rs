#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;

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
};
