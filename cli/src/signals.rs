//! Ctrl-C, SIGTERM and SIGHUP: the first asks everything to end in good order, the second ends
//! it.

use crate::errors::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Which signal has come, if any. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    seen: Arc<AtomicU8>,
    asking: Arc<AtomicBool>,
}

/// A question is open as long as this lives.
pub(crate) struct Question(Arc<AtomicBool>);

impl Drop for Question {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Signals {
    /// Cancels `cancel` at the first signal and ends the program at the second. `note` is told
    /// of the first, unless a question is open: then there is nothing to put in order.
    pub(crate) fn watch(
        cancel: CancellationToken,
        note: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let signals = Self::default();
        let Self { seen, asking } = signals.clone();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Under `nohup` it stays ignored.
        let mut hang_up = match ignores_hang_up() {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        tokio::spawn(async move {
            loop {
                let exit = tokio::select! {
                    _ = interrupt.recv() => Exit::Interrupted,
                    _ = terminate.recv() => Exit::Terminated,
                    () = received(&mut hang_up) => Exit::HungUp,
                };
                match (seen.load(Ordering::Relaxed), exit) {
                    (0, _) => {
                        seen.store(exit as u8, Ordering::Relaxed);
                        if !asking.load(Ordering::Relaxed) {
                            note();
                        }
                        cancel.cancel();
                    }
                    // A terminal that goes away says so more than once, the shell says it again,
                    // and service managers send it after SIGTERM: nobody is in a hurry.
                    (_, Exit::HungUp) => {}
                    _ => std::process::exit(exit as i32),
                }
            }
        });
        Ok(signals)
    }

    /// Says that a question is open, until what is returned is dropped.
    pub(crate) fn at_question(&self) -> Question {
        self.asking.store(true, Ordering::Relaxed);
        Question(Arc::clone(&self.asking))
    }

    /// How the program ends because of a signal.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let code = self.seen.load(Ordering::Relaxed);
        [Exit::Interrupted, Exit::Terminated, Exit::HungUp].into_iter().find(|exit| *exit as u8 == code)
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// True if the program was started with SIGHUP ignored.
fn ignores_hang_up() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, SignalKind::hangup()))
}

/// What `SigIgn`, a bit for each signal, says of `kind` (proc_pid_status(5)).
fn ignores(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_signals_are_ignored_is_read_from_the_system() {
        let status = "Name:\tdns01\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, SignalKind::hangup()));
        assert!(!ignores(status, SignalKind::interrupt()));
        assert!(!ignores("", SignalKind::hangup()));
    }
}
