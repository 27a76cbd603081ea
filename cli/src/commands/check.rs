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
use dns01_core::issue::Context;
use futures_util::stream::{StreamExt as _, iter};
use names::{Located, Name};
use report::{Report, Reports};
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
    let bundle = program.flags.resolver_ca_bundle.as_deref();
    let chosen = wanted::credential(&arguments.credential, bundle, &config)?;
    let names = names::wanted(arguments, &config)?;
    let chosen = chosen.map(|chosen| chosen.config);
    go(program, &config, chosen, names).await
}

/// Checks everything that `config` says.
pub(super) async fn whole(program: &Program, config: &Config) -> Result<Exit, Failures> {
    go(program, config, None, names::of_file(config)?).await
}

/// Checks `names` through `chosen`, or through every credential.
async fn go(
    program: &Program,
    config: &Config,
    chosen: Option<CredentialConfig>,
    names: Vec<Name>,
) -> Result<Exit, Failures> {
    let authorities = authorities(program, &names)?;
    let cas = names.iter().flat_map(|name| &name.wanted).map(|wanted| &wanted.ca);
    let has_proxy = machine::has_proxy() || cas.into_iter().any(|ca| ca.proxy.is_some());
    let (session, context) = Session::open_through(program, config, chosen.as_ref()).await?;
    let mut credentials = config.credentials.clone();
    credentials.retain(|one| chosen.as_ref().is_none_or(|chosen| chosen.name != one.name));
    credentials.extend(chosen);
    credentials.retain(|one| context.routes.credential(one.name.as_str()).is_some());
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
        reports.add(program, Report::new("machine", "this machine", vec![clock, self.state_directory()]));
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
