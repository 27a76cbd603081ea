#![doc = include_str!("../README.md")]

mod account;
mod api;
mod config;
mod error;
mod provider;
mod recipe;
mod slots;
mod storage;

pub use config::Config;
pub use provider::AcmeDns;

use dns01_provider::Plugin;

/// `provider = "acme-dns"`: an account for each challenge name.
pub const PLUGIN: Plugin = Plugin {
    name: "acme-dns",
    summary: "acme-dns: an account for each challenge name, to which a CNAME leads",
    keys: &["url", "storage", "register", "allow_from", "ca_bundle", "timeout"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[],
    template: r#"# `zones` holds acme-dns's own zone, and the zones for whose names accounts are registered.
url = "https://auth.example.net"
storage = "/var/lib/dns01/acme-dns.json"
register = true
"#,
    recipe: recipe::recipe,
};
