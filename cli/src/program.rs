//! What every command is handed, and the rooms of the house that some of them open.

use crate::args::GlobalArguments;
use crate::errors::{Exit, Failure, Failures};
use crate::output::Output;
use crate::output::words::count;
use crate::paths::{NOWHERE, Paths, is_absent, no_home};
use crate::providers::PLUGINS;
use crate::signals::Signals;
use dns01_core::clock::Clock;
use dns01_core::config::{Config, CredentialConfig, Flags, Mistake, ResolverFlag, Sources, shared_zones};
use dns01_core::deploy::LiveDirectory;
use dns01_core::dns::{Dns, DnsSettings};
use dns01_core::event::Events;
use dns01_core::issue::{BoundCredential, Context, Routes};
use dns01_core::records::Records;
use dns01_core::store::{Store, open_to_others};
use dns01_provider::{Credential, CredentialName};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The most time that removing records may hold up the end of the program: a call that nobody
/// answers for half a minute can be repeated.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(45);
/// The most time that everything else may.
const TASKS_PATIENCE: Duration = Duration::from_secs(5);

/// What every command is handed.
pub(crate) struct Program {
    pub(crate) flags: GlobalArguments,
    pub(crate) output: Output,
    pub(crate) clock: Clock,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancel: CancellationToken,
    pub(crate) signals: Signals,
    /// True once it was said what in the state directory is open to others.
    pub(crate) warned: AtomicBool,
}

impl Program {
    /// The configuration: the file named by `--config`, or the one at its usual place if there
    /// is one. Its warnings are shown.
    pub(crate) fn config(&self) -> Result<Config, Failures> {
        let paths = Paths::of_this_user();
        let usual = paths.config.as_deref().filter(|path| path.exists());
        let file = self.flags.config.as_deref().or(usual);
        let state_dir = paths.state.as_deref().unwrap_or(Path::new(NOWHERE));
        let flags = Flags {
            state_dir: self.flags.state_dir.clone().map(absolute),
            resolvers: self.flags.resolvers.iter().map(|text| self.resolver_flag(text)).collect(),
        };
        let config = Config::load(&Sources { file, state_dir, flags: &flags, plugins: PLUGINS })?;
        if config.state_dir == Path::new(NOWHERE) {
            return Err(no_home("--state-dir").into());
        }
        config.warnings.iter().for_each(|warning| self.output.warning(warning));
        Ok(config)
    }

    fn resolver_flag(&self, text: &str) -> ResolverFlag {
        // One that is asked in plain has no certificate to trust.
        let bundle = self.flags.resolver_ca_bundle.as_ref().filter(|_| text.contains("://"));
        ResolverFlag { url: text.to_owned(), ca_bundle: bundle.map(absolute) }
    }

    /// Opens the store alone, for commands that only look.
    pub(crate) async fn store(&self, directory: &Path) -> Result<Store, Failures> {
        let store = Store::open(directory, self.clock.clone(), &self.tasks).await.map_err(Failure::from)?;
        // Some commands open it twice.
        if !self.warned.swap(true, Ordering::Relaxed) {
            open_to_others(directory).iter().for_each(|open| self.output.caution(&Failure::from(open)));
        }
        Ok(store)
    }

    /// Opens the store in `directory` if there is such a directory: one that is mistyped is not
    /// made for the sake of a look.
    pub(crate) async fn store_if_there(&self, directory: &Path) -> Result<Option<Store>, Failures> {
        match is_absent(directory) {
            true => Ok(None),
            false => self.store(directory).await.map(Some),
        }
    }

    /// The same, but made if it is missing and the file wants certificates.
    pub(crate) async fn store_if_wanted(&self, config: &Config) -> Result<Option<Store>, Failures> {
        match config.certificates.is_empty() {
            true => self.store_if_there(&config.state_dir).await,
            false => self.store(&config.state_dir).await.map(Some),
        }
    }

    /// Says that nothing is known because there is no state directory.
    pub(crate) fn note_absent(&self, directory: &Path) {
        self.output.note(&format!("note: there is no state directory `{}`", directory.display()));
    }

    /// Ends what runs in the background.
    pub(crate) async fn end(&self) {
        self.cancel.cancel();
        self.tasks.close();
        // What does not end in time ends with the process.
        let _ = tokio::time::timeout(TASKS_PATIENCE, self.tasks.wait()).await;
    }
}

/// `path` as every working directory sees it: what is remembered must be found again.
pub(crate) fn absolute(path: impl AsRef<Path>) -> std::path::PathBuf {
    std::path::absolute(path.as_ref()).unwrap_or_else(|_| path.as_ref().to_owned())
}

