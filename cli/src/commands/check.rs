//! `dns01 check`: everything but an order, with a tick or a cross for each step.
//!
//! Of the CA only the directory is read, with one plain GET: it tells the time, and the names
//! by which CAA records allow the CA. No account is used and no limit of the CA counts it.

mod credentials;
mod machine;
mod missing;
mod names;
mod report;
mod zones;

use crate::args::CheckArguments;
use crate::errors::{Exit, Failure, Failures};
use crate::program::{Program, Session};
use crate::wanted;
use dns01_core::authority::Authority;
use dns01_core::config::{CaConfig, Config, CredentialConfig};
use dns01_core::event::Events;
use dns01_core::issue::Context;
use futures_util::stream::{StreamExt as _, iter};
use names::{Located, Name};
use report::Reports;
use std::collections::BTreeMap;

/// Names that are checked at the same time.
const AT_ONCE: usize = 32;

/// What every part of the check looks at.
struct Check {
    context: Context,
    credentials: Vec<CredentialConfig>,
    /// By the address of their directory.
    authorities: BTreeMap<String, Authority>,
    /// True if this machine is told to reach others through a proxy.
    has_proxy: bool,
}

impl Check {
    fn authority(&self, ca: &CaConfig) -> Option<&Authority> {
        self.authorities.get(ca.directory.as_str())
    }
}

pub(super) async fn run(program: &Program, arguments: &CheckArguments) -> Result<Exit, Failures> {
    let config = program.config()?;
    let chosen = wanted::credential(&arguments.credential, &config)?;
    let names = names::wanted(arguments, &config)?;
    let credentials = chosen.map_or_else(|| config.credentials.clone(), |chosen| vec![chosen.config]);
    run_for(program, &config, credentials, names).await
}

/// Checks everything that `config` says.
pub(super) async fn whole(program: &Program, config: &Config) -> Result<Exit, Failures> {
    run_for(program, config, config.credentials.clone(), names::of_file(config)?).await
}

/// Checks `names` through `credentials`.
async fn run_for(
    program: &Program,
    config: &Config,
    credentials: Vec<CredentialConfig>,
    names: Vec<Name>,
) -> Result<Exit, Failures> {
    let authorities = authorities(program, &names)?;
    let cas = names.iter().flat_map(|name| &name.wanted).map(|wanted| &wanted.ca);
    let has_proxy = machine::has_proxy() || cas.into_iter().any(|ca| ca.proxy.is_some());
    let events = Events::nowhere();
    let session = Session::open(program, config, credentials.clone(), &config.state_dir, events).await?;
    let context = session.context_through(None);
    let check = Check { context, credentials, authorities, has_proxy };
    let reports = check.go_through(program, names).await;
    drop(check);
    let closed = session.close(program).await;
    program.output.document(&reports);
    Ok(closed.max(if reports.all_good() { Exit::Done } else { Exit::SomeFailed }))
}

fn authorities(program: &Program, names: &[Name]) -> Result<BTreeMap<String, Authority>, Failure> {
    let mut authorities = BTreeMap::new();
    for ca in names.iter().flat_map(|name| &name.wanted).map(|wanted| &wanted.ca) {
        if !authorities.contains_key(ca.directory.as_str()) {
            let authority = Authority::new(ca.clone(), program.clock.clone())?;
            authorities.insert(ca.directory.to_string(), authority);
        }
    }
    Ok(authorities)
}

impl Check {
    async fn go_through(&self, program: &Program, names: Vec<Name>) -> Reports {
        let mut reports = Reports::default();
        let locate = iter(names).map(|name| self.locate(name)).buffered(AT_ONCE).collect::<Vec<Located>>();
        let (clock, located) = tokio::join!(self.clock(), locate);
        reports.add(program, clock);
        let mut credentials =
            iter(&self.credentials).map(|credential| self.credential(credential, &located)).buffered(AT_ONCE);
        while let Some(report) = credentials.next().await {
            reports.add(program, report);
        }
        drop(credentials);
        let zones = zones::of(&located);
        let mut zones = iter(&zones).map(|zone| self.zone(zone)).buffered(AT_ONCE);
        while let Some(report) = zones.next().await {
            reports.add(program, report);
        }
        let mut names = iter(located).map(|located| self.name(located)).buffered(AT_ONCE);
        while let Some(report) = names.next().await {
            reports.add(program, report);
        }
        reports
    }
}
