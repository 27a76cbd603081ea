//! Questions on the terminal. A signal at a question ends it at once: nothing waits for Enter.

use crate::errors::{Exit, Failure};
use crate::output::words::printable;
use crate::program::Program;
use std::io::{Write as _, stderr, stdin};
use tokio::sync::oneshot;

/// What is typed in answer to `question`, without blanks around it; empty where only Enter is
/// pressed, or input ends.
///
/// # Errors
/// The program is to stop.
pub(crate) async fn answer(program: &Program, question: &str) -> Result<String, Failure> {
    let _open = program.signals.at_question();
    let question = printable(question).into_owned();
    let (told, answer) = oneshot::channel();
    // A thread of its own, because the runtime waits at its end for those that it lends, and
    // nothing but Enter ends this one.
    std::thread::spawn(move || {
        let _ = write!(stderr(), "{question} ");
        let mut line = String::new();
        let _ = stdin().read_line(&mut line);
        let _ = told.send(line);
    });
    tokio::select! {
        biased;
        () = program.cancel.cancelled() => {
            // The question has the cursor in its line.
            let _ = writeln!(stderr());
            Err(Failure::new("interrupted", "stopped at a question; nothing was begun", Exit::Interrupted))
        }
        line = answer => Ok(line.unwrap_or_default().trim().to_owned()),
    }
}

/// True if `question` is answered with yes.
///
/// # Errors
/// As [`answer`].
pub(crate) async fn agreed(program: &Program, question: &str) -> Result<bool, Failure> {
    let answer = answer(program, &format!("{question} [y/N]")).await?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}
