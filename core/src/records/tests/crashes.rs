//! Two processes with many orders each, over a provider that fails as providers do: before the
//! work, after it, and one change of many for good. At every external effect (just before and
//! just after a commit, just before and just after a provider's call) a process may be killed.
//! Whatever happens: no value is removed while somebody alive holds it, nothing of other
//! people is touched, and after one more sweep the zone is as it was and the ledger empty.

use super::*;
use crate::store::tests::at_each_commit;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many stories are told; each takes its course from its number.
const STORIES: u64 = 48;
/// Orders in each process.
const ORDERS: usize = 8;
/// A process meets at least about this many external effects; it is killed at one of them.
const EFFECTS: usize = 40;

type Held = (Fqdn, TxtValue);

/// The zone as the world sees it, and what is known from outside of all processes.
#[derive(Debug, Default)]
struct World {
    zone: Mutex<BTreeSet<Held>>,
    /// By process.
    held: Mutex<Vec<(usize, Held)>>,
    broken: Mutex<Vec<String>>,
}

impl World {
    fn report(&self, what: String) {
        self.broken.lock().unwrap().push(what);
    }

    fn change(&self, change: &TxtChange) {
        let held = (change.name().clone(), change.value().clone());
        if matches!(change, TxtChange::Add { .. }) {
            self.zone.lock().unwrap().insert(held);
            return;
        }
        if foreign().contains(&held) {
            self.report(format!("a foreign value was removed: {held:?}"));
        }
        if self.held.lock().unwrap().iter().any(|(_, present)| *present == held) {
            self.report(format!("a value was removed while held: {held:?}"));
        }
        self.zone.lock().unwrap().remove(&held);
    }

    fn no_longer_held(&self, process: usize, values: &[Held]) {
        let mut held = self.held.lock().unwrap();
        for value in values {
            let mark = (process, value.clone());
            let place = held.iter().position(|present| *present == mark).unwrap();
            held.swap_remove(place);
        }
    }

    fn stands(&self, wanted: &[Held]) -> bool {
        let zone = self.zone.lock().unwrap();
        wanted.iter().all(|held| zone.contains(held))
    }
}

fn foreign() -> [Held; 2] {
    [(fqdn("n0"), value("theirs")), (fqdn("theirs"), value("1"))]
}

/// A process and how it ends.
#[derive(Debug)]
struct Process {
    number: usize,
    world: Arc<World>,
    luck: Mutex<StdRng>,
    /// The effect that it does not survive.
    fatal: Option<usize>,
    effects: AtomicUsize,
    killed: CancellationToken,
    /// How many of a hundred calls fail.
    failures: u32,
}

impl Process {
    fn chance(&self, percent: u32) -> bool {
        self.luck.lock().unwrap().random_range(0..100) < percent
    }

    fn pick(&self, below: u64) -> u64 {
        self.luck.lock().unwrap().random_range(0..below)
    }

    async fn nap(&self, most: u64) {
        tokio::time::sleep(Duration::from_millis(self.pick(most))).await;
    }

    /// Something that the outside sees is about to happen, or just has.
    async fn effect(&self) {
        let number = self.effects.fetch_add(1, Ordering::Relaxed);
        if self.fatal == Some(number) {
            self.killed.cancel();
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Clone, Debug)]
struct Unreliable(Arc<Process>);

#[async_trait]
impl DnsProvider for Unreliable {
    fn limits(&self) -> Limits {
        Limits::new(Batch::Zone(7))
    }

    async fn apply(&self, _: &Zone, changes: &[TxtChange]) -> Result<Applied, ProviderError> {
        let process = &self.0;
        process.effect().await;
        process.nap(if process.chance(20) { 80 } else { 4 }).await;
        let failed = |kind| Err(ProviderError::new(kind, "bad luck").with_retryable(false));
        if process.chance(process.failures) {
            return failed(ProviderErrorKind::Permission);
        }
        // A batch that fails in its midst has done a part.
        let torn = process.chance(process.failures).then_some(changes.len() / 2);
        changes.iter().take(torn.unwrap_or(changes.len())).for_each(|change| process.world.change(change));
        process.effect().await;
        match torn {
            Some(_) => failed(ProviderErrorKind::Unavailable),
            None if process.chance(process.failures) => failed(ProviderErrorKind::Unavailable),
            None => Ok(Applied::default()),
        }
    }

