//! Flags that every command has.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Flags that every command has.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct GlobalArguments {
    /// The configuration [default: dns01.toml in /etc/dns01, for ordinary users in ~/.config/dns01]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the database, the keys and live/ are [default: /var/lib/dns01, for ordinary users
    /// ~/.local/state/dns01]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Ask this recursive resolver instead of the machine's, as `192.0.2.1`,
    /// `tls://dns.example.net@192.0.2.1` or `https://dns.example.net/dns-query`; may be repeated
    #[arg(long = "resolver", global = true, value_name = "RESOLVER", value_delimiter = ',')]
    pub(crate) resolvers: Vec<String>,
    /// Trust only the roots in this PEM file when asking resolvers that flags name
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) resolver_ca_bundle: Option<PathBuf>,
    /// Print failures only
    #[arg(long, short, global = true, conflicts_with = "json")]
    pub(crate) quiet: bool,
    /// Print one JSON document on standard output, and progress as JSON lines on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
    /// Never use colour
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// What to log on standard error, as `info` or `dns01_core::acme=debug`
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// When to use colour.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}
