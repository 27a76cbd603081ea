//! Progress on a terminal: lines that change in place.
//!
//! One certificate has a line a step. Many have a line each, as far as there is room, those
//! that wait longest first, and a total below.

use super::words::{count, cut, outcome, printable, time};
use dns01_core::event::{Event, Happening, Step};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Lines for certificates under way, when there are many.
const LINES: usize = 12;
/// The lines are put in order anew this often.
const BETWEEN_REDRAWS: Duration = Duration::from_millis(100);
/// The spinner turns this often.
const TICK: Duration = Duration::from_millis(100);

/// The position of the line of a step that has begun.
const BEGUN: u64 = 1;

/// The lines.
pub(super) struct Live {
    screen: MultiProgress,
    color: bool,
    kind: Kind,
}

enum Kind {
    One { steps: BTreeMap<Step, ProgressBar>, headed: bool },
    Many(Many),
}

struct Many {
    total: usize,
    done: usize,
    failed: usize,
    began: Instant,
    drawn: Option<Instant>,
    under_way: BTreeMap<String, UnderWay>,
    lines: Vec<ProgressBar>,
    sum: ProgressBar,
}

struct UnderWay {
    step: Step,
    since: Instant,
    waits: Option<String>,
}

impl Live {
    pub(super) fn new(total: usize, color: bool) -> Self {
        let screen = MultiProgress::new();
        let kind = if total == 1 {
            Kind::One { steps: BTreeMap::new(), headed: false }
        } else {
            let lines =
                (0..LINES.min(total)).map(|_| screen.add(ProgressBar::new_spinner())).collect::<Vec<_>>();
            for line in &lines {
                line.set_style(style("   {wide_msg}"));
            }
            let sum = screen.add(ProgressBar::new_spinner());
            sum.set_style(style(" {spinner} {wide_msg}"));
            sum.enable_steady_tick(TICK);
            let many = Many {
                total,
                done: 0,
                failed: 0,
                began: Instant::now(),
                drawn: None,
                under_way: BTreeMap::new(),
                lines,
                sum,
            };
            Kind::Many(many)
        };
        Self { screen, color, kind }
    }

    pub(super) fn event(&mut self, event: &Event) {
        if let Happening::Warning { text } = &event.what {
            self.above(&format!("warning: {}: {}", event.certificate, printable(text)));
        }
        match &mut self.kind {
            Kind::One { steps, headed } => one(&self.screen, self.color, steps, headed, event),
            Kind::Many(many) => many.event(event),
        }
    }

    /// Prints `text` above the lines.
    pub(super) fn above(&self, text: &str) {
        self.screen.suspend(|| super::to_stderr(text));
    }

    /// Leaves the screen as it is, and what comes next to a line of its own.
    pub(super) fn end(self) {
        let shown = matches!(&self.kind, Kind::Many(_) | Kind::One { headed: true, .. });
        match self.kind {
            Kind::One { steps, .. } => {
                for line in steps.values().filter(|line| !line.is_finished()) {
                    line.abandon();
                }
            }
            Kind::Many(many) => {
                many.lines.iter().for_each(ProgressBar::finish_and_clear);
                many.sum.set_style(style("   {wide_msg}"));
                many.sum.finish_with_message(sum(many.total, many.done, many.failed, many.began.elapsed()));
            }
        }
        if shown {
            super::to_stderr("");
        }
    }
}

/// One certificate: all steps are there from the start, each with its mark when it is done.
fn one(
    screen: &MultiProgress,
    color: bool,
    steps: &mut BTreeMap<Step, ProgressBar>,
    headed: &mut bool,
    event: &Event,
) {
    match &event.what {
        Happening::Started { names, ca, key, resumed } if !*headed => {
            *headed = true;
            let more = if *resumed { " · going on where it stopped" } else { "" };
            let head = format!("   {}   {} · {ca} · {key}{more}", event.certificate, list(names));
            let _ = screen.println(head);
            for step in Step::ALL {
                let line = screen.add(ProgressBar::new_spinner());
                line.set_style(style("   {prefix}"));
                line.set_prefix(if step == Step::CleanUp { "" } else { step.label() });
                line.tick();
                steps.insert(step, line);
            }
        }
        Happening::Began { step } => {
            if let Some(line) = steps.get(step) {
                line.set_prefix(step.label());
                line.set_position(BEGUN);
                line.reset_elapsed();
                line.set_style(style(" {spinner} {prefix:13} {wide_msg} {took:>8}"));
                line.enable_steady_tick(TICK);
            }
        }
        Happening::Waits { step, text, .. } => {
            if let Some(line) = steps.get(step) {
                line.set_message(fit(&printable(text)));
            }
        }
        Happening::Finished { step, took, outcome: result } => {
            if let Some(line) = steps.get(step) {
                let mark = mark(color);
                line.set_prefix(step.label());
                line.set_style(style(&format!(" {mark} {{prefix:13}} {{wide_msg}} {:>8}", time(*took))));
                line.finish_with_message(fit(&outcome(result)));
            }
        }
        Happening::Failed { .. } => {
            for line in steps.values().filter(|line| !line.is_finished()) {
                line.set_style(style(" ✗ {prefix:13} {wide_msg}"));
                if line.position() == BEGUN {
                    line.abandon();
                } else {
                    line.finish_and_clear();
                }
            }
        }
        _ => {}
    }
}

