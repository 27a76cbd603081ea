//! The benchmarks, in the rig: `issue`, side by side with `lego` and `uacme`, and what providers
//! cost.
//!
//! - [`figures`]: the lines printed, and the bounds they are held to;
//! - `measured`: one run of a program: wall time, CPU time, peak memory;
//! - `client`: the three programs, each with a zone, a CA and a state of its own;
//! - `series`: what is measured of `issue`;
//! - `providers`: requests that batches cost at providers (`relay` counts them on the way).
//!
//! `tests/bench/run issue` and `tests/bench/run providers` run them on a release build; quick forms
//! are among the tests.

mod client;
pub mod figures;
mod measured;
mod providers;
mod relay;
mod series;

use crate::rig::Rig;
use figures::Figures;
use std::process::{Command, ExitCode};

const USAGE: &str = concat!(
    "usage: bench issue [--alone | --quick | --soak] | bench providers [--quick]\n",
    "  --alone  measures dns01 only\n",
    "  --soak   dns01 obtains a thousand certificates over and over, to find failures that are rare\n",
    "  --quick  a few runs on whatever build is at hand, and no bounds"
);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// Runs of one certificate, by each program.
    singles: usize,
    /// Certificates in the parallel series.
    many: usize,
    /// Runs of the parallel series; the peers have one, which takes them a minute.
    many_runs: usize,
    /// Whether apex + wildcard and ten times as many are measured too.
    whole: bool,
    /// Whether the peers run.
    peers: bool,
    /// Whether the bounds hold.
    bounds: bool,
}

impl Form {
    const FULL: Self = Self { singles: 9, many: 100, many_runs: 5, whole: true, peers: true, bounds: true };
    const ALONE: Self = Self { peers: false, ..Self::FULL };
    const QUICK: Self = Self { singles: 1, many: 5, many_runs: 1, whole: false, peers: true, bounds: false };
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["issue"] => issue(Form::FULL),
        ["issue", "--alone"] => issue(Form::ALONE),
        ["issue", "--quick"] => issue(Form::QUICK),
        ["issue", "--soak"] => soak(),
        ["providers"] => providers(true),
        ["providers", "--quick"] => providers(false),
        _ => {
            say(USAGE);
            ExitCode::from(2)
        }
    }
}

fn providers(bounds: bool) -> ExitCode {
    let mut figures = Figures::default();
    providers::measure(Rig::get(), &mut figures);
    judged(&figures, bounds)
}

fn issue(form: Form) -> ExitCode {
    let rig = Rig::get();
    trust(rig);
    let mut figures = Figures::default();
    series::start(rig, form, &mut figures);
    series::slack(rig, form, &mut figures);
    let mut clients = series::clients(rig, form);
    series::singles(&mut clients, form, &mut figures);
    let hundred = series::many(rig, &mut clients, form, &mut figures);
    if form.whole {
        series::ten_times_as_many(rig, form, hundred, &mut figures);
        series::both(&mut clients, form, &mut figures);
    }
    judged(&figures, form.bounds)
}

/// What fails once in ten thousand times shows itself here.
fn soak() -> ExitCode {
    const RUNS: usize = 30;
    let mut figures = Figures::default();
    series::all_at_once(Rig::get(), 1000, RUNS, &mut figures);
    judged(&figures, true)
}

/// Success, unless bounds hold and one is missed.
fn judged(figures: &Figures, bounds: bool) -> ExitCode {
    let missed = if bounds { figures.missed() } else { Vec::new() };
    for line in &missed {
        say(&format!("BOUND MISSED {line}"));
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// uacme trusts the machine's roots only: in this mount namespace they are the rig's.
fn trust(rig: &Rig) {
    const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
    let mounted = Command::new("mount").arg("--bind").arg(rig.ca_bundle()).arg(ROOTS).status();
    assert!(mounted.is_ok_and(|status| status.success()), "the rig's root cannot be laid over {ROOTS}");
}

#[expect(clippy::print_stderr, reason = "remarks go beside the figures, which are the output")]
fn say(text: &str) {
    eprintln!("{text}");
}
