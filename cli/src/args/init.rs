//! `dns01 init`.

use clap::Args;

/// What the configuration is to say; what is left out is asked on a terminal.
#[derive(Args, Debug)]
pub(crate) struct InitArguments {
    /// A name of the certificate, `*.` in front for all names below; may be repeated
    #[arg(
        long = "domain",
        visible_alias = "domains",
        short = 'd',
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub(crate) domains: Vec<String>,
    /// The DNS provider [default: whose name servers the zone has]
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) dns: Option<String>,
    /// The zone of the names; may be repeated [default: as it is delegated]
    #[arg(long = "zone", value_name = "ZONE", value_delimiter = ',')]
    pub(crate) zones: Vec<String>,
    /// The CA: a preset, or the address of a directory [default: letsencrypt]
    #[arg(long, short = 's', visible_alias = "ca", value_name = "CA")]
    pub(crate) server: Option<String>,
    /// An e-mail address for the account; may be repeated
    #[arg(long, short = 'm', value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) email: Vec<String>,
    /// Agree to the CA's terms of service
    #[arg(long, alias = "accept-tos")]
    pub(crate) agree_tos: bool,
    /// Write over a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}
