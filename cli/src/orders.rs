//! Many certificates at once: each is looked up, decided on, and obtained if it is due. One
//! that fails does not stop the others.

use crate::errors::{Exit, Failure};
use crate::output::words;
use crate::program::{Program, Session};
use crate::remembered::remember;
use crate::secrets;
use crate::wanted::Wanted;
use dns01_core::authority::Authority;
use dns01_core::clock::Clock;
use dns01_core::config::{CaConfig, Config, CredentialConfig};
use dns01_core::deploy::FileSet;
use dns01_core::event::Happening;
use dns01_core::inventory::Entry;
use dns01_core::issue::{Context, IssueError, Issued, ORDERS_AT_ONCE, Request, issue};
use dns01_core::keys::CertificateKey;
use dns01_core::plan::{Decision, Renewal};
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use std::sync::Arc;

/// What the user says about all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mood {
    /// Obtain a new one whatever is there.
    pub(crate) force: bool,
    /// Try now what would wait after a failure, since somebody asks for it in person.
    pub(crate) impatient: bool,
}

/// What became of one certificate.
#[derive(Debug)]
pub(crate) enum Became {
    /// It was obtained.
    Issued(Box<Issued>),
    /// It was not due.
    NotDue(Renewal),
    /// It failed lately and waits.
    Waits(Timestamp),
    /// It failed.
    Failed(Box<Failure>),
}

/// What a certificate is to be obtained from, or why it cannot be.
type Made = Result<Arc<Authority>, Failure>;

/// The CAs of what is wanted, one for all that say the same of it.
struct Authorities(Vec<(CaConfig, Made)>);

impl Authorities {
    /// Makes them; nothing is sent. One that cannot be made fails its own certificates only.
    fn of<'a>(clock: &Clock, cas: impl IntoIterator<Item = &'a CaConfig>) -> Self {
        let mut all: Vec<(CaConfig, Made)> = Vec::new();
        for ca in cas {
            if all.iter().all(|(known, _)| known != ca) {
                let made = all.iter().filter_map(|(_, made)| made.as_ref().ok());
                let made = match made.clone().find_map(|authority| authority.otherwise(ca)) {
                    Some(authority) => Ok(authority),
                    None => Authority::new(ca.clone(), clock.clone()),
                };
                all.push((ca.clone(), made.map(Arc::new).map_err(Failure::from)));
            }
        }
        Self(all)
    }

    /// The one of `ca`.
    fn get(&self, ca: &CaConfig) -> Made {
        let found = self.0.iter().find(|(known, _)| known == ca);
        let (_, made) = found.expect("one was made for every CA that is wanted");
        made.clone()
    }
}

/// The credentials that `wanted` need beside those of the file.
pub(crate) fn credentials(wanted: &[Wanted]) -> impl Iterator<Item = &CredentialConfig> {
    wanted.iter().filter_map(Wanted::credential)
}

