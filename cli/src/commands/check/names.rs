//! Names: CAA, the place of the record, and a value written, seen everywhere and removed.

use super::Check;
use super::report::{Report, Seen};
use crate::args::CheckArguments;
use crate::errors::{Exit, Failure, Failures};
use crate::output::words::count;
use crate::wanted;
use dns01_core::acme::PRESETS;
use dns01_core::config::{CaConfig, Config, Domain};
use dns01_core::dns::{Awaited, CaaDecision, CaaQuestion, CheckMode, DnsError, Location, Progress};
use dns01_core::issue::{self, IssueError, Route};
use dns01_core::records::ZoneReport;
use dns01_core::store::OrderId;
use dns01_provider::{Fqdn, TxtValue};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The most time to wait for a removal.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(60);

/// A name to be proved, with all that is wanted of it: a wildcard and its apex are proved at the
/// same place.
pub(super) struct Name {
    base: Fqdn,
    pub(super) wanted: Vec<WantedName>,
}

/// A domain of a certificate, from a CA.
pub(super) struct WantedName {
    domain: Domain,
    pub(super) ca: CaConfig,
    certificate: Option<String>,
}

/// A name, and where its record goes.
pub(super) struct Located {
    name: Name,
    pub(super) place: Result<(Location, Route), NoPlace>,
}

/// Why a record has no place.
pub(super) struct NoPlace {
    failure: Failure,
    error: Option<DnsError>,
}

/// The names of the flags, else those of every certificate of the file.
pub(super) fn wanted(arguments: &CheckArguments, config: &Config) -> Result<Vec<Name>, Failures> {
    let flags = &arguments.authority;
    if !arguments.domains.is_empty() {
        let ca = wanted::authority(flags, config)?;
        let domains = wanted::domains(&arguments.domains)?.into_iter();
        let wanted = domains.map(|domain| WantedName { domain, ca: ca.clone(), certificate: None });
        return Ok(by_base(wanted.collect()));
    }
    let mut names = of_file(config)?;
    if flags.server.is_some() || flags.staging {
        let ca = wanted::authority(flags, config)?;
        names.iter_mut().flat_map(|name| &mut name.wanted).for_each(|wanted| wanted.ca = ca.clone());
    }
    Ok(names)
}

/// The names of every certificate of the file.
pub(super) fn of_file(config: &Config) -> Result<Vec<Name>, Failures> {
    let mut all = Vec::new();
    for certificate in &config.certificates {
        let ca = config.ca(certificate.cas.first().expect("a certificate has at least one CA"))?;
        all.extend(certificate.domains.iter().map(|domain| WantedName {
            domain: domain.clone(),
            ca: ca.clone(),
            certificate: Some(certificate.name.to_string()),
        }));
    }
    if all.is_empty() {
        let failure = Failure::usage("usage-no-certificate", "there is no name to check")
            .with_hint("name one with -d, or write a [[certificate]]");
        return Err(failure.into());
    }
    Ok(by_base(all))
}

fn by_base(all: Vec<WantedName>) -> Vec<Name> {
    let mut names: BTreeMap<Fqdn, Vec<WantedName>> = BTreeMap::new();
    for wanted in all {
        names.entry(wanted.domain.base.clone()).or_default().push(wanted);
    }
    names.into_iter().map(|(base, wanted)| Name { base, wanted }).collect()
}

impl Check {
    /// Where the record for `name` goes.
    pub(super) async fn locate(&self, name: Name) -> Located {
        let place = self.place_of(&name.base).await;
        Located { name, place }
    }

