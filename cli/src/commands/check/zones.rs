//! Zones: the delegation, and every name server over UDP and over TCP.

use super::Check;
use super::names::Located;
use super::report::{Report, Seen};
use crate::output::words::count;
use dns01_core::dns::{CheckMode, ProbeAnswer, Probed, ZoneServers};
use dns01_provider::ZoneName;
use std::sync::Arc;

/// A zone that records are written to.
pub(super) struct Zone {
    name: ZoneName,
    /// Where they are asked who has the values.
    servers: Option<Arc<ZoneServers>>,
    check: CheckMode,
    /// The credentials that write to it.
    through: String,
}

/// The zones that the located names are in, each once.
pub(super) fn of(located: &[Located]) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    for (location, route) in located.iter().filter_map(|located| located.place.as_ref().ok()) {
        if !zones.iter().any(|zone| zone.name == location.zone) {
            zones.push(Zone {
                name: location.zone.clone(),
                servers: location.servers.clone(),
                check: location.check.clone(),
                through: route.through(),
            });
        }
    }
    zones
}

impl Check {
    pub(super) async fn zone(&self, zone: &Zone) -> Report {
        let Some(servers) = &zone.servers else {
            let steps = vec![Seen::good("delegation", unasked(zone))];
            return Report::new("zone", zone.name.to_string(), steps);
        };
        let mut steps = delegation(servers, &zone.through);
        let mut probed = self.context.dns.probe(servers).await;
        probed.sort_by(|one, other| (&one.server, one.address).cmp(&(&other.server, other.address)));
        let all_silent = probed.iter().all(|one| is_silent(&one.udp) && is_silent(&one.tcp));
        let blocked = self.has_proxy && all_silent;
        steps.extend(probed.iter().map(|one| name_server(one, blocked)));
        Report::new("zone", servers.zone.to_string(), steps)
    }
}

/// In a check mode that does not ask the zone's own servers.
fn unasked(zone: &Zone) -> String {
    let through = &zone.through;
    match &zone.check {
        CheckMode::Recursive(resolvers) => {
            format!("through {through}, looked at by {}", count(resolvers.len(), "resolver"))
        }
        CheckMode::Provider => format!("through {through}, of which the service tells the status"),
        _ => format!("through {through}, at which nobody looks"),
    }
}

fn delegation(servers: &ZoneServers, through: &str) -> Vec<Seen> {
    let number = count(servers.servers.len(), "name server");
    let addresses = count(servers.addresses().count(), "address");
    let Some(parent) = &servers.parent else {
        let text = format!("through {through}; the configuration names {number}");
        return vec![Seen::good("delegation", text)];
    };
    let text = format!("through {through}, delegated by {parent} to {number} with {addresses}");
    let mut seen = vec![Seen::good("delegation", text)];
    let mut differ = |servers: &[String], what: &str, hint: String| {
        if !servers.is_empty() {
            let text = format!("{} {what}", servers.join(", "));
            seen.push(Seen::warning("delegation", text).with_hint(hint));
        }
    };
    let (zone, hint) = (&servers.zone, "make the NS records of the parent and of the zone the same");
    let in_zone_only = format!("named by {zone}, not by {parent}");
    differ(&servers.undelegated, &in_zone_only, hint.to_owned());
    let in_parent_only = format!("named by {parent}, not by {zone}");
    differ(&servers.unlisted, &in_parent_only, hint.to_owned());
    let hint = "resolvers that choose it wait in vain: give it an address, or take it out";
    differ(&servers.without_address, "without an address", hint.to_owned());
    seen
}

fn is_silent(answer: &ProbeAnswer) -> bool {
    matches!(answer, ProbeAnswer::Silent(_) | ProbeAnswer::NoRoute)
}

