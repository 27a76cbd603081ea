//! Every certificate there is: those of the file, those that flags asked for, and those that
//! nobody wants any more.

use crate::errors::{Failure, Failures};
use crate::paths::is_absent;
use crate::program::{Program, dry_run_directory};
use crate::remembered::recall;
use crate::wanted::{self, Wanted};
use dns01_core::config::{CertificateName, Config, Domain, nearest};
use dns01_core::inventory::Entry;
use dns01_core::plan::Decision;
use dns01_core::store::{Certificate, Store};
use jiff::Timestamp;

/// A certificate, as it is wanted and as the store knows it; at least one of the two is there.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) wanted: Option<Wanted>,
    pub(crate) stored: Option<Certificate>,
    /// Why what is remembered of it cannot be used.
    pub(crate) senseless: Option<Failure>,
}

impl Known {
    /// True if it is to be kept valid: the file wants it, or flags have obtained it once. A
    /// mistyped `issue` that never succeeded is not tried for ever.
    pub(crate) fn is_kept(&self) -> bool {
        let obtained = self.stored.as_ref().is_some_and(|stored| stored.current.is_some());
        self.wanted.as_ref().is_some_and(|wanted| wanted.from_file || obtained)
    }

    /// The names it has, or is to have.
    pub(crate) fn names(&self) -> Vec<String> {
        match (&self.wanted, &self.stored) {
            (Some(wanted), _) => wanted.certificate.domains.iter().map(ToString::to_string).collect(),
            (None, Some(stored)) => stored.names.clone(),
            (None, None) => Vec::new(),
        }
    }

    /// When it is renewed, and why if it is due: what `plan` decides, in few words. `when` says
    /// a moment.
    pub(crate) fn renewal(&self, now: Timestamp, when: fn(Timestamp) -> String) -> String {
        let Some(wanted) = &self.wanted else { return "not wanted any more".to_owned() };
        let entry = Entry {
            wanted: wanted.certificate.clone(),
            own_request: wanted.csr.is_some(),
            known: self.stored.clone(),
            // That is a reason more to renew what is due, and none to renew what is not.
            unfinished: false,
        };
        match entry.decide(false, now) {
            Decision::Issue(reason) => format!("due now: {reason}"),
            Decision::Wait { until, .. } => format!("next try {}", when(until)),
            Decision::Fine(renewal) => {
                let advised = if renewal.advised { ", as the CA advises" } else { "" };
                format!("from {}{advised}", when(renewal.from))
            }
        }
    }
}

/// Every certificate, those of the file first.
pub(crate) async fn certificates(config: &Config, store: Option<&Store>) -> Result<Vec<Known>, Failures> {
    let mut stored = match store {
        Some(store) => store.certificates().await.map_err(Failure::from)?,
        None => Vec::new(),
    };
    let mut known = Vec::new();
    for wanted in wanted::from_file(config)? {
        let name = wanted.certificate.name.to_string();
        let position = stored.iter().position(|certificate| certificate.name == name);
        let stored = position.map(|position| stored.swap_remove(position));
        known.push(Known { name, wanted: Some(wanted), stored, senseless: None });
    }
    stored.sort_by(|one, other| one.name.cmp(&other.name));
    for certificate in stored {
        let (wanted, senseless) = match recall(&certificate, config) {
            Ok(wanted) => (wanted, None),
            Err(failure) => (None, Some(failure)),
        };
        known.push(Known { name: certificate.name.clone(), wanted, stored: Some(certificate), senseless });
    }
    Ok(known)
}

/// What dry runs have asked for: where they were killed, their credentials are needed once more.
pub(crate) async fn of_dry_runs(program: &Program, config: &Config) -> Vec<Wanted> {
    let directory = dry_run_directory(&config.state_dir);
    if !directory.join("dns01.db").exists() {
        return Vec::new();
    }
    let look = async {
        let store = program.store(&directory).await?;
        let known = certificates(config, Some(&store)).await;
        store.close().await.map_err(Failure::from)?;
        known
    };
    // Whatever is wrong there, nothing that is real depends on it.
    let known: Result<Vec<Known>, Failures> = look.await;
    known.unwrap_or_default().into_iter().filter_map(|one| one.wanted).collect()
}

