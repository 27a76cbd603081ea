//! `dns01 completions`.

use crate::args;
use crate::errors::Exit;
use clap_complete::Shell;
use std::io::Write as _;

pub(super) fn run(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "dns01", &mut script);
    // A closed pipe is the reader's choice and no reason to fail.
    let _ = std::io::stdout().write_all(&script);
    Exit::Done
}