/// One address. Trouble with one of several is a warning: whether a certificate can be had
/// nevertheless is seen by the value that is written.
fn name_server(probed: &Probed, blocked: bool) -> Seen {
    use ProbeAnswer::{Authoritative, Lame, NoRoute, Silent};
    const STEP: &str = "name server";
    let host = probed.address.ip().to_string();
    let who = if probed.server == host { host } else { format!("{} {host}", probed.server) };
    let seen = match (&probed.udp, &probed.tcp) {
        (Authoritative(serial), Authoritative(_)) => {
            return Seen::good(STEP, format!("{who}: UDP and TCP, serial {serial}")).took(probed.took);
        }
        (NoRoute, _) => {
            return Seen::unknown(STEP, format!("{who}: cannot tell, there is no route from here"));
        }
        (Silent(_), Silent(_)) if blocked => {
            let text = format!("{who}: cannot tell, only a proxy gets out of here");
            return Seen::unknown(STEP, text).with_hint("let UDP and TCP to port 53 out".to_owned());
        }
        (Silent(udp), Silent(tcp)) if udp == tcp => {
            Seen::warning(STEP, format!("{who}: {udp} over UDP and TCP"))
                .with_hint("is it down, or port 53 closed between here and there?".to_owned())
        }
        (udp, tcp @ Silent(_)) => {
            Seen::warning(STEP, format!("{who}: {} over UDP, {tcp} over TCP", said(udp)))
                .with_hint("open its TCP port 53: the CA's resolver may need it (RFC 7766)".to_owned())
        }
        (udp @ Silent(_), tcp) => {
            Seen::warning(STEP, format!("{who}: {udp} over UDP, {} over TCP", said(tcp)))
                .with_hint("open its UDP port 53, which the CA's resolver asks first".to_owned())
        }
        (udp @ Lame(_), tcp) | (udp, tcp) => {
            let text = if udp == tcp {
                udp.to_string()
            } else {
                format!("{} over UDP, {} over TCP", said(udp), said(tcp))
            };
            Seen::warning(STEP, format!("{who}: {text}"))
                .with_hint("load the zone there, or take the server out of the delegation".to_owned())
        }
    };
    seen.took(probed.took)
}

fn said(answer: &ProbeAnswer) -> String {
    match answer {
        ProbeAnswer::Authoritative(_) => "an answer".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::State;
    use super::*;
    use std::time::Duration;

    fn seen(udp: ProbeAnswer, tcp: ProbeAnswer, blocked: bool) -> (State, String) {
        let address = "192.0.2.53:53".parse().unwrap();
        let probed = Probed { server: "ns1.a.test".to_owned(), address, udp, tcp, took: Duration::ZERO };
        let seen = name_server(&probed, blocked);
        (seen.state, seen.text.replace("ns1.a.test 192.0.2.53: ", ""))
    }

    #[test]
    fn each_transport_of_a_name_server_is_told() {
        use ProbeAnswer::{Authoritative, Lame, NoRoute, Silent};
        let nothing = || Silent("nothing".to_owned());
        let refused = || Lame("REFUSED".to_owned());
        let says = |state, text: &str| (state, text.to_owned());
        assert_eq!(
            seen(Authoritative(7), Authoritative(7), false),
            says(State::Good, "UDP and TCP, serial 7")
        );
        let no_tcp = says(State::Warning, "an answer over UDP, nothing over TCP");
        assert_eq!(seen(Authoritative(7), nothing(), false), no_tcp);
        let no_udp = says(State::Warning, "nothing over UDP, an answer over TCP");
        assert_eq!(seen(nothing(), Authoritative(7), false), no_udp);
        assert_eq!(seen(refused(), refused(), false), says(State::Warning, "REFUSED"));
        let silent = says(State::Warning, "nothing over UDP and TCP");
        assert_eq!(seen(nothing(), nothing(), false), silent);
        assert_eq!(seen(nothing(), nothing(), true).0, State::Unknown);
        assert_eq!(seen(NoRoute, NoRoute, false).0, State::Unknown);
    }
}
