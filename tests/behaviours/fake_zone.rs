//! A zone of the rig whose only name server shows what a fake holds, for behaviours that write
//! through a provider's API.

use dns01_tests::fake_dns_api::{FakeDnsApi, Service};
use dns01_tests::fault_names::{Behaviour, FaultServer};
use dns01_tests::rig::{Rig, Zone};
use hickory_proto::rr::RecordType;

/// The zone, delegated, and its id at `api`.
pub(crate) fn served<S: Service>(api: &FakeDnsApi<S>) -> (Zone, String) {
    let (zone, names) = delegated();
    let id = api.zone(zone.name());
    api.serve(names);
    (zone, id)
}

/// A zone that is delegated to a name server of the test's own.
pub(crate) fn delegated() -> (Zone, FaultServer) {
    let rig = Rig::get();
    let address = rig.network().address(53);
    let zone = rig.zone().secondaries(&[]).server("ns", [address]).create();
    let names = FaultServer::start((address, 53).into(), Behaviour::good()).unwrap();
    names.zone(zone.name());
    names.add(zone.name(), RecordType::NS, &format!("{}.", zone.host("ns")));
    names.add(&zone.host("ns"), RecordType::A, &address.to_string());
    (zone, names)
}
