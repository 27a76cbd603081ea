#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;

pub use config::Config;
pub use provider::Example;

use dns01_provider::Plugin;

/// `provider = "example"`: the service of the tutorial.
pub const PLUGIN: Plugin = Plugin {
    name: "example",
    summary: "the service of the tutorial",
    keys: &["url", "token"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".ns.dns.example.net"],
    template: r#"url = "https://dns.example.net/v1"
token = { file = "/etc/dns01/secrets/example" }
"#,
    recipe: recipe::recipe,
};
