#![doc = include_str!("../README.md")]

mod api;
mod config;
mod credentials;
mod error;
mod provider;
mod recipe;
mod scope;
mod transport;

pub use config::{Config, Role, Source};
pub use provider::Route53;

use dns01_provider::Plugin;

/// Four servers serve a zone, such as `ns-512.awsdns-00.net`, one under each of four domains,
/// each a zone of its own with a number.
macro_rules! name_servers {
    ($($number:literal)*) => {
        &[$(
            concat!(".awsdns-", $number, ".com"),
            concat!(".awsdns-", $number, ".net"),
            concat!(".awsdns-", $number, ".org"),
            concat!(".awsdns-", $number, ".co.uk"),
        )*]
    };
}

#[rustfmt::skip]
const NAME_SERVERS: &[&str] = name_servers!(
    "00" "01" "02" "03" "04" "05" "06" "07" "08" "09" "10" "11" "12" "13" "14" "15"
    "16" "17" "18" "19" "20" "21" "22" "23" "24" "25" "26" "27" "28" "29" "30" "31"
    "32" "33" "34" "35" "36" "37" "38" "39" "40" "41" "42" "43" "44" "45" "46" "47"
    "48" "49" "50" "51" "52" "53" "54" "55" "56" "57" "58" "59" "60" "61" "62" "63"
);

/// `provider = "route53"`: Amazon Route 53.
pub const PLUGIN: Plugin = Plugin {
    name: "route53",
    summary: "Amazon Route 53, with a policy for single names",
    keys: &[
        "access_key_id",
        "secret_access_key",
        "session_token",
        "profile",
        "role_arn",
        "external_id",
        "role_session_name",
        "web_identity_token",
        "hosted_zone_id",
        "region",
        "endpoint_url",
        "sts_endpoint_url",
    ],
    build: provider::build,
    from_environment: config::from_environment,
    name_servers: NAME_SERVERS,
    template: r#"# Without keys the usual places are searched: environment, shared files (`profile`), web identity,
# container and instance metadata. Give the zone's id beside its name, and it need not be looked up.
access_key_id = { file = "/etc/dns01/secrets/aws-access-key-id" }
secret_access_key = { file = "/etc/dns01/secrets/aws-secret-access-key" }
"#,
    recipe: recipe::recipe,
};
