#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;

pub use config::Config;
pub use provider::HttpReq;

use dns01_provider::Plugin;

/// `provider = "httpreq"`: a service of one's own that takes lego's HTTP requests.
pub const PLUGIN: Plugin = Plugin {
    name: "httpreq",
    summary: "an HTTP service of your own, asked as lego's httpreq provider asks",
    keys: &["endpoint", "username", "password", "mode", "ca_bundle", "timeout"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[],
    template: r#"endpoint = "https://hook.example.net/dns"
username = "dns01"
password = { file = "/etc/dns01/secrets/httpreq" }
"#,
    recipe: recipe::recipe,
};
