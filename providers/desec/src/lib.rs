#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod provider;
mod recipe;
mod scope;

pub use config::Config;
pub use provider::Desec;

use dns01_provider::Plugin;

/// `provider = "desec"`: deSEC.
pub const PLUGIN: Plugin = Plugin {
    name: "desec",
    summary: "deSEC, with a token that may write the challenges of one domain",
    keys: &["token", "token_id", "minimum_ttl", "base_url"],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".desec.io", ".desec.org"],
    template: r#"# A token with a policy for each challenge name (`dns01 scope recipe` has the commands).
token = { file = "/etc/dns01/secrets/desec" }
# With the token's id `dns01 scope audit` can read its policies.
# token_id = "…"
"#,
    recipe: recipe::recipe,
};
