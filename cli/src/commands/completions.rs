//! `dns01 completions`.

use crate::args;
use crate::errors::Exit;
use crate::program::Program;
use clap_complete::Shell;

pub(super) fn run(program: &Program, shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "dns01", &mut script);
    program.output.print(&String::from_utf8_lossy(&script));
    Exit::Done
}