/// Where dry runs have their state: one of its own, so that nothing of it is ever taken for the real
/// thing. Their records are as real as any, and stand in the one ledger.
pub(crate) fn dry_run_directory(state_dir: &Path) -> PathBuf {
    state_dir.join("dry-run")
}

/// Everything that orders and records need.
pub(crate) struct Session {
    pub(crate) context: Context,
    /// The tables of the file.
    tables: Vec<BoundCredential>,
    /// What flags have said, beside them: each is used for what it was said of, and for nothing
    /// else that is called the same.
    chosen: Vec<(CredentialConfig, Result<BoundCredential, Mistake>)>,
    /// Where the ledger is, if that is not the store of the context.
    ledger: Option<Store>,
}

impl Session {
    /// Opens the store in `state`, and makes a writer's credential of each table of the file and
    /// of each of `chosen`. One of these that makes no sense fails when it is used.
    pub(crate) async fn open(
        program: &Program,
        config: &Config,
        chosen: impl IntoIterator<Item = &CredentialConfig>,
        state: &Path,
        events: Events,
    ) -> Result<Self, Failures> {
        let mut made = Made { config, credentials: Vec::new() };
        let tables = config.credentials.iter().map(|table| made.bind(table));
        let tables = tables.collect::<Result<Vec<_>, _>>().map_err(Failure::from)?;
        let mut beside: Vec<(CredentialConfig, Result<BoundCredential, Mistake>)> = Vec::new();
        for one in chosen {
            if beside.iter().all(|(known, _)| known != one) {
                beside.push((one.clone(), made.bind(one)));
            }
        }
        let store = program.store(state).await?;
        // One ledger for all: what a dry run leaves behind when it is killed, any later run finds.
        let ledger = match state == config.state_dir {
            true => None,
            false => Some(program.store(&config.state_dir).await?),
        };
        let all = tables.iter().chain(beside.iter().filter_map(|(_, bound)| bound.as_ref().ok()));
        // What a crash has left is removed by a table of the file, where one has the zone.
        let writers = all.map(|one| {
            let zones = one.zones.iter().map(|zone| zone.zone.clone()).collect();
            (one.credential.clone(), zones)
        });
        let records = Records::of_zones(
            ledger.as_ref().unwrap_or(&store).clone(),
            writers,
            program.tasks.clone(),
            &program.cancel,
        );
        let settings = DnsSettings { resolvers: config.resolvers.clone(), ..DnsSettings::default() };
        let dns = Dns::new(settings, program.tasks.clone(), program.cancel.clone());
        let context = Context::new(
            store,
            records,
            dns,
            Routes::new(tables.clone()),
            LiveDirectory::below(state),
            events,
            program.tasks.clone(),
            program.cancel.clone(),
        );
        Ok(Self { context, tables, chosen: beside, ledger })
    }

    /// The context in which records go through `chosen` alone, one of those that the session was
    /// opened with; else through the tables of the file. In zones of it that are at several
    /// providers the others write too: seen at one of them only, a record would be of no use.
    ///
    /// # Errors
    /// No provider can be made of it.
    pub(crate) fn context_through(&self, chosen: Option<&CredentialConfig>) -> Result<Context, Failure> {
        let mut context = self.context.clone();
        if let Some(chosen) = chosen {
            let (_, bound) = self
                .chosen
                .iter()
                .find(|(config, _)| config == chosen)
                .expect("a session is opened with all that is chosen");
            let bound = bound.as_ref().map_err(|mistake| Failure::from(mistake.clone()))?;
            context.routes = Routes::new(through(bound, &self.tables));
            context.records = context.records.through(bound.credential.clone());
        }
        Ok(context)
    }

    /// Opens a session with all credentials, and a context that writes through `chosen`.
    pub(crate) async fn open_through(
        program: &Program,
        config: &Config,
        chosen: Option<&CredentialConfig>,
    ) -> Result<(Self, Context), Failures> {
        let session = Self::open(program, config, chosen, &config.state_dir, Events::nowhere()).await?;
        let context = session.context_through(chosen)?;
        Ok((session, context))
    }

    /// Starts to remove what crashed runs have left behind, beside whatever comes next.
    pub(crate) fn sweep(&self, program: &Program) {
        let (records, output) = (self.context.records.clone(), program.output.clone());
        program.tasks.spawn(async move {
            match records.sweep().await {
                Ok(swept) if swept.removed > 0 => {
                    let values = count(swept.removed, "value");
                    output.note(&format!("removed {values} that an earlier run had left behind"));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "what earlier runs left behind could not be removed"),
            }
        });
    }

