//! The failure as a person reads it, whole.

use crate::stand::Stand;
use dns01_tests::fault_names::{Behaviour, Conduct};
use dns01_tests::rig::{Rig, address};
use hickory_proto::op::ResponseCode;
use std::time::Duration;

/// The numbers and values that differ from run to run, as letters.
fn normalised(text: &str) -> String {
    let mut line = text.to_owned();
    if let Some((front, rest)) = line.clone().split_once("TXT \"") {
        let (_, back) = rest.split_once('"').unwrap();
        line = format!("{front}TXT \"…\"{back}");
    }
    let words: Vec<&str> = line.split(' ').collect();
    let last = words.len().saturating_sub(1);
    let words = words.iter().enumerate().map(|(index, &word)| match word {
        number if words.get(index + 1) == Some(&"looks") && number.parse::<u32>().is_ok() => "N",
        clock if clock.len() == 4 && clock.starts_with("0:0") => "0:0S",
        clock if clock.len() == 5 && clock.starts_with("0:0") && index < last => "0:0S,",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_table_names_every_server_with_its_answer_and_the_hint_names_the_one_to_repair() {
    let zone = Rig::get().zone().named("table.test");
    let behaviours = [
        (Behaviour::good(), Duration::from_secs(3600)),
        (Behaviour::of(Conduct::code(ResponseCode::Refused)), Duration::ZERO),
        (Behaviour::good().without_udp(), Duration::ZERO),
    ];
    let stand = Stand::in_zone(zone, behaviours);
    let outcome = stand.issue(&["--quiet", "--propagation-timeout", "3s"]).failed_with(1);
    let ip = |number: usize| stand.servers[number - 3].address().ip().to_string();
    let (three, four, five) = (ip(3), ip(4), ip(5));
    let width = [&three, &four, &five].iter().map(|ip| ip.len()).max().unwrap();
    let (knot, nsd) = (address::KNOT.to_string(), address::NSD.to_string());
    let (heading, ca) = ("address", stand.ca.address());
    let expected = format!(
        "\
error: table.test: not every authoritative name server of `table.test` has the value after 3 s
  zone table.test (delegated by test. to 5 name servers) · record _acme-challenge.table.test TXT \"…\"

  name server     {heading:width$}  answer                               since
  ns1.table.test  {knot:width$}  the value, authoritative             0:0S
  ns2.table.test  {nsd:width$}  the value, authoritative             0:0S
  ns3.table.test  {three:width$}  no such name, serial 1               0:0S, N looks
  ns4.table.test  {four:width$}  REFUSED                              0:0S, N looks
  ns5.table.test  {five:width$}  the value, authoritative (over TCP)  0:0S
  hint: ns3.table.test still serves serial 1, ns1.table.test has 2: check the transfer to it
  removed: all that was written for it; nothing was counted against you at {ca}
"
    );
    let said: String = outcome.stderr.lines().map(|line| normalised(line) + "\n").collect();
    assert_eq!(said, expected);
}