impl Many {
    fn event(&mut self, event: &Event) {
        let name = &event.certificate;
        match &event.what {
            Happening::Began { step } => {
                let entry = UnderWay { step: *step, since: Instant::now(), waits: None };
                self.under_way.insert(name.clone(), entry);
            }
            Happening::Waits { step, text, .. } => {
                if let Some(entry) = self.under_way.get_mut(name).filter(|entry| entry.step == *step) {
                    entry.waits = Some(printable(text).into_owned());
                }
            }
            Happening::Issued { .. } | Happening::NotDue { .. } => {
                self.under_way.remove(name);
                self.done += 1;
            }
            Happening::Failed { .. } => {
                self.under_way.remove(name);
                self.done += 1;
                self.failed += 1;
            }
            _ => return,
        }
        if self.drawn.is_none_or(|at| at.elapsed() >= BETWEEN_REDRAWS) {
            self.drawn = Some(Instant::now());
            self.draw();
        }
    }

    fn draw(&self) {
        let mut entries: Vec<(&String, &UnderWay)> = self.under_way.iter().collect();
        entries.sort_by_key(|(_, entry)| (entry.waits.is_none(), entry.since));
        for (line, entry) in
            self.lines.iter().zip(entries.into_iter().map(Some).chain(std::iter::repeat(None)))
        {
            line.set_message(entry.map_or_else(String::new, |(name, entry)| certificate_line(name, entry)));
        }
        self.sum.set_message(sum(self.total, self.done, self.failed, self.began.elapsed()));
    }
}

fn certificate_line(name: &str, entry: &UnderWay) -> String {
    let waits = entry.waits.as_deref().unwrap_or_default();
    format!("{:<28} {:<12} {:>7}  {waits}", cut(name, 28), entry.step.label(), time(entry.since.elapsed()))
}

/// `37 of 100 · 2 failed · 12 s left`
fn sum(total: usize, done: usize, failed: usize, elapsed: Duration) -> String {
    let mut text = format!("{done} of {total}");
    if failed > 0 {
        text += &format!(" · {failed} failed");
    }
    if done == total {
        text += &format!(" · {}", time(elapsed));
    } else if done > 0 {
        let share = u32::try_from(done).unwrap_or(u32::MAX);
        let left = u32::try_from(total.saturating_sub(done)).unwrap_or(u32::MAX);
        text += &format!(" · {} left", time(elapsed / share * left));
    }
    text
}

/// The names, as many as fit on a line.
fn list(names: &[String]) -> String {
    match names {
        [one, two, three, rest @ ..] if !rest.is_empty() => {
            format!("{one}, {two}, {three} and {} more", count(rest.len(), "name"))
        }
        names => names.join(", "),
    }
}

/// What is on the line of a step beside the message: mark, label, time and the blanks between.
const BESIDE: usize = 26;

/// `text` with `…` where the terminal is too narrow for it.
fn fit(text: &str) -> String {
    let columns = console::Term::stderr().size_checked().map_or(usize::MAX, |(_, columns)| columns.into());
    cut(text, columns.saturating_sub(BESIDE)).into_owned()
}

fn mark(color: bool) -> &'static str {
    if color { "\u{1b}[32m✓\u{1b}[0m" } else { "✓" }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates are constants")
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
        .with_key("took", |state: &ProgressState, line: &mut dyn Write| {
            let _ = line.write_str(&time(state.elapsed()));
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_says_how_many_failed_and_how_long_it_will_take() {
        assert_eq!(sum(100, 0, 0, Duration::from_secs(1)), "0 of 100");
        assert_eq!(sum(100, 40, 2, Duration::from_secs(8)), "40 of 100 · 2 failed · 12 s left");
        assert_eq!(sum(100, 100, 2, Duration::from_secs(20)), "100 of 100 · 2 failed · 20 s");
    }

    #[test]
    fn a_certificate_line_names_its_step_and_what_it_waits_for() {
        let entry = UnderWay {
            step: Step::Propagate,
            since: Instant::now(),
            waits: Some("ns2 has 1 of 2".to_owned()),
        };
        assert_eq!(
            certificate_line("example.com", &entry),
            "example.com                  propagate      0.0 s  ns2 has 1 of 2"
        );
    }

    #[test]
    fn long_lists_of_names_are_shortened() {
        let names = |n: usize| (0..n).map(|i| format!("n{i}.test")).collect::<Vec<_>>();
        assert_eq!(list(&names(2)), "n0.test, n1.test");
        assert_eq!(list(&names(25)), "n0.test, n1.test, n2.test and 22 names more");
    }

    #[test]
    fn the_templates_are_sound() {
        let mut live = Live::new(1, true);
        let happen = |what| Event { certificate: "a.test".to_owned(), what };
        let started = Happening::Started {
            names: vec!["a.test".to_owned()],
            ca: "x".to_owned(),
            key: "ec256".to_owned(),
            resumed: false,
        };
        live.event(&happen(started));
        for step in Step::ALL {
            live.event(&happen(Happening::Began { step }));
            let outcome = dns01_core::event::Outcome::Ordered { names: 1, to_prove: 1 };
            live.event(&happen(Happening::Finished { step, took: Duration::ZERO, outcome }));
        }
        live.event(&happen(Happening::Failed { id: "x".to_owned(), text: String::new(), retry_at: None }));
        live.end();
        Live::new(2, false).end();
    }
}
