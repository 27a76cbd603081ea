//! `dns01 txt …`.

use super::issue::CredentialArguments;
use clap::{Args, Subcommand};

/// What to do with TXT values.
#[derive(Subcommand, Debug)]
pub(crate) enum TxtCommand {
    /// Write a value; it stays until it is removed
    Add(TxtValueArguments),
    /// Remove a value, and only this one
    Remove(TxtValueArguments),
    /// Wait until every authoritative name server has the values
    Wait(TxtWaitArguments),
    /// List the values in the ledger: those that are ours
    List,
    /// Remove the values that crashed runs have left behind
    Gc,
}

/// A value at a name.
#[derive(Args, Debug)]
pub(crate) struct TxtValueArguments {
    /// Where, as `_acme-challenge.example.com`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What
    #[arg(value_name = "VALUE")]
    pub(crate) value: String,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
}

/// Values to wait for at a name.
#[derive(Args, Debug)]
pub(crate) struct TxtWaitArguments {
    /// Where, as `_acme-challenge.example.com`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What; each must be there
    #[arg(value_name = "VALUE", required = true)]
    pub(crate) values: Vec<String>,
    #[command(flatten)]
    pub(crate) credential: CredentialArguments,
}