    async fn place_of(&self, base: &Fqdn) -> Result<(Location, Route), NoPlace> {
        let without = |error: IssueError| NoPlace { failure: error.into(), error: None };
        let name = base.child("_acme-challenge");
        let name =
            name.map_err(|source| without(IssueError::ChallengeName { name: base.clone(), source }))?;
        let routes = &self.context.routes;
        let location = tokio::select! {
            location = self.context.dns.locate(&name, routes.zones()) => location,
            () = self.context.cancel.cancelled() => return Err(without(IssueError::Interrupted)),
        };
        let location = location.map_err(|error| NoPlace {
            failure: IssueError::Dns(error.clone()).into(),
            error: Some(error),
        })?;
        let route = routes.to(&location.zone);
        let route = route.ok_or_else(|| without(IssueError::NoCredential { zone: location.zone.clone() }))?;
        Ok((location, route))
    }

    /// Everything about a name.
    pub(super) async fn name(&self, located: Located) -> Report {
        let Located { name, place } = located;
        let mut domains: Vec<&WantedName> = Vec::new();
        for wanted in &name.wanted {
            let same =
                |one: &&WantedName| one.domain == wanted.domain && one.ca.directory == wanted.ca.directory;
            if !domains.iter().any(same) {
                domains.push(wanted);
            }
        }
        let mut seen = join_all(domains.into_iter().map(|wanted| self.caa(wanted))).await;
        match place {
            Ok((location, route)) => {
                seen.extend(places(&location, &route));
                seen.extend(self.round_trip(location, &route).await);
            }
            Err(no_place) => seen.extend(self.no_place(no_place).await),
        }
        Report::new("name", subject(&name), seen).wanted_by(certificates(&name))
    }

    async fn no_place(&self, NoPlace { failure, error }: NoPlace) -> Vec<Seen> {
        let unanswered = matches!(error, Some(DnsError::NoAnswer { .. } | DnsError::Resolver { .. }));
        let create = match &error {
            Some(error) => self.records_for(error).await,
            None => Vec::new(),
        };
        let mut seen = vec![Seen::bad("zone", failure).creating(create)];
        if unanswered && self.has_proxy {
            let text = "cannot tell, only a proxy gets out of here";
            let hint = "an order has to see them itself: let UDP and TCP to port 53 out";
            seen.push(Seen::unknown("name servers", text).with_hint(hint.to_owned()));
        }
        seen
    }

    /// By the names in the CA's directory, else by those that are known of it.
    async fn caa(&self, wanted: &WantedName) -> Seen {
        let WantedName { domain, ca, .. } = wanted;
        let question = CaaQuestion {
            name: domain.base.clone(),
            wildcard: domain.wildcard,
            ca_identities: self.identities(ca).await,
            account_url: None,
            method: "dns-01".to_owned(),
        };
        match self.context.dns.caa(&question, self.context.routes.zones()).await {
            Ok(CaaDecision::NoRecords) => Seen::good("CAA", "no record, so every CA may issue"),
            Ok(CaaDecision::Allowed(rule)) => {
                Seen::good("CAA", format!("{} at {} allows {}", rule.record, rule.at, ca.name))
            }
            Ok(CaaDecision::IdentityUnknown { at }) => Seen::unknown(
                "CAA",
                format!("there are records at {at}; which name `{}` goes by is not known here", ca.name),
            ),
            Ok(_) => Seen::good("CAA", "allowed"),
            Err(refusal) => Seen::bad("CAA", IssueError::Caa { name: domain.base.clone(), refusal }.into()),
        }
    }

    async fn identities(&self, ca: &CaConfig) -> Vec<String> {
        let preset = PRESETS.iter().find(|preset| preset.directory == ca.directory.as_str());
        let known = preset.map(|preset| preset.caa_identity.to_owned()).into_iter().collect();
        // It has been fetched for the clock; a CA that was not reached is not tried again.
        let directory = self.authority(ca).and_then(|authority| authority.client().known_directory());
        let told = directory.map(|directory| directory.meta.caa_identities.clone());
        told.filter(|identities| !identities.is_empty()).unwrap_or(known)
    }
}

