//! What other programs read: completions and the manual page.

use dns01_tests::program::dns01;
use dns01_tests::rig::Rig;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// What `dns01` prints for `arguments`.
fn printed(arguments: &[&str]) -> String {
    let program = dns01(Rig::get());
    let outcome = program.run(arguments).succeeded();
    assert_eq!(outcome.stderr, "");
    assert_eq!(std::fs::read_dir(program.state()).unwrap().count(), 0, "it only prints");
    outcome.stdout
}

/// Feeds `text` to a program that must take it without a word; false if it is not installed.
#[track_caller]
fn taken_by(program: &str, arguments: &[&str], text: &str) -> bool {
    let mut command = Command::new(program);
    let pipes = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = pipes.spawn() else { return false };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{program}: {said}");
    true
}

#[test]
fn completions_are_scripts_that_each_shell_can_read() {
    let bash = printed(&["completions", "bash"]);
    assert!(taken_by("bash", &["-n"], &bash), "bash is on every machine");
    for (shell, marks) in [("bash", "complete -F"), ("zsh", "#compdef dns01"), ("fish", "complete -c dns01")]
    {
        let script = printed(&["completions", shell]);
        assert!(script.contains(marks), "{shell}");
        for word in ["issue", "rollover", "agree-tos", "propagation-timeout"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        let _ = taken_by(shell, &["-n"], &script);
    }
    let program = dns01(Rig::get());
    let _ = program.run(["completions", "tcsh"]).failed_with(2).says("possible values: bash");
}

/// Bash itself says what it would complete.
#[test]
fn bash_completes_a_command_and_a_flag() {
    let script = printed(&["completions", "bash"]);
    let complete = |words: &str, last: usize| {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={last}; _dns01 dns01 \"${{COMP_WORDS[{last}]}}\" x; \
             echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("dns01 iss", 1), "issue");
    assert_eq!(complete("dns01 account roll", 2), "rollover");
    assert_eq!(complete("dns01 issue --agree", 2), "--agree-tos");
}

#[test]
fn the_manual_page_is_read_without_a_complaint() {
    let page = printed(&["man"]);
    assert!(page.contains(".TH") && page.contains("DNS01 ISSUE"));
    let groff = taken_by("groff", &["-man", "-Tutf8", "-ww", "-z"], &page);
    let man = taken_by("man", &["--warnings", "-l", "-"], &page);
    let mandoc = taken_by("mandoc", &["-T", "lint", "-W", "error"], &page);
    assert!(groff || man || mandoc, "one of groff, man and mandoc is here");
}

#[test]
fn what_cannot_be_written_is_a_failure_and_a_closed_pipe_is_none() {
    let to = |line: &str| {
        dns01(Rig::get()).through(["bash", "-c", line, "bash"].map(std::ffi::OsString::from).to_vec())
    };
    for arguments in [&["man"][..], &["completions", "bash"], &["list"], &["list", "--json"]] {
        let full = to("exec \"$@\" >/dev/full").run(arguments).failed_with(1);
        let _ = full.says("standard output cannot be written").says("No space left on device");
        let closed = to("\"$@\" | true; exit \"${PIPESTATUS[0]}\"").run(arguments).succeeded();
        assert_eq!(closed.stderr, "", "{arguments:?}");
    }
}
