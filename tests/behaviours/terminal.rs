//! What a person sees on a terminal: lines that change in place, and how they end.

use dns01_tests::program::{Outcome, Program, Running, dns01};
use dns01_tests::rig::{Rig, Secondary, Zone, wait_until};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Columns of the terminal.
const WIDTH: usize = 110;

/// `dns01` with `arguments` on a terminal of its own, made by `script`; `answer` is typed.
pub(crate) fn on_terminal(program: &Program, arguments: &[&str], answer: &str) -> Command {
    let inner = program.command(arguments);
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap());
    let words: Vec<String> =
        std::iter::once(inner.get_program()).chain(inner.get_args()).map(quoted).collect();
    let line = format!("stty cols {WIDTH} rows 40; {}; echo \"exit $?\"", words.join(" "));
    let mut command = Command::new("sh");
    let feed = if answer.is_empty() { "</dev/null".to_owned() } else { format!("<<'END'\n{answer}\nEND") };
    command.args(["-c", &format!("exec script -qfc \"$LINE\" \"$HOME/typescript\" {feed}\n")]);
    command.env_clear().env("LINE", line).env("TERM", "xterm-256color");
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

/// A terminal as far as this program's output needs one: what stands on it at the end.
#[derive(Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Whether anything was ever coloured.
    colored: bool,
}

impl Screen {
    fn of(output: &str) -> Self {
        let mut screen = Self::default();
        let mut characters = output.chars();
        while let Some(character) = characters.next() {
            match character {
                '\u{1b}' => screen.escape(&mut characters),
                '\r' => screen.column = 0,
                '\n' => screen.row += 1,
                _ => screen.put(character),
            }
        }
        screen
    }

    fn line(&mut self) -> &mut Vec<char> {
        let rows = self.lines.len().max(self.row + 1);
        self.lines.resize(rows, Vec::new());
        &mut self.lines[self.row]
    }

    fn put(&mut self, character: char) {
        if self.column == WIDTH {
            (self.row, self.column) = (self.row + 1, 0);
        }
        let column = self.column;
        let line = self.line();
        line.resize(line.len().max(column + 1), ' ');
        line[column] = character;
        self.column += 1;
    }

    fn escape(&mut self, characters: &mut std::str::Chars<'_>) {
        if characters.next() != Some('[') {
            return;
        }
        let mut parameter = String::new();
        for character in characters {
            if character.is_ascii_digit() || matches!(character, ';' | '?') {
                parameter.push(character);
                continue;
            }
            let count = parameter.parse().unwrap_or(1);
            let column = self.column;
            match character {
                'A' => self.row = self.row.saturating_sub(count),
                'B' => self.row += count,
                'C' => self.column += count,
                'D' => self.column = column.saturating_sub(count),
                'G' => self.column = count - 1,
                'J' => {
                    let row = self.row;
                    self.line().truncate(column);
                    self.lines.truncate(row + 1);
                }
                'K' if parameter == "2" => self.line().clear(),
                'K' => self.line().truncate(column),
                'm' => self.colored = true,
                _ => {}
            }
            return;
        }
    }

    fn text(&self) -> Vec<String> {
        let lines = self.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    }
}

/// `text` with times, dates and names that differ between runs made equal.
fn normalised(text: &str, zone: &Zone) -> String {
    let mut out = String::new();
    for word in text.replace(zone.name(), "ZONE").split(' ') {
        let number = word.chars().all(|c| c.is_ascii_digit() || c == '.') && word.contains('.');
        let date = word.trim_end_matches(',').len() == 10 && word.matches('-').count() == 2;
        let hexadecimal = word.trim_end_matches(',').len() == 6
            && word.trim_end_matches(',').chars().all(|c| c.is_ascii_hexdigit());
        let word = match word {
            _ if number => "N",
            _ if date => "DATE,",
            _ if hexadecimal => "HEX,",
            word => word,
        };
        if !(out.ends_with(' ') && word.is_empty()) {
            out += word;
            out.push(' ');
        }
    }
    out.trim().replace(",,", ",")
}

fn stand(rig: &Rig) -> (Zone, Program) {
    let zone = rig.zone().create();
    let program = dns01(rig).credentials(&zone).ca(rig, rig.ca_directory());
    (zone, program)
}

fn run(command: Command) -> Screen {
    Screen::of(&Running::start(command, PATIENCE).wait().stdout)
}

