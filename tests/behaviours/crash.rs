//! The crash shim itself: it sees what programs do and kills them where it should.

use dns01_tests::crash::{Effect, Moment, Point, Shim, points};
use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use tempfile::TempDir;

/// Where [`the_program`] works; without it that test has nothing to do.
const DIRECTORY: &str = "CRASH_TEST_DIRECTORY";
/// Where it sends to.
const PEER: &str = "CRASH_TEST_PEER";

/// A Rust program with every effect that dns01 has, run by the tests below in a process of
/// its own. It uses what dns01 uses: std, tempfile, rustix and the bundled SQLite.
#[test]
fn the_program() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let at = |name: &str| Path::new(&directory).join(name);
    let file = File::create(at("std.new")).unwrap();
    file.sync_all().unwrap();
    fs::rename(at("std.new"), at("std")).unwrap();
    tempfile::NamedTempFile::new_in(&directory).unwrap().persist(at("tempfile")).unwrap();
    rustix::fs::fdatasync(&file).unwrap();
    rustix::fs::rename(at("std"), at("rustix")).unwrap();
    let mut peer = TcpStream::connect(std::env::var(PEER).unwrap()).unwrap();
    peer.write_all(b"hello").unwrap();
    drop(peer);
    commit(&at("state.db"));
}

/// One commit of one row, as the store does it.
fn commit(database: &Path) {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
    let options = SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        sqlx::query("CREATE TABLE row (id INTEGER)").execute(&pool).await.unwrap();
        pool.close().await;
    });
}

/// [`the_program`] in a directory of its own, and somebody to take what it sends.
struct Stand {
    directory: TempDir,
    peer: SocketAddr,
    listener: TcpListener,
}

impl Stand {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap();
        Self { directory: tempfile::tempdir().unwrap(), peer, listener }
    }

    fn program(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "crash::the_program", "--test-threads=1"])
            .env(DIRECTORY, self.directory.path())
            .env(PEER, self.peer.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn has(&self, name: &str) -> bool {
        self.directory.path().join(name).exists()
    }

    /// All that one client sent.
    fn received(&self) -> Vec<u8> {
        let (mut stream, _) = self.listener.accept().unwrap();
        let mut octets = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut octets).unwrap();
        octets
    }

    /// The effects of a whole run, their directory left out.
    fn effects(&self, shim: &Shim) -> Vec<Point> {
        let log = self.directory.path().join("effects");
        assert!(shim.watch(self.program(), &log).status().unwrap().success());
        let directory = self.directory.path().display().to_string();
        let mut points = points(&log).unwrap();
        for point in &mut points {
            point.detail = point.detail.replace(&directory, "").trim_start_matches('/').to_owned();
        }
        points
    }
}

#[test]
fn every_effect_of_a_rust_program_is_seen() {
    let stand = Stand::new();
    let effects = stand.effects(&Shim::compile().unwrap());
    let of = |effect| -> Vec<&str> {
        effects.iter().filter(|point| point.effect == effect).map(|point| point.detail.as_str()).collect()
    };
    assert_eq!(of(Effect::Rename), ["std", "tempfile", "rustix"]);
    assert_eq!(of(Effect::Send), [format!("{} 5", stand.peer.port())]);
    assert_eq!(of(Effect::Sync)[..2], ["std.new", "std"]);
    assert!(of(Effect::Sync).contains(&"state.db-wal"), "{effects:?}");
    assert!(of(Effect::Write).contains(&"state.db-wal"), "{effects:?}");
    let numbers: Vec<usize> =
        effects.iter().filter(|point| point.effect == Effect::Sync).map(|point| point.number).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

#[test]
fn two_runs_have_the_same_effects() {
    let shim = Shim::compile().unwrap();
    let effects = || {
        let effects = Stand::new().effects(&shim);
        effects.into_iter().filter(|point| point.effect != Effect::Send).collect::<Vec<_>>()
    };
    assert_eq!(effects(), effects());
}

#[test]
fn a_program_dies_on_the_right_side_of_a_rename_and_of_a_send() {
    let shim = Shim::compile().unwrap();
    for moment in Moment::BOTH {
        let done = moment == Moment::After;
        let killed = |stand: &Stand, effect, number| {
            let point = Point { effect, number, detail: String::new() };
            let status = shim.kill(stand.program(), &point, moment).status().unwrap();
            assert_eq!(status.signal(), Some(9), "{effect} {number} {moment}: {status}");
        };

        let stand = Stand::new();
        killed(&stand, Effect::Rename, 1);
        assert_eq!((stand.has("std.new"), stand.has("std")), (!done, done));

        let stand = Stand::new();
        thread::scope(|scope| {
            let received = scope.spawn(|| stand.received());
            killed(&stand, Effect::Send, 1);
            assert_eq!(received.join().unwrap(), if done { b"hello".as_slice() } else { b"" });
        });
    }
}

#[test]
fn other_peoples_programs_are_watched_and_killed_too() {
    let shim = Shim::compile().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("old"), "x").unwrap();
    let mv = |from: &str, to: &str| {
        let mut command = Command::new("mv");
        command.arg(at(from)).arg(at(to));
        command
    };
    assert!(shim.watch(mv("old", "new"), &at("effects")).status().unwrap().success());
    let effects = points(&at("effects")).unwrap();
    assert_eq!(effects.len(), 1, "{effects:?}");
    assert_eq!((effects[0].effect, effects[0].number), (Effect::Rename, 1));
    let status = shim.kill(mv("new", "newer"), &effects[0], Moment::Before).status().unwrap();
    assert_eq!((status.signal(), at("new").exists(), at("newer").exists()), (Some(9), true, false));
}

#[test]
fn a_programs_children_are_left_alone() {
    let shim = Shim::compile().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("effects");
    let mut shell = Command::new("sh");
    shell.current_dir(&directory).args(["-c", "touch a && mv a b && env"]).stdout(Stdio::piped());
    let output = shim.watch(shell, &log).output().unwrap();
    assert!(output.status.success() && directory.path().join("b").exists());
    let environment = String::from_utf8(output.stdout).unwrap();
    assert!(!environment.contains("CRASH") && !environment.contains("LD_PRELOAD"), "{environment}");
    assert_eq!(points(&log).unwrap(), []);
}
