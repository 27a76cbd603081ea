//! The quick forms of the benchmarks run to their ends, so that the whole ones cannot rot.

use dns01_tests::program::{Outcome, Running};
use std::process::Command;
use std::time::Duration;

#[test]
fn the_quick_benchmark_prints_every_figure_of_each_program() {
    // It lays the rig's root over the machine's, which must not be seen by other tests.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", env!("CARGO_BIN_EXE_bench"), "issue", "--quick"]);
    let outcome = Running::start(command, Duration::from_secs(240)).wait().succeeded();
    let figure = |name: &str| figure(&outcome, name);
    for name in ["issue_1_wall_ratio_lego", "issue_1_wall_ratio_uacme", "issue_5_wall_ratio_lego8"] {
        assert!(figure(name) > 0.0, "{name}");
    }
    for name in ["issue_5_cpu_ratio_lego8", "issue_5_peak_mib", "start_ms", "issue_1_slack_max_ms"] {
        assert!(figure(name) > 0.0, "{name}");
    }
    assert!(figure("issue_1_ca_requests") >= 9.0, "no certificate is to be had with fewer");
    assert!(figure("issue_5_requests_per_certificate") >= 7.0);
    assert!((2.0..=4.0).contains(&figure("issue_5_updates")), "one UPDATE for all, and one to remove");
    assert!(figure("issue_5_failures") < 0.5);
    assert!(figure("issue_1_slack_min_ms") > -10.0, "the CA is never told before the servers answer");
}

#[test]
fn two_hundred_names_of_a_zone_cost_a_handful_of_requests_at_each_provider() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(["providers", "--quick"]);
    let outcome = Running::start(command, Duration::from_secs(120)).wait().succeeded();
    for (provider, least, most) in [("route53", 2.0, 3.0), ("cloudflare", 2.0, 4.0), ("powerdns", 2.0, 4.0)] {
        for direction in ["add", "remove"] {
            let requests = figure(&outcome, &format!("{provider}_200_calls_{direction}"));
            assert!((least..=most).contains(&requests), "{provider} {direction}: {requests}");
        }
    }
}

/// The value of one line.
#[track_caller]
fn figure(outcome: &Outcome, name: &str) -> f64 {
    let line = outcome.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value =
        line.and_then(|rest| rest.split(' ').next()).unwrap_or_else(|| panic!("no {name}:\n{outcome}"));
    value.parse::<f64>().unwrap()
}
