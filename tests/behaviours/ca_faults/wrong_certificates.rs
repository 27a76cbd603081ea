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
