//! `dns01 completions`.

use crate::args;
use crate::errors::Exit;
use clap_complete::Shell;

pub(super) fn run(shell: Shell) -> Exit {
    clap_complete::generate(shell, &mut args::command(), "dns01", &mut std::io::stdout());
    Exit::Done
}
