//! Accounts: who may write at which name.

use dns01_provider::{Fqdn, NameError, ZoneName};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

/// The label that a challenge name begins with.
const CHALLENGE: &str = "_acme-challenge.";

/// What proves to the server who may write at one name. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The name that its values stand at, below the server's zone.
    pub(crate) fulldomain: Fqdn,
    pub(crate) subdomain: String,
    pub(crate) username: SecretString,
    pub(crate) password: SecretString,
}

/// An account as storages and the server write it; storages of others have further fields.
#[derive(Deserialize)]
pub(crate) struct Form {
    fulldomain: String,
    subdomain: String,
    username: SecretString,
    password: SecretString,
}

impl Account {
    pub(crate) fn new(form: Form) -> Result<Self, NameError> {
        let Form { fulldomain, subdomain, username, password } = form;
        Ok(Self { fulldomain: Fqdn::parse(&fulldomain)?, subdomain, username, password })
    }

    /// The server's zone.
    pub(crate) fn zone(&self) -> Option<ZoneName> {
        let rest = self.fulldomain.as_str().strip_prefix(&self.subdomain.to_ascii_lowercase())?;
        ZoneName::parse(rest.strip_prefix('.')?).ok()
    }

    /// As goacmedns, and with it lego and cert-manager, keep it.
    pub(crate) fn stored(&self, server: &str) -> Value {
        json!({
            "fulldomain": self.fulldomain.as_str(),
            "subdomain": self.subdomain,
            "username": self.username.expose_secret(),
            "password": self.password.expose_secret(),
            "server_url": server,
        })
    }

    /// The record that leads from `name` to the account.
    pub(crate) fn record(&self, name: &Fqdn) -> String {
        format!("{} CNAME {}", name.absolute(), self.fulldomain.absolute())
    }
}

/// What storages call the account for the challenge name `name`: the domain, as lego does.
pub(crate) fn key(name: &Fqdn) -> &str {
    name.as_str().strip_prefix(CHALLENGE).unwrap_or(name.as_str())
}

/// True for a name that accounts are made for.
pub(crate) fn is_challenge(name: &Fqdn) -> bool {
    name.as_str().starts_with(CHALLENGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_knows_its_zone_and_the_record_that_leads_to_it() {
        let form = json!({
            "fulldomain": "D420C923.auth.example.net", "subdomain": "D420C923", "username": "u",
            "password": "hunter2", "allowfrom": [],
        });
        let account = Account::new(serde_json::from_value(form).unwrap()).unwrap();
        assert_eq!(account.zone().unwrap().as_str(), "auth.example.net");
        let name = Fqdn::parse("_acme-challenge.www.example.com").unwrap();
        assert_eq!(
            account.record(&name),
            "_acme-challenge.www.example.com. CNAME d420c923.auth.example.net."
        );
        assert_eq!(key(&name), "www.example.com");
        assert!(!format!("{account:?}").contains("hunter2"));
    }
}
