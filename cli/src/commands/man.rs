//! `dns01 man`: the manual page, every command with its flags one after the other.

use crate::args;
use crate::errors::Exit;
use crate::program::Program;
use clap_mangen::Man;
use std::io::Write;

pub(super) fn run(program: &Program) -> Exit {
    let mut command = args::command();
    command.build();
    let mut text = Vec::new();
    page(&command, &mut text).expect("a Vec takes everything");
    program.output.print(&String::from_utf8_lossy(&text));
    Exit::Done
}

fn page(command: &clap::Command, out: &mut dyn Write) -> std::io::Result<()> {
    Man::new(command.clone()).render(out)?;
    sections(command, out)
}

fn sections(command: &clap::Command, out: &mut dyn Write) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        let name = below.get_display_name().unwrap_or(below.get_name()).replace('-', " ");
        writeln!(out, ".SH \"{}\"", name.to_uppercase())?;
        let man = Man::new(below.clone());
        man.render_description_section(out)?;
        man.render_synopsis_section(out)?;
        man.render_options_section(out)?;
        sections(below, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_page_has_every_command_and_flag() {
        let mut command = args::command();
        command.build();
        let mut out = Vec::new();
        page(&command, &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        for word in ["DNS01 ISSUE", "DNS01 ACCOUNT ROLLOVER", "DNS01 TXT GC", "agree\\-tos", "state\\-dir"] {
            assert!(page.contains(word), "{word}");
        }
    }
}
