//! Commands about certificates that are there, or planned.

use super::account::AuthorityArguments;
use super::issue::CredentialArguments;
use clap::{ArgGroup, Args};
use std::path::PathBuf;

/// What to renew.
#[derive(Args, Debug)]
pub(crate) struct RenewArguments {
    /// Only these certificates
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Renew even what is not due; needs the names
    #[arg(long, requires = "names")]
    pub(crate) force: bool,
    /// The time one order may take, as `10m`
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,
}

/// What to list.
#[derive(Args, Debug)]
pub(crate) struct ListArguments {}

/// What to show.
#[derive(Args, Debug)]
pub(crate) struct ShowArguments {
    /// The certificate
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// What to plan.
#[derive(Args, Debug)]
pub(crate) struct PlanArguments {
    /// Only these certificates
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// What to revoke.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).args(["name", "cert"]))]
pub(crate) struct RevokeArguments {
    /// The certificate
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The certificate in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// Sign with this private key (PEM) of the certificate instead of the account's
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Sign with the certificate's own key instead of the account's
    #[arg(long, requires = "name")]
    pub(crate) by_certificate_key: bool,
    /// Why: unspecified, key-compromise, superseded or cessation-of-operation
    #[arg(long, value_name = "REASON", default_value = "unspecified")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) authority: AuthorityArguments,
}

/// What to check.
#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    /// A name to be proved; may be repeated [default: every name of the configuration]
    #[arg(
        long = "domain",
        visible_alias = "domains",
        short = 'd',
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub(crate) domains: Vec<String>,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
    #[command(flatten)]
    pub(crate) authority: AuthorityArguments,
}
