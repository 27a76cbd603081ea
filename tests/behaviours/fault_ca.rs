//! The fault CA itself, seen by clients that are not ours: without faults nothing changes,
//! and each fault is what it says.

mod faults;
mod lego;
mod pebble;
mod preauthorization;
mod signing_client;

use dns01_tests::fault_ca::{FaultCa, Setup};
use pebble::Pebble;

/// A fault CA before a Pebble of its own.
fn fault_ca() -> (FaultCa, Pebble) {
    let pebble = Pebble::start();
    let ca = FaultCa::start(&Setup::before(pebble.address)).unwrap();
    (ca, pebble)
}
