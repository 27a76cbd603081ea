#![doc = include_str!("../README.md")]

mod api;
mod config;
mod error;
mod identity;
mod provider;
mod recipe;
mod scope;

pub use config::{Config, Proof};
pub use provider::Azure;

use dns01_provider::Plugin;

/// `provider = "azure"`: Azure DNS, public zones.
pub const PLUGIN: Plugin = Plugin {
    name: "azure",
    summary: "Azure DNS, with a client secret, a workload identity or a managed identity",
    keys: &[
        "subscription_id",
        "resource_group",
        "tenant_id",
        "client_id",
        "client_secret",
        "client_assertion",
        "access_token",
        "environment",
        "keep_record_sets",
        "base_url",
        "login_url",
        "identity_endpoint",
        "identity_header",
    ],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: &[".azure-dns.com", ".azure-dns.net", ".azure-dns.org", ".azure-dns.info"],
    template: r#"subscription_id = "00000000-0000-0000-0000-000000000000"
resource_group = "dns"
# Without the next three lines the machine's managed identity is used.
tenant_id = "00000000-0000-0000-0000-000000000000"
client_id = "00000000-0000-0000-0000-000000000000"
client_secret = { file = "/etc/dns01/secrets/azure" }
# Where the role is given on single record sets, which take it along when they are deleted:
# keep_record_sets = true
"#,
    recipe: recipe::recipe,
};
