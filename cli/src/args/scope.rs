//! `dns01 scope …`.

use super::issue::CredentialArguments;
use clap::{Args, Subcommand};

/// What to do about what credentials can do.
#[derive(Subcommand, Debug)]
pub(crate) enum ScopeCommand {
    /// Print how to make the smallest credential that will do; it need not exist yet
    Recipe(ScopeArguments),
    /// Ask each credential what it can do beyond its needs; nothing is changed
    ///
    /// Exit codes: 0 every one is exactly enough, 1 something is more or less than needed or no
    /// service tells, 2 usage or configuration, 3 no credential could be asked.
    Audit(ScopeArguments),
}

/// For which names, and through which credential.
#[derive(Args, Debug)]
pub(crate) struct ScopeArguments {
    /// A name to be proved; may be repeated [default: every name of every certificate]
    #[arg(
        long = "domain",
        visible_alias = "domains",
        short = 'd',
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub(crate) domains: Vec<String>,
    /// Look no alias up: take every name to be in the zone that is configured for it
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
}