/// Those of `known` that are called `names`; all if no name is given.
pub(crate) fn select(known: Vec<Known>, names: &[String], config: &Config) -> Result<Vec<Known>, Failure> {
    let called = |name: &String| match position(name, &known) {
        Some(position) => Ok(position),
        None => Err(unknown(name, &known, config)),
    };
    let positions = names.iter().map(called).collect::<Result<Vec<_>, _>>()?;
    let known = known.into_iter().enumerate();
    let chosen = known.filter(|(position, _)| names.is_empty() || positions.contains(position));
    Ok(chosen.map(|(_, one)| one).collect())
}

/// Where in `known` the certificate is that is called `name`: as it stands, or as `-d` takes it.
/// A wildcard must be in it, because its certificate is called as the name below it.
pub(crate) fn position(name: &str, known: &[Known]) -> Option<usize> {
    let at = |name: &str| known.iter().position(|one| one.name == name);
    at(name).or_else(|| {
        let domain = Domain::parse(name).ok()?;
        let position = at(CertificateName::of(&domain).as_str())?;
        let is_in_it = !domain.wildcard || known[position].names().contains(&domain.to_string());
        is_in_it.then_some(position)
    })
}

/// The failure that no certificate is called `name`.
pub(crate) fn unknown(name: &str, known: &[Known], config: &Config) -> Failure {
    let domain = Domain::parse(name).ok().map(|domain| domain.to_string());
    let has_it = |one: &&Known| domain.as_ref().is_some_and(|domain| one.names().contains(domain));
    let mut holders = known.iter().filter(has_it);
    let near = nearest(name, known.iter().map(|one| one.name.as_str()));
    let hint = match (holders.next(), holders.next(), near) {
        (Some(one), None, _) => format!("did you mean `{}`, which has this name?", one.name),
        (_, _, Some(near)) => format!("did you mean `{near}`?"),
        _ if is_absent(&config.state_dir) => {
            format!("there is no state directory `{}`: is it another?", config.state_dir.display())
        }
        _ => "`dns01 list` lists them".to_owned(),
    };
    Failure::usage("usage-no-such-certificate", format!("no certificate is called `{name}`")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn known(name: &str, names: &[&str]) -> Known {
        let stored = Certificate {
            name: name.to_owned(),
            names: names.iter().map(|&name| name.to_owned()).collect(),
            request: String::new(),
            created: Timestamp::UNIX_EPOCH,
            current: None,
            renewal: None,
            failure: None,
        };
        Known { name: name.to_owned(), wanted: None, stored: Some(stored), senseless: None }
    }

    #[test]
    fn a_certificate_is_found_by_what_was_typed_for_it() {
        let all = [
            known("xn--bcher-kva.example.test", &["xn--bcher-kva.example.test"]),
            known("example.test", &["example.test", "*.example.test"]),
            known("plain.test", &["plain.test"]),
        ];
        assert_eq!(position("bücher.example.test", &all), Some(0));
        assert_eq!(position("*.Example.test.", &all), Some(1));
        assert_eq!(position("*.plain.test", &all), None, "it has no wildcard");
        assert_eq!(position("www.example.test", &all), None);
    }

    #[test]
    fn a_name_that_one_certificate_alone_has_leads_to_it() {
        let mut config = crate::wanted::tests::config("");
        config.state_dir = "/".into();
        let all = [known("shop", &["www.a.test", "both.test"]), known("other", &["both.test"])];
        let hint = |name| unknown(name, &all, &config).hint.unwrap();
        assert_eq!(hint("WWW.a.test"), "did you mean `shop`, which has this name?");
        assert_eq!(hint("both.test"), "`dns01 list` lists them");
        assert_eq!(hint("shopp"), "did you mean `shop`?");
    }
}
