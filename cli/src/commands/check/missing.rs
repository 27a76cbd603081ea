//! The records to create where a delegation is missing.

use super::Check;
use dns01_core::config::parse_server;
use dns01_core::dns::DnsError;
use dns01_provider::{Fqdn, ZoneName};
use std::net::SocketAddr;

/// A zone's offer to take the challenges in; more would be noise.
const MOST_OFFERS: usize = 3;
/// The longest label (RFC 1035 §2.3.4).
const LONGEST_LABEL: usize = 63;

impl Check {
    /// The records that would mend `error`, in the form of master files.
    pub(super) async fn records_for(&self, error: &DnsError) -> Vec<String> {
        match error {
            DnsError::NotConfigured { name, .. } | DnsError::AliasNotConfigured { name, .. } => {
                let zones = self.credentials.iter().flat_map(|credential| &credential.zones);
                zones.take(MOST_OFFERS).map(|zone| alias(name, &zone.zone.name)).collect()
            }
            DnsError::NotDelegated { zone, .. } => self.delegation(zone).await,
            _ => Vec::new(),
        }
    }

    /// The NS records that the parent should have: as the server that takes the updates says, or
    /// with a place for what is not known here.
    async fn delegation(&self, zone: &Fqdn) -> Vec<String> {
        let zone = ZoneName::from(zone.clone());
        let owner = zone.apex().absolute();
        for address in self.servers_of(&zone) {
            let mut records = Vec::new();
            for server in self.context.dns.name_servers_at(address, &zone).await {
                records.push(format!("{owner} 3600 IN NS {}.", server.name));
                let inside = Fqdn::parse(&server.name).is_ok_and(|name| zone.contains(&name));
                records.extend(server.addresses.iter().filter(|_| inside).map(|address| {
                    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
                    format!("{}. 3600 IN {kind} {}", server.name, address.ip())
                }));
            }
            if !records.is_empty() {
                return records;
            }
        }
        vec![format!("{owner} 3600 IN NS NAME-SERVER.  (one for each that the zone's provider names)")]
    }

    /// The addresses of servers that have `zone` whether or not it is delegated.
    fn servers_of(&self, zone: &ZoneName) -> Vec<SocketAddr> {
        let for_it = |name: &ZoneName| name == zone;
        let credentials = self.credentials.iter().filter(|credential| {
            credential.zones.is_empty() || credential.zones.iter().any(|zone| for_it(&zone.zone.name))
        });
        credentials
            .filter_map(|credential| credential.settings.text("server"))
            .filter_map(|text| parse_server(text).ok())
            .collect()
    }
}

/// The alias that leads the challenges of `name` into `zone`, to a place of their own there.
fn alias(name: &Fqdn, zone: &ZoneName) -> String {
    let host = name.as_str().trim_start_matches("_acme-challenge.");
    let dashed = host.replace('.', "-");
    let label = if dashed.len() <= LONGEST_LABEL { dashed.as_str() } else { host };
    format!("{} 3600 IN CNAME {label}.{}", name.absolute(), zone.apex().absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_leads_to_a_place_of_its_own_in_the_zone() {
        let zone = ZoneName::parse("acme.example.net").unwrap();
        let alias = |name: &str| alias(&Fqdn::parse(name).unwrap(), &zone);
        assert_eq!(
            alias("_acme-challenge.shop.example.org"),
            "_acme-challenge.shop.example.org. 3600 IN CNAME shop-example-org.acme.example.net."
        );
        let long = format!("{}.{}.example.org", "a".repeat(40), "b".repeat(40));
        assert!(alias(&format!("_acme-challenge.{long}")).ends_with(&format!("{long}.acme.example.net.")));
    }
}