fn subject(name: &Name) -> String {
    let mut domains: Vec<String> = name.wanted.iter().map(|wanted| wanted.domain.to_string()).collect();
    domains.sort_by_key(|domain| domain.starts_with('*'));
    domains.dedup();
    domains.join(", ")
}

fn certificates(name: &Name) -> Vec<String> {
    let mut certificates: Vec<String> =
        name.wanted.iter().filter_map(|wanted| wanted.certificate.clone()).collect();
    certificates.dedup();
    certificates
}

fn places(location: &Location, route: &Route) -> Vec<Seen> {
    let mut seen = Vec::new();
    for hop in &location.hops {
        seen.push(Seen::good("alias", format!("{} leads to {}", hop.from, hop.to)));
    }
    seen.push(Seen::good("zone", format!("{} through {}", location.zone, route.through())));
    seen.extend(location.warnings.iter().map(|warning| Seen::warning("note", warning.to_string())));
    seen
}

impl Check {
    /// A value written, seen everywhere, and removed.
    async fn round_trip(&self, location: Location, route: &Route) -> Vec<Seen> {
        let order = OrderId::random();
        // As long as a challenge's: some services take nothing else.
        let text: String = order.as_str().chars().chain(order.as_str().chars()).take(43).collect();
        let value = match TxtValue::parse(&text) {
            Ok(value) => value,
            Err(error) => {
                let failure = Failure::new("records", error.to_string(), Exit::SomeFailed);
                return vec![Seen::bad("written", failure)];
            }
        };
        let wanted = route.records(&location.target, &value);
        let records = &self.context.records;
        let began = Instant::now();
        let hold = match records.hold(&order, records.announce(), wanted).await {
            Ok(hold) => hold,
            Err(error) => return vec![Seen::bad("written", error.into()).since(began)],
        };
        let mut seen = vec![Seen::good("written", format!("a value at {}", location.target)).since(began)];
        seen.extend(self.seen_everywhere(location, value, route, hold.zones()).await);
        let began = Instant::now();
        let released = hold.release(REMOVAL_PATIENCE).await;
        seen.push(match released.left.first() {
            None => Seen::good("removed", count(released.removed, "value")).since(began),
            Some(left) => {
                let message = format!("the value at `{}` could not be removed: {}", left.name, left.reason);
                let failure = Failure::new("records-left", message, Exit::SomeFailed);
                Seen::bad("removed", failure.with_hint("`dns01 txt gc` tries again")).since(began)
            }
        });
        seen
    }

    async fn seen_everywhere(
        &self,
        location: Location,
        value: TxtValue,
        route: &Route,
        written: &[ZoneReport],
    ) -> Vec<Seen> {
        let began = Instant::now();
        let (progress, _) = watch::channel(Progress::default());
        let awaited = [Awaited { location, values: vec![value] }];
        let waited = tokio::select! {
            waited = issue::seen(&self.context, route, &awaited, written, Duration::MAX, &progress) => waited,
            () = self.context.cancel.cancelled() => Err(IssueError::Interrupted),
        };
        let report = match waited {
            Ok(issue::Seen::Shown(report)) => report,
            Ok(issue::Seen::Published) => {
                return vec![Seen::good("seen", "everywhere, as the service says").since(began)];
            }
            Ok(issue::Seen::Waited(_)) => return vec![Seen::good("waited", "nobody was asked").since(began)],
            Err(error) => return vec![Seen::bad("seen", error.into()).since(began)],
        };
        let rows: usize = report.tables.iter().map(|table| table.rows.len()).sum();
        let what = if matches!(route.check, CheckMode::Recursive(_)) { "resolver" } else { "address" };
        let mut seen = vec![Seen::good("seen", format!("by {}", count(rows, what))).since(began)];
        seen.extend(report.warnings.into_iter().map(|text| Seen::warning("note", text)));
        seen.extend(report.notes.into_iter().map(|text| Seen::good("note", text)));
        seen
    }
}