    async fn values(&self, _: &Zone, _: &Fqdn) -> Result<Listing<TxtValue>, ProviderError> {
        Ok(Listing::NotAvailable)
    }
}

/// One order, which may give up at any point.
async fn order(process: &Process, records: &Records) {
    process.nap(400).await;
    let announcement = records.announce();
    process.nap(60).await;
    let wanted: Vec<Record> = (0..=process.pick(3))
        .map(|_| record(&format!("n{}", process.pick(4)), &process.pick(3).to_string()))
        .collect();
    let values: Vec<Held> = wanted.iter().map(|record| (record.name.clone(), record.value.clone())).collect();
    let patience = Duration::from_millis(if process.chance(20) { process.pick(60) } else { 60_000 });
    let id = OrderId::random();
    let asking = records.hold(&id, announcement, wanted);
    let Ok(Ok(hold)) = tokio::time::timeout(patience, asking).await else { return };
    let marks = values.iter().map(|held| (process.number, held.clone()));
    process.world.held.lock().unwrap().extend(marks);
    for _ in 0..2 {
        if !process.world.stands(&values) {
            process.world.report(format!("{values:?} is held and not there"));
        }
        process.nap(80).await;
    }
    process.world.no_longer_held(process.number, &values);
    if process.chance(70) {
        hold.release(PATIENCE).await;
    }
}

async fn life(process: Arc<Process>, directory: &Path) {
    let store = open(directory).await;
    let records = records_over(store.clone(), &Unreliable(Arc::clone(&process)));
    records.sweep().await.unwrap();
    let sweeping = async {
        process.nap(200).await;
        records.sweep().await.unwrap();
    };
    let orders = (0..ORDERS).map(|_| order(&process, &records));
    tokio::join!(futures_util::future::join_all(orders), sweeping);
    records.shutdown(PATIENCE).await.unwrap();
    store.close().await.unwrap();
}

/// Runs `process` on a thread of its own until it ends or is killed.
fn run(process: Arc<Process>, directory: &Path) -> std::thread::JoinHandle<()> {
    let directory = directory.to_path_buf();
    std::thread::spawn(move || {
        let each = Arc::clone(&process);
        at_each_commit(Arc::new(move || {
            let process = Arc::clone(&each);
            Box::pin(async move { process.effect().await })
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = process.killed.cancelled() => {}
                () = life(Arc::clone(&process), &directory) => {}
            }
            // Before the lock file is free, and others may remove what was held here.
            process.world.held.lock().unwrap().retain(|(number, _)| *number != process.number);
        });
    })
}

/// How many processes were killed in it.
fn tell(story: u64) -> usize {
    let mut luck = StdRng::seed_from_u64(story);
    let directory = TempDir::new().unwrap();
    let world = Arc::new(World::default());
    world.zone.lock().unwrap().extend(foreign());
    let mut process = |number, fatal, failures| {
        Arc::new(Process {
            number,
            world: Arc::clone(&world),
            luck: Mutex::new(StdRng::seed_from_u64(luck.random())),
            fatal,
            effects: AtomicUsize::new(0),
            killed: CancellationToken::new(),
            failures,
        })
    };
    let mut course = StdRng::seed_from_u64(story + 1_000_000);
    let first = process(1, Some(course.random_range(0..EFFECTS)), 5);
    let second = process(2, course.random_bool(0.5).then(|| course.random_range(0..EFFECTS)), 5);
    let killed = [first.killed.clone(), second.killed.clone()];
    let mut lives = Vec::new();
    for life in [run(first, directory.path()), run(second, directory.path())] {
        lives.push(life.join().is_ok());
    }
    assert!(lives.iter().all(|ended_well| *ended_well), "story {story}: a process panicked");
    run(process(3, None, 0), directory.path()).join().unwrap();
    let broken = world.broken.lock().unwrap();
    assert!(broken.is_empty(), "story {story}: {broken:#?}");
    let left = world.zone.lock().unwrap();
    assert_eq!(*left, BTreeSet::from(foreign()), "story {story}: what is left in the zone");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ledger = runtime.block_on(async { ledger::rows(&open(directory.path()).await).await.unwrap() });
    assert_eq!(ledger, [], "story {story}: what is left in the ledger");
    killed.iter().filter(|killed| killed.is_cancelled()).count()
}

#[test]
fn no_crash_leaves_a_record_or_takes_one_that_is_held() {
    let stories: Vec<_> = (0..STORIES).map(|story| std::thread::spawn(move || tell(story))).collect();
    let told: Vec<_> = stories.into_iter().map(std::thread::JoinHandle::join).collect();
    let killed: usize = told.into_iter().map(|story| story.expect("the story went wrong")).sum();
    assert!(killed > 24, "only {killed} processes were killed: the stories are too short");
}
