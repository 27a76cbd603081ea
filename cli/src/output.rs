//! What a person or a machine sees: results on standard output, all else on standard error.

mod json;
mod live;
mod plain;
pub(crate) mod table;
pub(crate) mod words;

use crate::args::{ColorChoice, GlobalArguments};
use crate::errors::{Exit, Failure};
use dns01_core::clock::Clock;
use dns01_core::config::Mistake;
use dns01_core::event::{Event, Events};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdout};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Lines that change, on a terminal.
    Live,
    /// A line for each thing that happens.
    Plain,
    /// A JSON object for each thing that happens.
    Json,
    /// Failures only.
    Quiet,
}

/// Where everything that is shown goes through. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output {
    style: Style,
    color: bool,
    clock: Clock,
    progress: Arc<Mutex<Progress>>,
    /// Why standard output could not be written.
    unwritten: Arc<OnceLock<std::io::Error>>,
}

enum Progress {
    None,
    Live(live::Live),
    Plain(plain::Plain),
    Json,
}

impl Output {
    /// The output that the flags and the terminal ask for.
    pub(crate) fn new(flags: &GlobalArguments, clock: Clock) -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let dumb = variable("TERM") == "dumb";
        let terminal = stderr().is_terminal() && !dumb;
        let style = match flags {
            GlobalArguments { json: true, .. } => Style::Json,
            GlobalArguments { quiet: true, .. } => Style::Quiet,
            _ if terminal => Style::Live,
            _ => Style::Plain,
        };
        let color = match flags.color {
            _ if flags.no_color => false,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && variable("NO_COLOR").is_empty(),
        };
        Self {
            style,
            color,
            clock,
            progress: Arc::new(Mutex::new(Progress::None)),
            unwritten: Arc::default(),
        }
    }

    /// True if what is shown may be coloured.
    pub(crate) fn has_color(&self) -> bool {
        self.color
    }

    /// True if results are JSON documents.
    pub(crate) fn is_json(&self) -> bool {
        self.style == Style::Json
    }

    /// True if somebody can be asked something.
    pub(crate) fn can_ask(&self) -> bool {
        self.style == Style::Live && std::io::stdin().is_terminal()
    }

    /// Begins to show the progress of `total` certificates.
    pub(crate) fn progress(&self, total: usize) -> Events {
        let progress = match self.style {
            Style::Live => Progress::Live(live::Live::new(total, self.color)),
            Style::Plain => Progress::Plain(plain::Plain::default()),
            Style::Json => Progress::Json,
            Style::Quiet => Progress::None,
        };
        *self.lock() = progress;
        let output = self.clone();
        Events::to(move |event| output.event(event))
    }

    fn event(&self, event: &Event) {
        let now = self.clock.now();
        match &mut *self.lock() {
            Progress::None => {}
            Progress::Live(live) => live.event(event),
            Progress::Plain(plain) => {
                if let Some(line) = plain.line(event, now) {
                    to_stderr(&line);
                }
            }
            Progress::Json => to_stderr(&json::line(event, now)),
        }
    }

    /// Ends the progress: the lines stay as they are.
    pub(crate) fn progress_ends(&self) {
        if let Progress::Live(live) = std::mem::replace(&mut *self.lock(), Progress::None) {
            live.end();
        }
    }

    /// Prints the result as one JSON document, if that is wanted.
    pub(crate) fn document(&self, document: &impl Serialize) {
        if self.is_json() {
            let text = serde_json::to_string_pretty(document).expect("documents have text keys only");
            self.print(&format!("{text}\n"));
        }
    }

    /// Prints a line of a result for people.
    pub(crate) fn say(&self, line: &str) {
        if matches!(self.style, Style::Live | Style::Plain) {
            self.print(&format!("{line}\n"));
        }
    }

    /// Prints `text` as it is. What cannot be written is remembered for [`Output::settled`].
    pub(crate) fn print(&self, text: &str) {
        let mut out = stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // A closed pipe is the reader's choice and no reason to fail.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => drop(self.unwritten.set(error)),
            _ => {}
        }
    }

    /// How the program ends that would end with `exit`: what was to be read and could not be
    /// written is a failure.
    pub(crate) fn settled(&self, exit: Exit) -> Exit {
        let Some(error) = self.unwritten.get() else { return exit };
        let mut failure = Failure::new("output", "standard output cannot be written", Exit::SomeFailed)
            .with_hint("look where it leads: the disk may be full");
        failure.causes = vec![error.to_string()];
        self.failure(&failure);
        exit.max(failure.exit)
    }

    /// Prints something of no consequence for the result, for people.
    pub(crate) fn note(&self, line: &str) {
        if matches!(self.style, Style::Live | Style::Plain) {
            self.above_progress(line);
        }
    }

    /// Prints a warning.
    pub(crate) fn warning(&self, warning: &Mistake) {
        self.caution(&Failure::from(warning.clone()));
    }

    /// Prints as a warning what would be a failure elsewhere.
    pub(crate) fn caution(&self, warning: &Failure) {
        match self.style {
            Style::Quiet => {}
            Style::Json => to_stderr(&json::problem("warning", warning)),
            Style::Live | Style::Plain => self.above_progress(&warning.render("warning", self.color)),
        }
    }

    /// Prints a failure; it is never kept quiet.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json() {
            to_stderr(&json::problem("error", failure));
        } else {
            self.above_progress(&failure.render("error", self.color));
        }
    }

    fn above_progress(&self, text: &str) {
        match &*self.lock() {
            Progress::Live(live) => live.above(text),
            _ => to_stderr(text),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_stderr(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}