    /// Removes every record that is not to stay, and closes the store. Returns how the program
    /// ends if that is worse than what the command says.
    pub(crate) async fn close(self, program: &Program) -> Exit {
        let swept = self.context.records.shutdown(REMOVAL_PATIENCE).await;
        let swept = match swept {
            Ok(mut swept) => {
                // What another credential wrote is its own run's to remove.
                let chosen = self.chosen.iter().map(|(config, _)| &config.name);
                let ours: Vec<&CredentialName> =
                    self.tables.iter().map(|one| one.credential.name()).chain(chosen).collect();
                swept.left.retain(|left| ours.contains(&&left.credential));
                if swept.removed > 0 {
                    program.output.note(&format!("removed {} still out", count(swept.removed, "value")));
                }
                swept
            }
            Err(error) => {
                program.output.failure(&Failure::from(error));
                return Exit::SomeFailed;
            }
        };
        let exit = match swept {
            swept if swept.left.is_empty() => Exit::Done,
            swept => {
                let mut failure =
                    Failure::new("records-left", "some records could not be removed", Exit::SomeFailed)
                        .with_hint("they stand in the ledger: the next run removes them, or `dns01 txt gc`");
                failure.details = swept
                    .left
                    .iter()
                    .map(|left| {
                        format!(
                            "{} in zone {} through {}: {}",
                            left.name, left.zone, left.credential, left.reason
                        )
                    })
                    .collect();
                program.output.failure(&failure);
                Exit::SomeFailed
            }
        };
        for store in [Some(self.context.store), self.ledger].into_iter().flatten() {
            if let Err(error) = store.close().await {
                tracing::warn!(%error, "the store was not closed in good order");
            }
        }
        exit
    }
}

/// The providers that were made of what the configuration or flags say.
struct Made<'a> {
    config: &'a Config,
    credentials: Vec<(CredentialConfig, Credential)>,
}

impl Made<'_> {
    /// The credential of `config` with its zones. Those that differ in nothing that the service
    /// sees are one: it counts their calls together.
    fn bind(&mut self, config: &CredentialConfig) -> Result<BoundCredential, Mistake> {
        let is_same = |(known, _): &&(CredentialConfig, Credential)| {
            (&known.name, &known.plugin, &known.settings) == (&config.name, &config.plugin, &config.settings)
        };
        let credential = match self.credentials.iter().find(is_same) {
            Some((_, credential)) => credential.clone(),
            None => Credential::new(config.name.clone(), self.config.build_provider(config)?),
        };
        self.credentials.push((config.clone(), credential.clone()));
        Ok(BoundCredential {
            credential,
            zones: config.zones.clone(),
            ttl: config.ttl,
            propagation: config.propagation.clone(),
            aliases: config.aliases.clone(),
        })
    }
}

/// `chosen` first, and of `all` others what they do in its zones that are at several providers.
fn through(chosen: &BoundCredential, all: &[BoundCredential]) -> Vec<BoundCredential> {
    let others = all.iter().filter(|one| one.credential.name() != chosen.credential.name());
    let others =
        others.map(|one| BoundCredential { zones: shared_zones(&chosen.zones, &one.zones), ..one.clone() });
    std::iter::once(chosen.clone()).chain(others.filter(|one| !one.zones.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns01_core::config::{PropagationConfig, ZoneConfig};
    use dns01_provider::{MemoryProvider, Zone};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn bound(name: &str, zones: &[(&str, bool)]) -> BoundCredential {
        let zone = |(name, multi_provider): &(&str, bool)| ZoneConfig {
            multi_provider: *multi_provider,
            ..ZoneConfig::new(Zone::named(name.parse().unwrap()))
        };
        let provider = Arc::new(MemoryProvider::new([]));
        BoundCredential {
            credential: Credential::new(CredentialName::parse(name).unwrap(), provider),
            zones: zones.iter().map(zone).collect(),
            ttl: None,
            propagation: PropagationConfig::default(),
            aliases: BTreeMap::new(),
        }
    }

    #[test]
    fn a_named_credential_takes_others_along_only_where_a_zone_is_at_several_providers() {
        let all = [
            bound("one", &[("a.test", true), ("b.test", false)]),
            bound("two", &[("a.test", true), ("c.test", false)]),
            bound("three", &[("d.test", true)]),
        ];
        let shown = |one: &BoundCredential| {
            let zones: Vec<String> = one.zones.iter().map(|zone| zone.zone.name.to_string()).collect();
            format!("{} {}", one.credential.name(), zones.join(" "))
        };
        let through_one: Vec<String> = through(&all[0], &all).iter().map(shown).collect();
        assert_eq!(through_one, ["one a.test b.test", "two a.test"]);
        let through_three: Vec<String> = through(&all[2], &all).iter().map(shown).collect();
        assert_eq!(through_three, ["three d.test"]);
    }
}
