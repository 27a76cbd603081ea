//! What is measured.

use super::client::{Client, Tool};
use super::figures::{Figures, median};
use super::measured::{Run, measure, measure_unless, said};
use super::{Form, say};
use crate::fault_ca::{Endpoint, FaultCa, Setup};
use crate::rig::{Rig, query, wait_until};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Processes of a peer at once, where it obtains many.
const PROCESSES: usize = 8;
/// How often the watchers from outside look.
const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(20);
/// Runs that a CA may spoil by locking itself up.
const HUNG_RUNS: usize = 10;

/// From exec to the first connection to the CA, the account being there.
pub(super) fn start(rig: &Rig, form: Form, figures: &mut Figures) {
    let (client, proxy, _bundle) = behind_a_proxy(rig);
    let address = proxy.address();
    drop(proxy);
    let mut free = None;
    wait_until("the proxy's address is free again", PATIENCE, || {
        free = TcpListener::bind(address).ok();
        free.is_some()
    });
    let listener = free.expect("it was just bound");
    listener.set_nonblocking(true).expect("a listener can be polled");
    let mut times = Vec::new();
    for _ in 0..form.singles {
        let mut command = client.command(&[client.fresh()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn().expect("dns01 is built");
        times.push((accepted(&listener) - start).as_secs_f64() * 1e3);
        let _ = child.kill();
        let _ = child.wait();
        // Connections that were still on their way are not the next run's.
        while listener.accept().is_ok() {}
    }
    figures.put("start_ms", median(&times), "ms");
}

fn accepted(listener: &TcpListener) -> Instant {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok(_) => return Instant::now(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("the listener: {error}"),
        }
        assert!(Instant::now() < deadline, "nobody connects to the CA");
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// From the moment the last name server answers with the value, seen from outside, to the
/// moment the challenge is posted, seen by a proxy before the CA.
pub(super) fn slack(rig: &Rig, form: Form, figures: &mut Figures) {
    let (mut client, proxy, _bundle) = behind_a_proxy(rig);
    let mut slack = Vec::new();
    for _ in 0..form.singles {
        client.rest();
        let name = client.fresh();
        let mut command = client.command(&[format!("*.{name}")]);
        let log = client.home().join("slack.log");
        let over = AtomicBool::new(false);
        let servers = client.zone.servers_of_ours();
        let challenge = format!("_acme-challenge.{name}");
        let seen = std::thread::scope(|scope| {
            let watch = |&server| {
                scope.spawn({
                    let (challenge, over) = (&challenge, &over);
                    move || first_seen(server, challenge, over)
                })
            };
            let watchers: Vec<_> = servers.iter().map(watch).collect();
            let run = measure(&mut command, &log);
            over.store(true, Ordering::Relaxed);
            assert!(run.success, "{}", said(&log));
            watchers
                .into_iter()
                .map(|watcher| watcher.join().expect("a watcher does not panic"))
                .collect::<Vec<_>>()
        });
        client.is_done();
        let last = seen.into_iter().map(|at| at.expect("every server had the value")).max();
        let requests = proxy.requests();
        let posted = requests.iter().rev().find(|request| request.endpoint == Endpoint::Challenge);
        slack.push(milliseconds(last.expect("there are servers"), posted.expect("it was posted").at));
    }
    figures.put("issue_1_slack_ms", median(&slack), "ms");
    figures.put("issue_1_slack_min_ms", slack.iter().copied().fold(f64::INFINITY, f64::min), "ms");
    figures.put("issue_1_slack_max_ms", slack.iter().copied().fold(f64::NEG_INFINITY, f64::max), "ms");
}

/// When `server` first answered with a value at `name`, if it did before all was over.
fn first_seen(server: SocketAddr, name: &str, over: &AtomicBool) -> Option<Instant> {
    let mut next = Instant::now();
    while !over.load(Ordering::Relaxed) {
        if !query::txt(server, name).is_empty() {
            return Some(Instant::now());
        }
        next += LOOK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    None
}

/// From `earlier` to `later`, negative if it was the other way round.
fn milliseconds(earlier: Instant, later: Instant) -> f64 {
    let forth = later.saturating_duration_since(earlier).as_secs_f64();
    let back = earlier.saturating_duration_since(later).as_secs_f64();
    (forth - back) * 1e3
}

/// dns01, its CA behind a proxy of ours. The bundle outlives the proxy.
fn behind_a_proxy(rig: &Rig) -> (Client, FaultCa, tempfile::TempPath) {
    let ca = rig.pebble().start();
    let proxy = FaultCa::start(&Setup::before(ca.address())).expect("a proxy can be started");
    let bundle = tempfile::NamedTempFile::new_in(rig.directory()).expect("the directory is writable");
    std::fs::write(bundle.path(), proxy.root_pem()).expect("the directory is writable");
    let bundle = bundle.into_temp_path();
    let path: PathBuf = <_ as AsRef<Path>>::as_ref(&bundle).to_owned();
    let client = Client::ready_at(rig, Tool::Dns01, ca, proxy.directory().to_owned(), path);
    (client, proxy, bundle)
}

/// One wildcard certificate by each program in turn.
pub(super) fn singles(clients: &mut [Client], form: Form, figures: &mut Figures) {
    let mut times = vec![Vec::new(); clients.len()];
    let (mut requests, mut cpu) = (Vec::new(), Vec::new());
    let mut peak = 0;
    for _ in 0..form.singles {
        for (client, times) in clients.iter_mut().zip(&mut times) {
            let before = client.requests();
            let name = format!("*.{}", client.fresh());
            let run = client.obtain(&[name]);
            times.push(run.wall);
            if client.tool() == Tool::Dns01 {
                requests.push((client.requests() - before) as f64);
                cpu.push(run.cpu);
                peak = peak.max(run.peak);
            }
        }
    }
    let medians: Vec<f64> = clients
        .iter()
        .zip(&times)
        .map(|(client, times)| figures.times(&format!("issue_1_wall_{}", client.label()), times))
        .collect();
    for (client, median) in clients.iter().zip(&medians).skip(1) {
        figures.put(&format!("issue_1_wall_ratio_{}", client.label()), medians[0] / median, "ratio");
        if client.tool() == Tool::Uacme {
            figures.put("issue_1_failed_runs_uacme", client.failed() as f64, "runs");
        }
    }
    figures.times("issue_1_cpu_dns01", &cpu);
    figures.put("issue_1_peak_mib", mib(peak), "MiB");
    figures.put("issue_1_ca_requests", median(&requests), "requests");
}

/// Apex and wildcard in one order. lego waits a minute between two values at one name, so it
/// runs once; of uacme's runs three in four fail.
pub(super) fn both(clients: &mut [Client], form: Form, figures: &mut Figures) {
    let mut ours = 0.0;
    for client in clients {
        let runs = match client.tool() {
            Tool::Dns01 => form.singles,
            Tool::Lego => 1,
            Tool::Uacme => form.singles.div_ceil(3),
        };
        let times: Vec<Duration> = (0..runs)
            .map(|_| {
                let name = client.fresh();
                client.obtain(&[name.clone(), format!("*.{name}")]).wall
            })
            .collect();
        let median = figures.times(&format!("issue_both_wall_{}", client.label()), &times);
        match client.tool() {
            Tool::Dns01 => ours = median,
            _ => figures.put(&format!("issue_both_wall_ratio_{}", client.label()), ours / median, "ratio"),
        }
    }
}

/// Many certificates of one name each in one zone: by one process of ours, and by eight of a
/// peer. Returns our time.
pub(super) fn many(rig: &Rig, clients: &mut [Client], form: Form, figures: &mut Figures) -> f64 {
    let count = form.many;
    let ours = all_at_once(rig, count, form.many_runs, figures);
    for client in clients.iter_mut().filter(|client| client.tool() != Tool::Dns01) {
        let peer = in_parallel(client, count);
        let name = |figure: &str| format!("issue_{count}_{figure}_{}{PROCESSES}", peer.label);
        figures.put(&name("wall"), peer.wall, "s");
        figures.put(&name("cpu"), peer.cpu, "s");
        figures.put(&name("requests_per_certificate"), peer.requests / count as f64, "requests");
        figures.put(&name("updates"), peer.updates, "updates");
        figures.put(&name("failed_runs"), peer.failed, "runs");
        figures.put(&name("wall_ratio"), ours.wall / peer.wall, "ratio");
        figures.put(&name("cpu_ratio"), ours.cpu / peer.cpu, "ratio");
    }
    ours.wall
}

/// Ten times as many, and what they cost beside `wall`, the time of the smaller number.
pub(super) fn ten_times_as_many(rig: &Rig, form: Form, wall: f64, figures: &mut Figures) {
    let count = form.many * 10;
    let ours = all_at_once(rig, count, form.many_runs.div_ceil(2), figures);
    figures.put(&format!("issue_{count}_over_{}_wall_ratio", form.many), ours.wall / wall, "ratio");
}

pub(super) struct AllAtOnce {
    wall: f64,
    cpu: f64,
}

/// Certificates of one name each, all by one process of ours, over and over.
pub(super) fn all_at_once(rig: &Rig, count: usize, runs: usize, figures: &mut Figures) -> AllAtOnce {
    let mut client = Client::ready(rig, Tool::Dns01);
    let (mut done, mut hung) = (Vec::new(), 0);
    while done.len() < runs {
        match at_once(&mut client, count) {
            Some(run) => done.push(run),
            // Nothing comes of this CA any more; the next run has another one.
            None => {
                hung += 1;
                assert!(hung < HUNG_RUNS, "the CA locks itself up all the time");
                client = Client::ready(rig, Tool::Dns01);
            }
        }
    }
    let name = |figure: &str| format!("issue_{count}_{figure}");
    let all = |of: fn(&AtOnce) -> f64| done.iter().map(of).collect::<Vec<_>>();
    let times = |of: fn(&Run) -> Duration| done.iter().map(|one| of(&one.run)).collect::<Vec<_>>();
    let wall = figures.times(&name("wall_dns01"), &times(|run| run.wall));
    let cpu = figures.times(&name("cpu_dns01"), &times(|run| run.cpu));
    figures.put(&name("requests_per_certificate"), median(&all(|one| one.requests)), "requests");
    figures.put(&name("updates"), median(&all(|one| one.updates)), "updates");
    figures.put(&name("peak_mib"), all(|one| mib(one.run.peak)).into_iter().fold(0.0, f64::max), "MiB");
    figures.put(&name("failures"), all(|one| one.failures).iter().sum(), "certificates");
    figures.put(&name("ca_hung_runs"), hung as f64, "runs");
    AllAtOnce { wall, cpu }
}

struct AtOnce {
    run: Run,
    /// Each certificate's, renewal information apart.
    requests: f64,
    updates: f64,
    failures: f64,
}

/// One run; none if the CA locked itself up.
fn at_once(client: &mut Client, count: usize) -> Option<AtOnce> {
    let names: Vec<String> = (0..count).map(|_| client.fresh()).collect();
    let mut command = client.command_for_all(&names);
    let (requests, updates) = (client.requests(), client.zone.updates());
    client.rest();
    let log = client.home().join("all.log");
    let run = measure_unless(&mut command, &log, || client.ca_hangs())?;
    client.is_done();
    let lacking = client.lacking(&names);
    assert!(run.success || !lacking.is_empty(), "it failed for another reason:\n{}", said(&log));
    for name in &lacking {
        say(&format!("no certificate for {name}:\n{}", said_of(name, &log)));
    }
    Some(AtOnce {
        run,
        requests: (client.requests() - requests) as f64 / count as f64,
        updates: (client.zone.updates() - updates) as f64,
        failures: lacking.len() as f64,
    })
}

/// The lines of `log` about `name`.
fn said_of(name: &str, log: &Path) -> String {
    said(log).lines().filter(|line| line.contains(name)).collect::<Vec<_>>().join("\n")
}

struct InParallel {
    label: &'static str,
    wall: f64,
    cpu: f64,
    requests: f64,
    updates: f64,
    failed: f64,
}

/// Processes of a peer, one certificate each, eight at a time; the next begins as one ends.
fn in_parallel(client: &mut Client, count: usize) -> InParallel {
    let names: Vec<String> = (0..count).map(|_| client.fresh()).collect();
    let (failed, before, updates) = (client.failed(), client.requests(), client.zone.updates());
    client.rest();
    let start = Instant::now();
    let runs: Vec<Run> = {
        let queue = Mutex::new(names.iter());
        let client = &*client;
        let work = || {
            let mut runs = Vec::new();
            while let Some(name) = { queue.lock().expect("nobody panics with the queue").next() } {
                runs.extend(client.insist(name));
            }
            runs
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..PROCESSES).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
        })
    };
    let wall = start.elapsed().as_secs_f64();
    client.is_done();
    InParallel {
        label: client.label(),
        wall,
        cpu: runs.iter().map(|run| run.cpu).sum::<Duration>().as_secs_f64(),
        requests: (client.requests() - before) as f64,
        updates: (client.zone.updates() - updates) as f64,
        failed: (client.failed() - failed) as f64,
    }
}

/// The programs that are compared; the first is ours.
pub(super) fn clients(rig: &Rig, form: Form) -> Vec<Client> {
    let tools: &[Tool] = if form.peers { &[Tool::Dns01, Tool::Lego, Tool::Uacme] } else { &[Tool::Dns01] };
    tools.iter().map(|&tool| Client::ready(rig, tool)).collect()
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
