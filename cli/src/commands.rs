//! One file a command.

mod account;
mod check;
mod completions;
mod init;
mod issue;
mod list;
mod man;
mod plan;
mod renew;
mod revoke;
mod scope;
mod show;
mod txt;

use crate::args::Command;
use crate::errors::{Exit, Failures};
use crate::program::Program;

/// Does what `command` says.
pub(crate) async fn run(program: &Program, command: Command) -> Result<Exit, Failures> {
    match command {
        Command::Issue(arguments) => issue::run(program, &arguments).await,
        Command::Renew(arguments) => renew::run(program, arguments).await,
        Command::List(_) => list::run(program).await,
        Command::Show(arguments) => show::run(program, &arguments).await,
        Command::Plan(arguments) => plan::run(program, &arguments).await,
        Command::Revoke(arguments) => revoke::run(program, &arguments).await,
        Command::Account(command) => account::run(program, command).await,
        Command::Txt(command) => txt::run(program, command).await,
        Command::Check(arguments) => check::run(program, &arguments).await,
        Command::Scope(command) => scope::run(program, command).await,
        Command::Init(arguments) => init::run(program, &arguments).await,
        Command::Completions { shell } => Ok(completions::run(program, shell)),
        Command::Man => Ok(man::run(program)),
    }
}
