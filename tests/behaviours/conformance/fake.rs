//! What the runs against fakes share: names and changes in few words, a stand for a fake and its
//! provider, and what every HTTP plugin must take well.

mod memory;
mod mishaps;
mod promises;
mod scope;
mod stand;
mod troubles;

pub(crate) use promises::Run;
pub(crate) use scope::{exactly_enough, too_little, too_much};
pub(crate) use stand::Stand;
pub(crate) use troubles::{assert_no_such_zone, assert_refused, troubles};

use dns01_provider::{Fqdn, TxtChange, TxtValue, Zone, ZoneName};
use dns01_tests::fake_dns_api::{FakeDnsApi, Service};
use std::path::Path;
use std::process::Command;

/// The zone that runs against fakes use.
pub(crate) const ZONE: &str = "example.test";
/// A second one, below it.
pub(crate) const SUB_ZONE: &str = "sub.example.test";
/// Where a CNAME may stand, beside which nothing else can.
pub(crate) const ALIASED: &str = "_acme-challenge.aliased.example.test";

/// A challenge name below `host` in [`ZONE`].
pub(crate) fn name(host: &str) -> Fqdn {
    Fqdn::parse(&format!("_acme-challenge.{host}.{ZONE}")).unwrap()
}

/// So many challenge names.
pub(crate) fn names(count: usize) -> Vec<Fqdn> {
    (0..count).map(|number| name(&format!("host{number}"))).collect()
}

pub(crate) fn add(name: &Fqdn, value: &str) -> TxtChange {
    TxtChange::Add { name: name.clone(), value: TxtValue::parse(value).unwrap(), ttl: 120 }
}

pub(crate) fn remove(name: &Fqdn, value: &str) -> TxtChange {
    TxtChange::Remove { name: name.clone(), value: TxtValue::parse(value).unwrap() }
}

/// Adds `value` at each name.
pub(crate) fn adds(names: &[Fqdn], value: &str) -> Vec<TxtChange> {
    names.iter().map(|name| add(name, value)).collect()
}

/// Removes `value` from each name.
pub(crate) fn removals(names: &[Fqdn], value: &str) -> Vec<TxtChange> {
    names.iter().map(|name| remove(name, value)).collect()
}

/// A secret as it may stand in `dns01.toml`.
pub(crate) fn literal(secret: &str) -> serde_json::Value {
    serde_json::json!({ "literal": secret })
}

/// A zone that is known by its name only.
pub(crate) fn named(name: &str) -> Zone {
    Zone::named(ZoneName::parse(name).unwrap())
}

/// Adds the zone `name` to the fake; known here by its id.
pub(crate) fn zone<S: Service>(api: &FakeDnsApi<S>, name: &str) -> Zone {
    Zone { id: Some(api.zone(name)), ..named(name) }
}

/// The same at a service that knows zones by their names.
pub(crate) fn zone_by_name<S: Service>(api: &FakeDnsApi<S>, name: &str) -> Zone {
    let _id = api.zone(name);
    Zone { id: Some(name.to_owned()), ..named(name) }
}

/// A client that is not ours, run from the clients' Python: what it printed, line by line.
#[track_caller]
pub(crate) fn printed_by(
    python: &Path,
    script: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Vec<String> {
    let mut command = Command::new("timeout");
    command.arg("60").arg(python).arg("-c").arg(script).args(arguments).envs(environment.iter().copied());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    told.lines().map(str::to_owned).collect()
}
