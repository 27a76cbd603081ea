//! Ctrl-C and SIGTERM: the first asks everything to end in good order, the second ends it.

use crate::errors::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Which signal has come, if any. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals(Arc<AtomicU8>);

impl Signals {
    /// Cancels `cancel` at the first signal and ends the program at the second.
    pub(crate) fn watch(
        cancel: CancellationToken,
        note: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let signals = Self::default();
        let seen = signals.clone();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            loop {
                let exit = tokio::select! {
                    _ = interrupt.recv() => Exit::Interrupted,
                    _ = terminate.recv() => Exit::Terminated,
                };
                if seen.0.swap(exit as u8, Ordering::Relaxed) != 0 {
                    std::process::exit(exit as i32);
                }
                note();
                cancel.cancel();
            }
        });
        Ok(signals)
    }

    /// How the program ends because of a signal.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            code if code == Exit::Terminated as u8 => Some(Exit::Terminated),
            _ => Some(Exit::Interrupted),
        }
    }
}
