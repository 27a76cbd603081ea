//! Kills a program just before or just after a chosen rename, fsync, write or send.
//!
//! First a run is watched, which gives the list of its effects; then the same run is done
//! again for each of them, and killed there:
//!
//! ```no_run
//! # use dns01_tests::crash::{Moment, Shim, points};
//! # use std::process::Command;
//! # fn main() -> std::io::Result<()> {
//! let shim = Shim::compile()?;
//! let log = std::env::temp_dir().join("effects");
//! shim.watch(Command::new("dns01"), &log).status()?;
//! for point in points(&log)? {
//!     for moment in Moment::BOTH {
//!         shim.kill(Command::new("dns01"), &point, moment).status()?;
//!         // … the same command again: nothing is lost, nothing is left over …
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Effects are counted per kind, so a point means the same effect in every run only as far
//! as the program does the same things in the same order. The shim is loaded by the dynamic
//! linker and sees calls to the C library only: the workspace builds rustix with `use-libc`
//! for its sake. It must be loaded into the program itself, not into a shell around it, since
//! it leaves the children of its program alone.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use tempfile::TempDir;

const SOURCE: &str = include_str!("../crash/shim.c");

/// The compiled library; its file is gone when this is dropped.
#[derive(Debug)]
pub struct Shim {
    library: PathBuf,
    _directory: TempDir,
}

/// A kind of effect on the outside world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// A file renamed.
    Rename,
    /// A file or directory made durable: fsync or fdatasync.
    Sync,
    /// Octets written at a place in a file, as SQLite does.
    Write,
    /// Octets written to a connected TCP socket.
    Send,
}

/// On which side of an effect the program dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Just before it.
    Before,
    /// Just after it.
    After,
}

impl Moment {
    /// Both sides.
    pub const BOTH: [Self; 2] = [Self::Before, Self::After];
}

/// One effect of a watched run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// What kind.
    pub effect: Effect,
    /// Its number among its kind, from 1.
    pub number: usize,
    /// The path renamed to, synced or written, or the peer's port and the number of octets.
    pub detail: String,
}

impl Point {
    /// The peer's port of a send.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let port = self.detail.split(' ').next()?;
        (self.effect == Effect::Send).then(|| port.parse().ok()).flatten()
    }
}

impl Shim {
    /// Compiles the shim with the machine's C compiler.
    ///
    /// # Errors
    /// When `cc` is missing or refuses.
    pub fn compile() -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let library = directory.path().join("crash-shim.so");
        let mut compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-x", "c", "-", "-o"])
            .arg(&library)
            .stdin(Stdio::piped())
            .spawn()?;
        let mut source = compiler.stdin.take().expect("its standard input was asked for");
        source.write_all(SOURCE.as_bytes())?;
        drop(source);
        if !compiler.wait()?.success() {
            return Err(io::Error::other("`cc` cannot compile the crash shim"));
        }
        Ok(Self { library, _directory: directory })
    }

    /// `command`, writing its effects to `log`.
    #[must_use]
    pub fn watch(&self, mut command: Command, log: &Path) -> Command {
        command.env("LD_PRELOAD", &self.library).env("CRASH_LOG", log);
        command
    }

    /// `command`, killed (SIGKILL) at `point`.
    #[must_use]
    pub fn kill(&self, mut command: Command, point: &Point, moment: Moment) -> Command {
        let at = format!("{}:{}:{moment}", point.effect, point.number);
        command.env("LD_PRELOAD", &self.library).env("CRASH_AT", at);
        command
    }
}

/// The effects in the log of a watched run, in their order; none when there is no log, since a
/// program without effects writes none.
///
/// # Errors
/// When the log cannot be read.
pub fn points(log: &Path) -> io::Result<Vec<Point>> {
    let text = match fs::read_to_string(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    text.lines().map(str::parse).collect()
}

impl FromStr for Point {
    type Err = io::Error;

    fn from_str(line: &str) -> io::Result<Self> {
        let wrong = || io::Error::other(format!("`{line}` is not a line of the crash shim"));
        let (kind, rest) = line.split_once(' ').ok_or_else(wrong)?;
        let (number, detail) = rest.split_once(' ').ok_or_else(wrong)?;
        let effect = match kind {
            "rename" => Effect::Rename,
            "fsync" => Effect::Sync,
            "write" => Effect::Write,
            "send" => Effect::Send,
            _ => return Err(wrong()),
        };
        Ok(Self { effect, number: number.parse().map_err(|_| wrong())?, detail: detail.to_owned() })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rename => "rename",
            Self::Sync => "fsync",
            Self::Write => "write",
            Self::Send => "send",
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::After => "after",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_read_with_blanks_in_its_path() {
        let point: Point = "rename 3 /tmp/a file".parse().unwrap();
        let expected = Point { effect: Effect::Rename, number: 3, detail: "/tmp/a file".to_owned() };
        assert_eq!((&point, point.port()), (&expected, None));
        assert_eq!("send 12 14000 512".parse::<Point>().unwrap().port(), Some(14000));
        assert!("rename x y".parse::<Point>().is_err());
    }
}
