//! The command line as types. Files below hold one group of flags each.
//!
//! Every flag has a variable: `--state-dir` is `DNS01_STATE_DIR`. [`command`] gives each its
//! name, so that none can be forgotten.

mod account;
mod certificate;
mod global;
mod habits;
mod init;
mod issue;
mod scope;
mod txt;

pub(crate) use account::{AccountCommand, AuthorityArguments};
pub(crate) use certificate::{
    CheckArguments, ListArguments, PlanArguments, RenewArguments, RevokeArguments, ShowArguments,
};
pub(crate) use global::{ColorChoice, GlobalArguments};
pub(crate) use init::InitArguments;
pub(crate) use issue::{CredentialArguments, IssueArguments};
pub(crate) use scope::{ScopeArguments, ScopeCommand};
pub(crate) use txt::{TxtCommand, TxtValueArguments, TxtWaitArguments};

use clap::builder::FalseyValueParser;
use clap::{Arg, ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Obtains and renews TLS certificates through DNS-01 alone
#[derive(Parser, Debug)]
#[command(
    name = "dns01",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Every flag has a variable: --state-dir is DNS01_STATE_DIR.\n\
                  Exit codes: 0 done or nothing due, 1 some failed, 2 usage or configuration, \
                  3 nothing could be tried, 129, 130 and 143 interrupted."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Obtain a certificate, or every one of the configuration with --all
    Issue(Box<IssueArguments>),
    /// Renew what is due, once
    Renew(RenewArguments),
    /// List the certificates
    List(ListArguments),
    /// Show all that is known of one certificate
    Show(ShowArguments),
    /// Say what would be done now, why, and what it would cost
    Plan(PlanArguments),
    /// Revoke a certificate
    Revoke(RevokeArguments),
    /// Manage the account at a CA
    #[command(subcommand)]
    Account(AccountCommand),
    /// Write, watch and remove TXT values
    #[command(subcommand)]
    Txt(TxtCommand),
    /// Go through everything but the CA, and say what works
    Check(CheckArguments),
    /// Say what each credential must be able to do, and whether it can do more
    #[command(subcommand)]
    Scope(ScopeCommand),
    /// Write a configuration from a few questions, or flags
    Init(InitArguments),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// The command line with the variable of every flag.
pub(crate) fn command() -> clap::Command {
    with_variables(Arguments::command())
}

/// Reads the command line; prints help or the mistake and exits if there is nothing to do.
pub(crate) fn parse() -> Arguments {
    let matches = command().try_get_matches().unwrap_or_else(|error| {
        let words: Vec<String> =
            std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        habits::explained(error, &words).exit()
    });
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn with_variables(command: clap::Command) -> clap::Command {
    command.mut_args(with_variable).mut_subcommands(with_variables)
}

fn with_variable(argument: Arg) -> Arg {
    let Some(long) = argument.get_long() else { return argument };
    // The names live as long as the program, which clap wants.
    let name: &'static str = format!("DNS01_{}", long.replace('-', "_").to_uppercase()).leak();
    let argument = match argument.get_action() {
        ArgAction::SetTrue => argument.value_parser(FalseyValueParser::new()),
        _ => argument,
    };
    argument.env(name).hide_env(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    fn issue(line: &str) -> IssueArguments {
        match parse(line).unwrap().command {
            Command::Issue(arguments) => *arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable() {
        fn look(command: &clap::Command) {
            for argument in command.get_arguments().filter(|one| one.get_long().is_some()) {
                let long = argument.get_long().unwrap_or_default();
                if matches!(long, "help" | "version") {
                    continue;
                }
                let wanted = format!("DNS01_{}", long.replace('-', "_").to_uppercase());
                assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(wanted.as_str()));
            }
            command.get_subcommands().for_each(look);
        }
        look(&command());
    }

    #[test]
    fn what_people_type_elsewhere_works_here() {
        let arguments = issue(
            "dns01 issue -d example.com -d *.example.com,www.example.net --dns cloudflare \
             -m ops@example.com --agree-tos --server zerossl --key-type ec384 --preferred-chain X1 \
             --profile shortlived --eab-kid k --eab-hmac-key-file /k --cert-name one --force",
        );
        assert_eq!(arguments.domains, ["example.com", "*.example.com", "www.example.net"]);
        assert_eq!(arguments.credential.dns.as_deref(), Some("cloudflare"));
        assert_eq!(arguments.authority.email, ["ops@example.com"]);
        assert_eq!(arguments.authority.server.as_deref(), Some("zerossl"));
        assert!(arguments.authority.agree_tos && arguments.force);
        assert_eq!(arguments.certificate_name.as_deref(), Some("one"));
    }

    #[test]
    fn flags_of_other_clients_are_known() {
        assert!(issue("dns01 issue --domains a.test --accept-tos").authority.agree_tos);
        assert!(parse("dns01 init --accept-tos").is_ok());
    }

    #[test]
    fn what_excludes_each_other_is_refused() {
        for line in [
            "dns01 issue",
            "dns01 issue --all -d a.test",
            "dns01 issue --all --csr x.pem",
            "dns01 issue --all --dns lab",
            "dns01 issue --all --staging",
            "dns01 issue --all --server zerossl",
            "dns01 issue -d a.test --staging --server zerossl",
            "dns01 issue -d a.test --csr x.pem --key-type ec256",
            "dns01 list --json --quiet",
            "dns01 revoke",
            "dns01 revoke one --cert x.pem",
            "dns01 account",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_request_of_ones_own_needs_no_domain() {
        assert_eq!(issue("dns01 issue --csr x.pem").csr.as_deref(), Some("x.pem".as_ref()));
    }
}