#[test]
fn one_certificate_ends_with_a_tick_for_every_step() {
    let (zone, program) = stand(Rig::get());
    let wildcard = format!("*.{}", zone.name());
    let line = ["issue", "-d", zone.name(), "-d", &wildcard, "--dns", "rfc2136"];
    let screen = run(on_terminal(&program, &line, ""));
    assert!(screen.colored);
    let seen: Vec<String> = screen.text().iter().map(|line| normalised(line, &zone)).collect();
    let files =
        format!("{}/fullchain.pem privkey.pem chain.pem cert.pem", program.live(zone.name(), "").display());
    let files = files.replace("//", "/").replace(zone.name(), "ZONE");
    let wanted = [
        "ZONE *.ZONE, ZONE · 127.53.0.80:14000 · ec256",
        "✓ order 2 names, 2 to prove N s",
        "✓ records 2 values at _acme-challenge.ZONE in one call (rfc2136) N s",
        "✓ propagate 2 of 2 addresses answer N s",
        "✓ validate 2 of 2 names proven N s",
        "✓ certificate issued by Pebble Intermediate CA HEX, valid to DATE, N s",
        "✓ cleaned up 2 values removed N s",
        &files,
        "Renewal: from DATE, as the CA advises. Run `dns01 renew` daily, with `RFC2136_TSIG_SECRET` set.",
        "exit 0",
    ];
    assert_eq!(seen, wanted, "{}", screen.text().join("\n"));
}

#[test]
fn on_a_narrow_terminal_a_line_shows_where_it_is_cut() {
    let (zone, program) = stand(Rig::get());
    let mut command = on_terminal(&program, &["issue", "-d", zone.name(), "--dns", "rfc2136"], "");
    let line = command.get_envs().find_map(|(name, value)| value.filter(|_| name == "LINE"));
    let line = line.unwrap().to_str().unwrap().replace(&format!("cols {WIDTH}"), "cols 80");
    command.env("LINE", line);
    // The screen of these tests is wider: the lines are looked at as they were written.
    let output = Running::start(command, PATIENCE).wait().stdout;
    let line = output.split(['\r', '\n']).find(|line| line.contains("issued by"));
    let line = line.unwrap_or_else(|| panic!("{output}"));
    let (_, rest) = line.split_once("valid to 20").unwrap_or_else(|| panic!("{line:?}"));
    assert!(rest.split(' ').next().is_some_and(|date| date.ends_with('…')), "{line:?}");
}

#[test]
fn a_server_that_lags_is_named_while_it_is_waited_for() {
    let rig = Rig::get();
    let zone = rig.zone().hold(Secondary::Nsd).create();
    let program = dns01(rig).credentials(&zone).ca(rig, rig.ca_directory());
    let line = ["issue", "-d", zone.name(), "--dns", "rfc2136"];
    let running = Running::start(on_terminal(&program, &line, ""), PATIENCE);
    let waiting = format!("waiting for {}", zone.host("ns2"));
    let typescript = program.state().join("typescript");
    wait_until(&waiting, PATIENCE, || {
        String::from_utf8_lossy(&std::fs::read(&typescript).unwrap_or_default()).contains(&waiting)
    });
    zone.release(Secondary::Nsd);
    let output = running.wait().stdout;
    assert!(Screen::of(&output).text().iter().any(|line| line.starts_with(" ✓ propagate")), "{output}");
}

#[test]
fn a_failure_leaves_a_cross_at_its_step_and_the_error_below() {
    let rig = Rig::get();
    let (zone, _) = stand(rig);
    let program = dns01(rig).credentials(&zone).ca(rig, rig.ca_directory()).env("RFC2136_TSIG_KEY", "nosuch");
    let screen = run(on_terminal(&program, &["issue", "-d", zone.name(), "--dns", "rfc2136"], ""));
    let seen = screen.text();
    let at = |start: &str| seen.iter().position(|line| line.starts_with(start));
    let text = seen.join("\n");
    assert!(at(" ✓ order") < at(" ✗ records") && at(" ✗ records").is_some(), "{text}");
    assert!(at(" ✗ records") < at("error: ") && at("error: ") < at("  hint: "), "{text}");
    assert!(at("   validate").is_none(), "{text}");
    assert_eq!(seen.last().map(String::as_str), Some("exit 1"), "{text}");
}

#[test]
fn the_terms_are_shown_and_asked_about() {
    let rig = Rig::get();
    for (answer, exit) in [("n", "exit 2"), ("yes", "exit 0")] {
        let (zone, program) = stand(rig);
        let program = program.env("DNS01_AGREE_TOS", "false");
        let screen = run(on_terminal(&program, &["issue", "-d", zone.name(), "--dns", "rfc2136"], answer));
        let text = screen.text().join("\n");
        assert!(text.contains("wants its terms of service agreed to: data:text/plain,"), "{text}");
        assert!(text.ends_with(exit), "{text}");
    }
}

