//! Certificates that are not what was asked for never replace one that is.

use super::bench::{Bench, each};
use dns01_tests::fault_ca::{Endpoint, Fault, Nth, WrongChain};

const ROWS: [(WrongChain, &str); 7] = [
    (WrongChain::OtherKey, "the certificate is for another key than ours"),
    (WrongChain::OtherNames, "with other.invalid on top"),
    (WrongChain::Expired, "the certificate was valid until 2001-01-01"),
    (WrongChain::Foreign, "is not signed by `dns01 fault CA`"),
    (WrongChain::PrivateKeyInside, "something that is not a chain of certificates: "),
    (WrongChain::LeafLast, "the certificate is for another key than ours"),
    (WrongChain::Empty, "the CA handed out no certificate"),
];

#[test]
fn a_wrong_certificate_is_refused_by_name_and_the_old_files_stay() {
    each(&ROWS, |(wrong, words)| {
        let bench = Bench::with_certificate();
        let old = bench.files();
        bench.ca.fault(Endpoint::Certificate, Nth::Every, Fault::Chain(*wrong));
        let outcome = bench.issue(&["--force"]).failed_with(1).says("id=certificate-refused").says(words);
        let _ = outcome.says("hint: the old files are untouched");
        assert_eq!(bench.files(), old);
        bench.nothing_left();
        bench.ca.heal();
        let _ = bench.issue(&["--force"]).succeeded();
        assert_ne!(bench.files(), old);
    });
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_taken_later_and_not_ordered_again() {
    let bench = Bench::new();
    bench.ca.fault(Endpoint::Certificate, Nth::Times(2), Fault::Chain(WrongChain::NotYetValid));
    for _ in 0..2 {
        let outcome = bench.issue(&["--force"]).failed_with(1).says("id=certificate-refused");
        let _ = outcome.says("is valid only from 2199-01-01").says("hint: is this machine's clock right?");
    }
    let _ = bench.issue(&["--force"]).succeeded();
    assert_eq!((bench.ca.orders(), bench.ca.certificates()), (1, 1));
    bench.nothing_left();
}
