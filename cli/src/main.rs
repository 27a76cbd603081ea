//! dns01: TLS certificates through DNS-01 alone.
//!
//! The main flow reads `main.rs → commands/issue.rs → dns01_core::issue`.

mod args;
mod commands;
mod errors;
mod known;
mod orders;
mod output;
mod paths;
mod pem;
mod program;
mod propagation;
mod providers;
mod question;
mod remembered;
mod scope;
mod secrets;
mod signals;
mod wanted;

use args::Arguments;
use dns01_core::clock::Clock;
use errors::{Exit, Failure};
use output::Output;
use program::Program;
use signals::Signals;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

/// Files of certificates and keys are made on threads that may block. Hundreds of certificates
/// that arrive at once are no reason for hundreds of threads, each with a memory of its own.
const BLOCKING_THREADS: usize = 8;

fn main() -> ExitCode {
    let arguments = args::parse();
    let clock = Clock::system();
    let output = Output::new(&arguments.global, clock.clone());
    let exit = match start(arguments, clock, &output) {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    };
    ExitCode::from(output.settled(exit) as u8)
}

fn start(arguments: Arguments, clock: Clock, output: &Output) -> Result<Exit, Failure> {
    log(arguments.global.log.as_deref(), output.has_color())?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().max_blocking_threads(BLOCKING_THREADS).build();
    let runtime = runtime.map_err(|error| Failure::new("start", error.to_string(), Exit::NothingTried))?;
    runtime.block_on(run(arguments, clock, output.clone()))
}

async fn run(arguments: Arguments, clock: Clock, output: Output) -> Result<Exit, Failure> {
    let cancel = CancellationToken::new();
    let noted = output.clone();
    let note = move || noted.note("stopping: records are being removed; once more to stop at once");
    let signals = Signals::watch(cancel.clone(), note)
        .map_err(|error| Failure::new("start", error.to_string(), Exit::NothingTried))?;
    let tasks = TaskTracker::new();
    let program =
        Program { flags: arguments.global, output, clock, tasks, cancel, signals, warned: false.into() };
    let exit = match commands::run(&program, arguments.command).await {
        Ok(exit) => exit,
        Err(failures) => {
            failures.0.iter().for_each(|failure| program.output.failure(failure));
            failures.exit()
        }
    };
    program.end().await;
    Ok(program.signals.exit().unwrap_or(exit))
}

/// Logs go to standard error, and only where they are asked for.
fn log(filter: Option<&str>, color: bool) -> Result<(), Failure> {
    let Some(filter) = filter else { return Ok(()) };
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::usage("usage-value", format!("--log: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(color)
        .with_writer(std::io::stderr)
        // A terminal that has gone away is no reason to panic.
        .log_internal_errors(false)
        .init();
    Ok(())
}
