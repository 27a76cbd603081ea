//! `dns01 issue`.

use super::account::AuthorityArguments;
use clap::{ArgGroup, Args};
use std::path::PathBuf;

/// What certificate, from which CA, through which DNS provider.
#[derive(Args, Debug, Clone)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["domains", "csr", "all"]))]
pub(crate) struct IssueArguments {
    /// A name of the certificate, `*.` in front for all names below; may be repeated
    #[arg(
        long = "domain",
        visible_alias = "domains",
        short = 'd',
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub(crate) domains: Vec<String>,
    /// Every certificate of the configuration
    #[arg(long, conflicts_with_all = ["domains", "csr", "dns", "server", "staging"])]
    pub(crate) all: bool,
    /// Use this request (PEM or DER) instead of a key of our own; its names are taken
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_type", "reuse_key"])]
    pub(crate) csr: Option<PathBuf>,
    /// What to call the certificate; one that is called so is replaced [default: its first name]
    #[arg(long = "cert-name", value_name = "NAME", conflicts_with = "all")]
    pub(crate) certificate_name: Option<String>,
    /// The kind of key: ec256, ec384, rsa2048, rsa3072 or rsa4096
    #[arg(long, value_name = "KIND", conflicts_with = "all")]
    pub(crate) key_type: Option<String>,
    /// Keep the key when renewing
    #[arg(long, conflicts_with = "all")]
    pub(crate) reuse_key: bool,
    /// The CA's profile to ask for
    #[arg(long, value_name = "PROFILE", conflicts_with = "all")]
    pub(crate) profile: Option<String>,
    /// Prefer the chain with this issuer name
    #[arg(long, value_name = "ISSUER", conflicts_with = "all")]
    pub(crate) preferred_chain: Option<String>,
    /// How to prove the names: dns-01, dns-account-01 or dns-persist-01
    #[arg(long, value_name = "TYPE", conflicts_with = "all")]
    pub(crate) challenge: Option<String>,
    /// Prove the names ahead of the order, where the CA lets one
    #[arg(long)]
    pub(crate) pre_authorize: bool,
    /// Obtain a new certificate even if none is due
    #[arg(long)]
    pub(crate) force: bool,
    /// Try it with the CA's staging environment, and touch no live file
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The time one order may take, as `10m`
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
    #[command(flatten)]
    pub(crate) authority: AuthorityArguments,
}

/// Through which DNS provider, and how its servers are watched.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "DNS")]
pub(crate) struct CredentialArguments {
    /// A provider, with its settings in the environment; or a [dns.*] table
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) dns: Option<String>,
    /// A zone the credential is for, as `example.com` or `example.com=ID`; may be repeated
    #[arg(long = "zone", value_name = "ZONE[=ID]", value_delimiter = ',', requires = "dns")]
    pub(crate) zones: Vec<String>,
    /// Seconds that new records live
    #[arg(long, value_name = "SECONDS", requires = "dns")]
    pub(crate) ttl: Option<u32>,
    /// Watch these name servers instead of the delegated ones
    #[arg(long = "name-server", value_name = "ADDRESS", value_delimiter = ',', requires = "zones")]
    pub(crate) name_servers: Vec<String>,
    /// The time that a record may take to be seen everywhere, as `3m`
    #[arg(long, value_name = "TIME")]
    pub(crate) propagation_timeout: Option<String>,
    /// The name servers that must confirm: `all` or a number [default: at least half]
    #[arg(long, value_name = "COUNT")]
    pub(crate) quorum: Option<String>,
    /// Who has to show the values: authoritative, recursive, provider or none
    #[arg(long, value_name = "MODE")]
    pub(crate) propagation_check: Option<String>,
    /// Ask nobody for so long after the values were written; alone it is the mode `none`
    #[arg(long, value_name = "TIME")]
    pub(crate) propagation_wait: Option<String>,
    /// A resolver that has to show the values, in the mode `recursive`; may be repeated
    #[arg(long = "propagation-resolver", value_name = "RESOLVER", value_delimiter = ',')]
    pub(crate) propagation_resolvers: Vec<String>,
    /// When all is seen, it must still be so after this time, as `10s`
    #[arg(long, value_name = "TIME")]
    pub(crate) settle: Option<String>,
    /// Take it that this challenge name is an alias of a name in a zone; may be repeated
    #[arg(long = "alias", value_name = "NAME=TARGET", value_delimiter = ',', requires = "zones")]
    pub(crate) aliases: Vec<String>,
}
