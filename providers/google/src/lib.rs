#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod identity;
mod provider;
mod recipe;
mod scope;

pub use config::{Config, Proof};
pub use provider::Google;

use dns01_provider::Plugin;

/// `provider = "google"`: Google Cloud DNS.
pub const PLUGIN: Plugin = Plugin {
    name: "google",
    summary: "Google Cloud DNS, with a service account or the machine's own identity",
    keys: &["project", "service_account", "access_token", "base_url", "metadata_host"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".googledomains.com"],
    template: r#"# The key of a service account that may write the zone's challenges; without it the machine's own
# identity is used. Give the zone's own name (its id) beside its DNS name, and none is looked up.
service_account = { file = "/etc/dns01/secrets/google.json" }
"#,
    recipe: recipe::recipe,
};
