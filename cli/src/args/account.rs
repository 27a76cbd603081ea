//! `dns01 account …`, and the flags that say which CA and who we are there.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Which CA, and who we are there.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "CA and account")]
pub(crate) struct AuthorityArguments {
    /// The CA: a preset, a [ca.*] table, or the address of a directory [default: letsencrypt]
    #[arg(long, short = 's', visible_alias = "ca", value_name = "CA")]
    pub(crate) server: Option<String>,
    /// Use Let's Encrypt's staging environment, whose certificates nobody trusts
    #[arg(long, conflicts_with = "server")]
    pub(crate) staging: bool,
    /// Trust only the roots in this PEM file when speaking to the CA
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Reach the CA through this HTTP proxy
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// An e-mail address for the account; may be repeated
    #[arg(long, short = 'm', value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) email: Vec<String>,
    /// Agree to the CA's terms of service
    #[arg(long, alias = "accept-tos")]
    pub(crate) agree_tos: bool,
    /// The key identifier for external account binding
    #[arg(long, value_name = "KID", requires = "eab_hmac_key_file")]
    pub(crate) eab_kid: Option<String>,
    /// A file with the MAC key for external account binding, base64url
    #[arg(long, value_name = "FILE", requires = "eab_kid")]
    pub(crate) eab_hmac_key_file: Option<PathBuf>,
    /// The kind of a new account key: es256, es384 or rs256
    #[arg(long, value_name = "KIND")]
    pub(crate) account_key_type: Option<String>,
}

/// What to do with an account.
#[derive(Subcommand, Debug)]
pub(crate) enum AccountCommand {
    /// Create the account, or find the one that is there
    Register(AccountArguments),
    /// Show the account as the CA knows it
    Show(AccountArguments),
    /// Change the contact addresses, or agree to terms of service that have changed
    Update(AccountArguments),
    /// Give the account a new key
    Rollover(AccountArguments),
    /// Give the account up for ever
    Deactivate(DeactivateArguments),
}

/// An account.
#[derive(Args, Debug)]
pub(crate) struct AccountArguments {
    #[command(flatten)]
    pub(crate) authority: AuthorityArguments,
}

/// An account to give up.
#[derive(Args, Debug)]
pub(crate) struct DeactivateArguments {
    #[command(flatten)]
    pub(crate) authority: AuthorityArguments,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}
