#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod identity;
mod provider;
mod recipe;
mod scope;

pub use config::{Config, Proof};
pub use provider::Ovh;

use dns01_provider::Plugin;

/// `provider = "ovh"`: zones at OVHcloud.
pub const PLUGIN: Plugin = Plugin {
    name: "ovh",
    summary: "OVHcloud DNS, with an application key or a service account",
    keys: &[
        "endpoint",
        "application_key",
        "application_secret",
        "consumer_key",
        "client_id",
        "client_secret",
        "access_token",
        "token_url",
    ],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".ovh.net", ".ovh.ca", ".anycast.me"],
    template: r#"endpoint = "ovh-eu"
# Keys with rules for one zone: `dns01 scope recipe` shows how they are made.
application_key = { file = "/etc/dns01/secrets/ovh-application-key" }
application_secret = { file = "/etc/dns01/secrets/ovh-application-secret" }
consumer_key = { file = "/etc/dns01/secrets/ovh-consumer-key" }
"#,
    recipe: recipe::recipe,
};
