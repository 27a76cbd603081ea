//! The one place where provider plugins are wired in: a Cargo feature and a line each.

use dns01_provider::Plugin;

/// The providers that this program has.
pub(crate) const PLUGINS: &[Plugin] = &[
    #[cfg(feature = "acme-dns")]
    dns01_provider_acme_dns::PLUGIN,
    #[cfg(feature = "acme-sh")]
    dns01_provider_acme_sh::PLUGIN,
    #[cfg(feature = "cloudflare")]
    dns01_provider_cloudflare::PLUGIN,
    #[cfg(feature = "exec")]
    dns01_provider_exec::PLUGIN,
    #[cfg(feature = "httpreq")]
    dns01_provider_httpreq::PLUGIN,
    #[cfg(feature = "lexicon")]
    dns01_provider_lexicon::PLUGIN,
    #[cfg(feature = "powerdns")]
    dns01_provider_powerdns::PLUGIN,
    #[cfg(feature = "rfc2136")]
    dns01_provider_rfc2136::PLUGIN,
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
