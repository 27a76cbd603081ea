//! The one place where provider plugins are wired in: a Cargo feature and a line each.

use dns01_core::config::nearest;
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

/// Providers by the names that other clients have for them (acme.sh's without `dns_`, certbot's
/// without `dns-`), where these differ from ours.
const ELSEWHERE: &[(&str, &str)] = &[
    ("acmedns", "acme-dns"),
    ("aws", "route53"),
    ("azuredns", "azure"),
    ("cf", "cloudflare"),
    ("dgon", "digitalocean"),
    ("gandi_livedns", "gandi"),
    ("gandiv5", "gandi"),
    ("gcloud", "google"),
    ("gcp", "google"),
    ("googleclouddns", "google"),
    ("hetznercloud", "hetzner"),
    ("linode_v4", "linode"),
    ("nsupdate", "rfc2136"),
    ("pdns", "powerdns"),
];

/// Which of `known` the provider `name` was probably meant to be.
pub(crate) fn meant<'a>(name: &'a str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let is_known = |name: &&str| known.clone().any(|one| one == *name);
    let of_acme_sh = name.strip_prefix("dns_");
    let bare = of_acme_sh.or_else(|| name.strip_prefix("dns-")).unwrap_or(name);
    let elsewhere = ELSEWHERE.iter().find(|(theirs, _)| *theirs == bare).map_or(bare, |(_, ours)| ours);
    let script = || of_acme_sh.map(|_| "acme-sh").filter(is_known);
    let ours = Some(elsewhere).filter(is_known).or_else(script);
    if ours.is_some() { ours } else { nearest(name, known) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_providers_have_the_same_name() {
        let names: HashSet<&str> = PLUGINS.iter().map(|plugin| plugin.name).collect();
        assert_eq!(names.len(), PLUGINS.len());
    }

    #[test]
    fn the_names_of_other_clients_lead_to_ours() {
        let known = PLUGINS.iter().map(|plugin| plugin.name);
        for (theirs, ours) in [
            ("dns_cf", "cloudflare"),
            ("dns_nsupdate", "rfc2136"),
            ("dns_aws", "route53"),
            ("dns-google", "google"),
            ("gcloud", "google"),
            ("dns_inwx", "acme-sh"),
            ("rfc2163", "rfc2136"),
        ] {
            assert_eq!(meant(theirs, known.clone()), Some(ours), "{theirs}");
        }
        assert_eq!(meant("nosuch", known.clone()), None);
        assert!(ELSEWHERE.iter().all(|(_, ours)| known.clone().any(|one| one == *ours)));
    }
}