/// Obtains what is due of `wanted`, as many at a time as orders may be under way. What became of
/// each is in order.
pub(crate) async fn carry_out(
    program: &Program,
    session: &Session,
    config: &Config,
    wanted: Vec<Wanted>,
    mood: Mood,
) -> Vec<(String, Became)> {
    let authorities = Authorities::of(&program.clock, wanted.iter().map(|one| &one.ca));
    let all = wanted.into_iter().enumerate().map(|(index, one)| {
        let through = authorities
            .get(&one.ca)
            .and_then(|authority| Ok((authority, session.context_through(one.credential())?)));
        // Connections, writers and watchers have tasks of their own; an order mostly waits.
        async move {
            let name = one.certificate.name.to_string();
            let became = match through {
                Ok((authority, context)) => {
                    carry_out_one(program, &context, &authority, config, one, mood).await
                }
                Err(failure) => Err(Box::new(failure)),
            };
            let became = match became {
                Ok(became) => became,
                Err(mut failure) => {
                    failure.certificate = Some(name.clone());
                    session.context.events.of(&name).emit(Happening::Failed {
                        id: failure.id.to_owned(),
                        text: failure.message.clone(),
                        retry_at: failure.retry_at,
                    });
                    Became::Failed(failure)
                }
            };
            (index, (name, became))
        }
    });
    let mut results: Vec<_> = stream::iter(all).buffer_unordered(ORDERS_AT_ONCE).collect().await;
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

async fn carry_out_one(
    program: &Program,
    context: &Context,
    authority: &Arc<Authority>,
    config: &Config,
    wanted: Wanted,
    mood: Mood,
) -> Result<Became, Box<Failure>> {
    let now = context.clock.now();
    let events = context.events.of(wanted.certificate.name.as_str());
    let failed = |failure: Failure| Box::new(failure);
    let mut entry = Entry::look_up(&context.store, wanted.certificate.clone(), wanted.csr.is_some())
        .await
        .map_err(|error| failed(error.into()))?;
    if !mood.force {
        tokio::select! {
            refreshed = entry.refresh_advice(&context.store, authority, now) => {
                refreshed.map_err(|error| failed(error.into()))?;
            }
            () = context.cancel.cancelled() => return Err(failed(IssueError::Interrupted.into())),
        }
    }
    match entry.decide(mood.force, now) {
        Decision::Fine(renewal) => {
            restore_files(context, &entry).await.map_err(failed)?;
            forebode(program, &wanted, config).await;
            let from = words::moment(renewal.from);
            events.emit(Happening::NotDue { text: format!("not due: it is renewed from {from}") });
            return Ok(Became::NotDue(renewal));
        }
        Decision::Wait { stale_until: Some(until), .. } if mood.impatient => {
            return Err(failed(Failure::too_soon(until)));
        }
        Decision::Wait { until, attempts, critical: true, .. } if !mood.impatient => {
            return Err(failed(running_out(&entry, attempts, until, now)));
        }
        Decision::Wait { until, attempts, .. } if !mood.impatient => {
            let text = format!(
                "waits after {}: next try {}",
                words::count(attempts as usize, "failure"),
                words::moment(until)
            );
            events.emit(Happening::NotDue { text });
            return Ok(Became::Waits(until));
        }
        _ => {}
    }
    secrets::look(&wanted, config).await.map_err(failed)?;
    let request = Request {
        remembered: remember(&wanted),
        certificate: wanted.certificate,
        authority: Arc::clone(authority),
        csr: wanted.csr,
        force: mood.force,
        pre_authorize: wanted.pre_authorize,
        timeout: wanted.timeout,
    };
    drop(entry);
    match issue(context, &request).await {
        Ok(issued) => Ok(Became::Issued(Box::new(issued))),
        Err(error) => {
            Err(failed(Failure::of_order(&request, &error).pointing_into(config, &request, &error)))
        }
    }
}

/// What waits although its certificate has ended, or soon does: somebody must be told.
fn running_out(entry: &Entry, attempts: u32, until: Timestamp, now: Timestamp) -> Failure {
    let state = match entry.current() {
        Some(current) if current.revoked_at.is_some() => "was revoked".to_owned(),
        Some(current) if current.not_after <= now => {
            format!("ended {}", words::distance(current.not_after, now))
        }
        Some(current) => format!("ends {}", words::distance(current.not_after, now)),
        None => "is not there".to_owned(),
    };
    let last = entry.known.as_ref().and_then(|known| known.failure.as_ref());
    Failure::running_out(&state, attempts, until, last.and_then(|failure| failure.last_error.lines().next()))
}

/// Warns of a secret that cannot be read, while there is time to mend it.
pub(crate) async fn forebode(program: &Program, wanted: &Wanted, config: &Config) {
    if let Err(mut failure) = secrets::look(wanted, config).await {
        failure.certificate = Some(wanted.certificate.name.to_string());
        program.output.caution(&failure);
    }
}

/// A crash between the store and the files leaves the new certificate in the store alone, as
/// does a file that somebody deleted; a store from a backup has another one than the files show.
/// What the store has is put in place, unless it stands there.
async fn restore_files(context: &Context, entry: &Entry) -> Result<(), Failure> {
    let Some(current) = entry.current() else { return Ok(()) };
    let name = entry.wanted.name.to_string();
    let number = u64::try_from(current.number).expect("versions count from 1");
    let Some(version) = context.store.version(&name, current.number).await? else { return Ok(()) };
    let private_key = match &version.key {
        Some(key) => Some(CertificateKey::from_pkcs8(key.expose())?.pem()),
        None => None,
    };
    let (certificate, chain) = leaf_and_rest(&version.chain_pem);
    let files = FileSet { private_key, certificate: certificate.to_owned(), chain: chain.to_owned() };
    let live = context.live.clone();
    let place = tokio::task::spawn_blocking(move || live.place(&name, number, &files));
    place.await.expect("placing files does not panic")?;
    Ok(())
}

/// Our own PEM, leaf first, split after the leaf.
fn leaf_and_rest(pem: &str) -> (&str, &str) {
    const END: &str = "-----END CERTIFICATE-----\n";
    let end = pem.find(END).map_or(pem.len(), |at| at + END.len());
    pem.split_at(end)
}

/// How the program ends after `results`.
pub(crate) fn exit(results: &[(String, Became)]) -> Exit {
    let failures: Vec<&Failure> = results
        .iter()
        .filter_map(|(_, became)| match became {
            Became::Failed(failure) => Some(failure.as_ref()),
            _ => None,
        })
        .collect();
    match failures.as_slice() {
        [] => Exit::Done,
        // The mistake of the one certificate that was asked for is the program's.
        [only] if results.len() == 1 => only.exit,
        all if all.len() == results.len() && all.iter().all(|failure| failure.exit == Exit::NothingTried) => {
            Exit::NothingTried
        }
        _ => Exit::SomeFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaf_is_split_from_the_rest_of_the_chain() {
        let block =
            |content: &str| format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n");
        let chain = [block("leaf"), block("issuer")].concat();
        assert_eq!(leaf_and_rest(&chain), (block("leaf").as_str(), block("issuer").as_str()));
        assert_eq!(leaf_and_rest(&block("leaf")), (block("leaf").as_str(), ""));
    }

    #[test]
    fn a_ca_without_its_bundle_fails_alone_and_settings_that_differ_are_all_kept() {
        let usual = CaConfig::preset("letsencrypt").unwrap();
        let short = CaConfig { profile: Some("shortlived".to_owned()), ..usual.clone() };
        let lost = CaConfig { ca_bundle: Some("/nowhere/roots.pem".into()), ..usual.clone() };
        let authorities = Authorities::of(&Clock::system(), [&lost, &usual, &short, &usual]);
        assert_eq!(authorities.0.len(), 3);
        let failure = authorities.get(&lost).unwrap_err();
        assert!(failure.message.contains("/nowhere/roots.pem"), "{failure:?}");
        for ca in [&usual, &short] {
            assert_eq!(authorities.get(ca).unwrap().config(), ca);
        }
    }

    #[test]
    fn some_failed_unless_nothing_at_all_could_be_tried() {
        let failed = |exit| ("a".to_owned(), Became::Failed(Box::new(Failure::new("x", "x", exit))));
        let waits = || ("b".to_owned(), Became::Waits(Timestamp::UNIX_EPOCH));
        assert_eq!(exit(&[]), Exit::Done);
        assert_eq!(exit(&[waits()]), Exit::Done);
        assert_eq!(exit(&[failed(Exit::NothingTried)]), Exit::NothingTried);
        assert_eq!(exit(&[failed(Exit::NothingTried), waits()]), Exit::SomeFailed);
        assert_eq!(exit(&[failed(Exit::NothingTried), failed(Exit::SomeFailed)]), Exit::SomeFailed);
    }
}
