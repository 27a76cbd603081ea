//! How to make the smallest credential.

use crate::account;
use crate::storage::Storage;
use dns01_provider::{Recipe, ScopeNeed, Settings};

/// An account is as small as a credential can be; the records that lead to the accounts are the
/// work. Those of accounts that are there already are told in full.
pub(crate) fn recipe(settings: &Settings, needs: &[ScopeNeed]) -> Recipe {
    let accounts = settings.text("storage").and_then(|path| Storage::new(path.into()).read().ok());
    let (mut records, mut without) = (Vec::new(), Vec::new());
    for name in needs.iter().map(|need| &need.name).filter(|name| account::is_challenge(name)) {
        match accounts.as_ref().and_then(|accounts| accounts.of(account::key(name))) {
            Some(account) => records.push(account.record(name)),
            None => without.push(format!("dns01 check -d {} --dns acme-dns", account::key(name))),
        }
    }
    let mut recipe = Recipe::new("two TXT values at one name of acme-dns for each account, and nothing else");
    if !without.is_empty() {
        let title = "let accounts be registered and stored (`ACME_DNS_API_BASE` and `ACME_DNS_STORAGE_PATH` name \
                     server and file); each run ends with the CNAME to create";
        recipe = recipe.step(title, without.join("\n"));
    }
    if !records.is_empty() {
        recipe = recipe.step("have these records, which lead to the accounts", records.join("\n"));
    }
    recipe.step("let `allow_from` name this machine's networks before accounts are registered", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_provider::{Fqdn, Zone, ZoneName};

    fn need(name: &str) -> ScopeNeed {
        let zone = Zone::named(ZoneName::parse("example.com").unwrap());
        ScopeNeed { zone, name: Fqdn::parse(name).unwrap() }
    }

    #[test]
    fn the_record_of_an_account_that_is_there_is_told_and_how_to_register_the_others() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = r#"{"a.example.com":{"fulldomain":"8e57.auth.test","subdomain":"8e57","username":"u","password":"hunter2"}}"#;
        std::fs::write(file.path(), text).unwrap();
        let settings = Settings::default().with("storage", file.path().to_str().unwrap());
        let recipe = recipe(
            &settings,
            &[need("_acme-challenge.a.example.com"), need("_acme-challenge.b.example.com")],
        );
        let texts: Vec<&str> = recipe.steps.iter().map(|step| step.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "dns01 check -d b.example.com --dns acme-dns",
                "_acme-challenge.a.example.com. CNAME 8e57.auth.test.",
                ""
            ]
        );
    }
}
