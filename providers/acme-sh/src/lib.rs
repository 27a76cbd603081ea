#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod holds;
mod provider;
mod recipe;

pub use config::{Config, Script};
pub use provider::AcmeSh;

use dns01_provider::Plugin;

/// `provider = "acme-sh"`: a DNS script of an acme.sh that is installed here.
pub const PLUGIN: Plugin = Plugin {
    name: "acme-sh",
    summary: "a DNS script of the acme.sh that is installed on this machine",
    keys: &["script", "home", "environment", "whole_rrset", "lock_directory", "timeout"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[],
    template: r#"# The script's own variables; its file tells which. acme.sh must be installed.
script = "dns_example"
home = "/home/acme/.acme.sh"
environment = { EXAMPLE_Token = { file = "/etc/dns01/secrets/example" } }
"#,
    recipe: recipe::recipe,
};
