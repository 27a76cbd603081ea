//! CAs known by name. What a CA's directory says goes before what stands here.

use std::fmt;

/// A CA that can be named instead of addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name people give.
    pub name: &'static str,
    /// The directory.
    pub directory: &'static str,
    /// The name its CAA records have, for directories that do not tell.
    pub caa_identity: &'static str,
    /// How accounts are bound to people the CA knows.
    pub external_account: ExternalAccount,
    /// True if the CA wants a contact.
    pub contact_required: bool,
    /// The preset that tests the same CA without its limits, for trials.
    pub staging: Option<&'static str>,
}

/// Whether a CA wants an external account binding, whatever its directory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternalAccount {
    /// Anyone may register.
    No,
    /// A key id and an HMAC key come from the CA's pages.
    Required,
}

const fn preset(name: &'static str, directory: &'static str, caa_identity: &'static str) -> Preset {
    Preset {
        name,
        directory,
        caa_identity,
        external_account: ExternalAccount::Required,
        contact_required: false,
        staging: None,
    }
}

/// All presets.
pub const PRESETS: &[Preset] = &[
    Preset {
        external_account: ExternalAccount::No,
        staging: Some("letsencrypt-staging"),
        ..preset("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory", "letsencrypt.org")
    },
    Preset {
        external_account: ExternalAccount::No,
        ..preset(
            "letsencrypt-staging",
            "https://acme-staging-v02.api.letsencrypt.org/directory",
            "letsencrypt.org",
        )
    },
    preset("zerossl", "https://acme.zerossl.com/v2/DV90", "sectigo.com"),
    Preset {
        staging: Some("google-staging"),
        ..preset("google", "https://dv.acme-v02.api.pki.goog/directory", "pki.goog")
    },
    preset("google-staging", "https://dv.acme-v02.test-api.pki.goog/directory", "pki.goog"),
    Preset {
        contact_required: true,
        ..preset("sslcom-rsa", "https://acme.ssl.com/sslcom-dv-rsa", "ssl.com")
    },
    Preset {
        contact_required: true,
        ..preset("sslcom-ecc", "https://acme.ssl.com/sslcom-dv-ecc", "ssl.com")
    },
    preset("actalis", "https://acme-api.actalis.com/acme/directory", "actalis.it"),
    preset("digicert", "https://one.digicert.com/mpki/api/v1/acme/v2/directory", "digicert.com"),
    preset("sectigo", "https://acme.sectigo.com/v2/DV", "sectigo.com"),
];

impl Preset {
    /// The preset called `name`, in any letter case.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name.eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_an_https_address_under_a_name_of_its_own() {
        for preset in PRESETS {
            let url = url::Url::parse(preset.directory).unwrap();
            assert_eq!(url.scheme(), "https");
            assert_eq!(PRESETS.iter().filter(|other| other.name == preset.name).count(), 1);
            assert!(preset.staging.is_none_or(|staging| Preset::named(staging).is_some()));
        }
        assert_eq!(Preset::named("LetsEncrypt").unwrap().staging, Some("letsencrypt-staging"));
        assert!(Preset::named("buypass").is_none());
    }
}
