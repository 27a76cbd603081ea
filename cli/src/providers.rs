//! The one place where provider plugins are wired in: a Cargo feature and a line each.

use dns01_provider::Plugin;

/// The providers that this program has.
pub(crate) const PLUGINS: &[Plugin] = &[
    #[cfg(feature = "acme-dns")]
    dns01_provider_acme_dns::PLUGIN,
    #[cfg(feature = "acme-sh")]
    dns01_provider_acme_sh::PLUGIN,
    #[cfg(feature = "azure")]
    dns01_provider_azure::PLUGIN,
    #[cfg(feature = "cloudflare")]
    dns01_provider_cloudflare::PLUGIN,
    #[cfg(feature = "desec")]
    dns01_provider_desec::PLUGIN,
    #[cfg(feature = "digitalocean")]
    dns01_provider_digitalocean::PLUGIN,
    #[cfg(feature = "exec")]
    dns01_provider_exec::PLUGIN,
    #[cfg(feature = "gandi")]
    dns01_provider_gandi::PLUGIN,
    #[cfg(feature = "google")]
    dns01_provider_google::PLUGIN,
    #[cfg(feature = "hetzner")]
    dns01_provider_hetzner::PLUGIN,
    #[cfg(feature = "httpreq")]
    dns01_provider_httpreq::PLUGIN,
    #[cfg(feature = "lexicon")]
    dns01_provider_lexicon::PLUGIN,
    #[cfg(feature = "linode")]
    dns01_provider_linode::PLUGIN,
    #[cfg(feature = "ovh")]
    dns01_provider_ovh::PLUGIN,
    #[cfg(feature = "porkbun")]
    dns01_provider_porkbun::PLUGIN,
    #[cfg(feature = "powerdns")]
    dns01_provider_powerdns::PLUGIN,
    #[cfg(feature = "rfc2136")]
    dns01_provider_rfc2136::PLUGIN,
    #[cfg(feature = "route53")]
    dns01_provider_route53::PLUGIN,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_providers_have_the_same_name() {
        let names: HashSet<&str> = PLUGINS.iter().map(|plugin| plugin.name).collect();
        assert_eq!(names.len(), PLUGINS.len());
    }
}