#[test]
fn many_certificates_end_with_their_sum() {
    let rig = Rig::get();
    let zone = rig.zone().create();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dns01.toml");
    let certificates: Vec<String> =
        (0..5).map(|n| format!("[[certificate]]\ndomains = [\"n{n}.{}\"]\n", zone.name())).collect();
    let text = format!(
        "[ca.lab]\ndirectory = \"{}\"\nca_bundle = \"{}\"\nagree_tos = true\n[defaults]\nca = \"lab\"\n{}{}",
        rig.ca_directory(),
        rig.ca_bundle().display(),
        zone.table("lab", &[&zone]),
        certificates.concat(),
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let program = dns01(rig);
    let screen = run(on_terminal(&program, &["issue", "--all", "--config", file.to_str().unwrap()], ""));
    let seen: Vec<String> = screen.text().iter().map(|line| normalised(line, &zone)).collect();
    assert_eq!(seen, ["5 of 5 · N s", "5 issued · 0 not due · 0 waiting · 0 failed", "exit 0"]);
}

#[test]
fn a_dumb_terminal_and_a_pipe_get_plain_lines() {
    let (zone, program) = stand(Rig::get());
    let line = ["issue", "-d", zone.name(), "--dns", "rfc2136"];
    let mut dumb = on_terminal(&program, &line, "");
    dumb.env("TERM", "dumb");
    let output = Running::start(dumb, PATIENCE).wait().stdout;
    assert!(output.contains("step=propagate") && !output.contains('\u{1b}'), "{output}");
    let piped = program.run([&line[..], &["--force"]].concat()).succeeded();
    assert!(piped.stderr.contains("step=propagate") && !piped.stderr.contains(['\u{1b}', '\r']), "{piped}");
    let quiet = program.run([&line[..], &["--force", "--quiet"]].concat()).succeeded();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

/// Types Ctrl-C at the question that ends with `question`.
fn interrupted_at(program: &Program, arguments: &[&str], question: &str) -> Outcome {
    let mut command = on_terminal(program, arguments, "");
    let line = command.get_envs().find_map(|(name, value)| value.filter(|_| name == "LINE"));
    // Ctrl-C is for the whole terminal; the shell is to tell the exit code all the same.
    let line = format!("trap : INT; {}", line.unwrap().to_str().unwrap());
    let script = "rm -f \"$HOME/input\"; mkfifo \"$HOME/input\"; \
                  exec script -qfc \"$LINE\" \"$HOME/typescript\" <>\"$HOME/input\"";
    let environment: Vec<_> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    command = Command::new("sh");
    command.args(["-c", script]).env_clear();
    for (name, value) in environment {
        command.env(name, value.unwrap_or_default());
    }
    let typescript = program.state().join("typescript");
    let _ = std::fs::remove_file(&typescript);
    command.env("LINE", line);
    let running = Running::start(command, PATIENCE);
    wait_until(question, PATIENCE, || {
        String::from_utf8_lossy(&std::fs::read(&typescript).unwrap_or_default()).contains(question)
    });
    std::fs::write(program.state().join("input"), "\u{3}").unwrap();
    running.wait()
}

#[test]
fn ctrl_c_at_a_question_ends_it_at_once() {
    let (zone, program) = stand(Rig::get());
    let program = program.env("DNS01_AGREE_TOS", "false").env("DNS01_CONFIG", "/nosuch/dns01.toml");
    let issue = ["issue", "-d", zone.name(), "--dns", "rfc2136", "--config", "/dev/null"];
    for (arguments, question) in [
        (&["init"][..], "with a comma between them?"),
        (&issue, "Do you agree? [y/N]"),
        (&["account", "deactivate", "--config", "/dev/null"], "Do it? [y/N]"),
    ] {
        let asked = std::time::Instant::now();
        let outcome = interrupted_at(&program, arguments, question);
        let text = Screen::of(&outcome.stdout).text().join("\n");
        assert!(text.contains("exit 130"), "{arguments:?}: {text}");
        assert!(text.contains("error: stopped at a question; nothing was begun"), "{text}");
        assert!(!text.contains("records"), "there are none: {text}");
        assert!(asked.elapsed() < Duration::from_secs(20), "it hung: {text}");
    }
}

#[test]
fn an_empty_answer_is_called_that() {
    let (_, program) = stand(Rig::get());
    let program = program.env("DNS01_CONFIG", "/nosuch/dns01.toml");
    let text = run(on_terminal(&program, &["init"], "\n")).text().join("\n");
    assert!(text.contains("`-d` is missing, and the question was not answered"), "{text}");
    assert!(text.ends_with("exit 2"), "{text}");
}
