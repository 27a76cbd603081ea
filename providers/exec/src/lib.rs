#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;

pub use config::{Config, Form};
pub use provider::Exec;

use dns01_provider::Plugin;

/// `provider = "exec"`: a program of one's own.
pub const PLUGIN: Plugin = Plugin {
    name: "exec",
    summary: "a program of your own, asked over standard input and output, or as lego asks it",
    keys: &["command", "form", "mode", "environment", "inherit_environment", "timeout"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[],
    template: r#"# JSON on standard input and output; see the provider's page for the protocol.
command = ["/usr/local/bin/write-txt"]
"#,
    recipe: recipe::recipe,
};
