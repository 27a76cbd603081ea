#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;

pub use config::Config;
pub use provider::Lexicon;

use dns01_provider::Plugin;

/// `provider = "lexicon"`: one of the services that an installed lexicon knows.
pub const PLUGIN: Plugin = Plugin {
    name: "lexicon",
    summary: "a service that the lexicon installed on this machine knows (PyPI: dns-lexicon)",
    keys: &["service", "options", "command", "inherit_environment", "timeout"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[],
    template: r#"# `lexicon SERVICE --help` lists the options; what is written `--auth-token` there is `auth_token`.
service = "example"
options = { auth_token = { file = "/etc/dns01/secrets/example" } }
"#,
    recipe: recipe::recipe,
};
