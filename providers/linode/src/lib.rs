#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;
mod scope;

pub use config::Config;
pub use provider::Linode;

use dns01_provider::Plugin;

/// `provider = "linode"`: Linode (Akamai) DNS Manager.
pub const PLUGIN: Plugin = Plugin {
    name: "linode",
    summary: "Linode (Akamai) DNS Manager, with a token that reaches one domain",
    keys: &["token", "base_url", "ca_bundle"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".linode.com"],
    template: r#"# A token with the scope `domains:read_write`, of a user who may edit the one domain; give the
# domain's id beside its name, and it is never looked up.
token = { file = "/etc/dns01/secrets/linode" }
"#,
    recipe: recipe::recipe,
};
