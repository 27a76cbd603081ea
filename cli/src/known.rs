//! Every certificate there is: those of the file, those that flags asked for, and those that
//! nobody wants any more.

use crate::errors::{Failure, Failures};
use crate::paths::is_absent;
use crate::remembered::recall;
use crate::wanted::{self, Wanted};
use dns01_core::config::{Config, nearest};
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

/// Those of `known` that are called `names`; all if no name is given.
pub(crate) fn select(known: Vec<Known>, names: &[String], config: &Config) -> Result<Vec<Known>, Failure> {
    for name in names {
        if !known.iter().any(|one| one.name == *name) {
            return Err(unknown(name, &known, config));
        }
    }
    Ok(known.into_iter().filter(|one| names.is_empty() || names.contains(&one.name)).collect())
}

/// The failure that no certificate is called `name`.
pub(crate) fn unknown(name: &str, known: &[Known], config: &Config) -> Failure {
    let near = nearest(name, known.iter().map(|one| one.name.as_str()));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if is_absent(&config.state_dir) => {
            format!("there is no state directory `{}`: is it another?", config.state_dir.display())
        }
        None => "`dns01 list` lists them".to_owned(),
    };
    Failure::usage("usage-no-such-certificate", format!("no certificate is called `{name}`")).with_hint(hint)
}
