//! Where a record has to stand by what the configuration says, for zones whose own servers are
//! not asked: port 53 may be closed, and a look at the resolvers that check would have them
//! remember that there is no such name (RFC 2308).

use super::alias::{Hop, Location, target};
use super::answer::{TxtAnswer, wire_name};
use super::zones::{ConfiguredZone, ConfiguredZones};
use super::{CheckMode, DnsError, Inner};
use dns01_provider::name::Fqdn;
use hickory_proto::rr::RecordType;

/// What is known of a name without asking the servers of its zone.
pub(super) enum Found<'a> {
    /// It is an alias.
    Alias(Fqdn),
    /// It is none, and in this zone.
    End(&'a ConfiguredZone),
    /// They have to be asked.
    Nothing,
}

/// What is known of `name`: by the configuration, or by resolvers named for this.
pub(super) async fn look<'a>(
    dns: &Inner,
    name: &Fqdn,
    zones: &'a ConfiguredZones,
) -> Result<Found<'a>, DnsError> {
    if let Some(target) = zones.alias_of(name) {
        return Ok(Found::Alias(target.clone()));
    }
    let Some(zone) = zones.containing(name).filter(|zone| zone.check != CheckMode::Authoritative) else {
        return Ok(Found::Nothing);
    };
    if zone.alias_resolvers.is_empty() {
        return Ok(Found::End(zone));
    }
    let wire = wire_name(name);
    let answer = dns.resolvers.ask_any(&zone.alias_resolvers, &wire, RecordType::CNAME).await;
    let answer = answer.map_err(|failure| failure.of(&wire, RecordType::CNAME))?;
    match TxtAnswer::read(&wire, &answer).aliases.first() {
        Some(alias) => Ok(Found::Alias(target(name, alias)?)),
        None => Ok(Found::End(zone)),
    }
}

/// The place at `target` in `zone`, by the configuration's word.
pub(super) fn location(
    challenge_name: &Fqdn,
    target: Fqdn,
    hops: Vec<Hop>,
    zone: &ConfiguredZone,
) -> Location {
    Location {
        challenge_name: challenge_name.clone(),
        target,
        hops,
        zone: zone.name.clone(),
        check: zone.check.clone(),
        servers: None,
        warnings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::ScriptedServer;
    use super::super::{CaaQuestion, Dns, DnsSettings, Resolver};
    use super::*;
    use dns01_provider::name::ZoneName;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    fn dns() -> Dns {
        Dns::new(DnsSettings::default(), TaskTracker::new(), CancellationToken::new())
    }

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).unwrap()
    }

    fn zone(apex: &str, checker: &ScriptedServer) -> ConfiguredZone {
        let check = CheckMode::Recursive(vec![Resolver::from(checker.address)]);
        ConfiguredZone { check, ..ConfiguredZone::named(ZoneName::parse(apex).unwrap()) }
    }

    #[tokio::test]
    async fn nothing_is_asked_of_those_who_check_before_a_value_stands() {
        let checker = ScriptedServer::recursive("").await;
        let zones = ConfiguredZones::new(vec![zone("example.test", &checker)]);
        let found = dns().locate(&name("_acme-challenge.a.example.test"), &zones).await.unwrap();
        assert_eq!((found.target, found.hops.len()), (found.challenge_name, 0));
        assert_eq!(checker.asked().len(), 0);
    }

    #[tokio::test]
    async fn an_alias_comes_from_the_configuration_or_from_resolvers_named_for_it() {
        let checker = ScriptedServer::recursive("").await;
        let other = ScriptedServer::recursive("_acme-challenge.b.example.test CNAME c.example.test").await;
        let mut zone = zone("example.test", &checker);
        zone.alias_resolvers = vec![other.address.into()];
        let zones = ConfiguredZones::new(vec![zone])
            .with_aliases([(name("_acme-challenge.far.test"), name("_acme-challenge.b.example.test"))]);
        let found = dns().locate(&name("_acme-challenge.far.test"), &zones).await.unwrap();
        assert_eq!((found.target.as_str(), found.hops.len()), ("c.example.test", 2));
        assert_eq!(checker.asked().len(), 0);
        assert!(other.asked().iter().all(|asked| asked.record_type() == RecordType::CNAME));
    }

    #[tokio::test]
    async fn aliases_of_the_configuration_that_go_round_are_refused() {
        let checker = ScriptedServer::recursive("").await;
        let zones = ConfiguredZones::new(vec![zone("example.test", &checker)]).with_aliases([
            (name("a.far.test"), name("b.far.test")),
            (name("b.far.test"), name("a.far.test")),
        ]);
        let failed = dns().locate(&name("a.far.test"), &zones).await;
        assert!(matches!(failed, Err(DnsError::AliasLoop { .. })), "{failed:?}");
    }

    #[tokio::test]
    async fn caa_is_asked_at_those_who_check_also_for_a_host_whose_challenge_is_elsewhere() {
        let checker = ScriptedServer::recursive("example.test CAA 0 issue \"ca.test\"").await;
        let zones = ConfiguredZones::new(vec![zone("example.test", &checker)])
            .with_aliases([(name("_acme-challenge.far.test"), name("far.example.test"))]);
        for host in ["example.test", "far.test"] {
            let question = CaaQuestion {
                name: name(host),
                wildcard: false,
                ca_identities: vec!["ca.test".to_owned()],
                account_url: None,
                method: "dns-01".to_owned(),
            };
            dns().caa(&question, &zones).await.unwrap();
        }
        let asked: Vec<String> =
            checker.asked().iter().map(|asked| asked.name().to_ascii().to_lowercase()).collect();
        assert!(asked.contains(&"far.test.".to_owned()), "{asked:?}");
        assert!(checker.asked().iter().all(|asked| asked.record_type() == RecordType::CAA));
    }
}
