//! Waits at scripted servers.

use super::super::scripted::{Act, Asked, ScriptedServer, ZoneData, answer};
use super::super::{
    ConfiguredZone, ConfiguredZones, Dns, DnsError, DnsSettings, FailureReason, Row, Standing,
};
use super::*;
use dns01_provider::name::ZoneName;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Servers of `example.test`, named by the configuration.
struct World {
    servers: Vec<ScriptedServer>,
    dns: Dns,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

fn zone(lines: &str) -> Vec<ZoneData> {
    vec![ZoneData::new("example.test", lines)]
}

impl World {
    /// What server `number` is said to have answered.
    fn row<'a>(&self, failure: &'a PropagationFailure, number: usize) -> &'a Row {
        let address = self.servers[number].address;
        failure.table.rows.iter().find(|row| row.address == Some(address)).unwrap()
    }

    async fn new(servers: usize) -> Self {
        let mut started = Vec::new();
        for _ in 0..servers {
            started.push(ScriptedServer::serving(zone("")).await);
        }
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let dns = Dns::new(DnsSettings::default(), tasks.clone(), cancel.clone());
        Self { servers: started, dns, cancel, tasks }
    }

    async fn try_locate(&self, name: &str) -> Result<Location, DnsError> {
        let mut zone = ConfiguredZone::named(ZoneName::parse("example.test").unwrap());
        zone.name_servers = self.servers.iter().map(|server| server.address).collect();
        self.dns.locate(&Fqdn::parse(name).unwrap(), &ConfiguredZones::new(vec![zone])).await
    }

    async fn awaited(&self, name: &str, values: &[&str]) -> Awaited {
        let values = values.iter().map(|value| TxtValue::parse(value).unwrap()).collect();
        Awaited { location: self.try_locate(name).await.unwrap(), values }
    }

    async fn wait(
        &self,
        awaited: &[Awaited],
        rules: &PropagationRules,
    ) -> Result<PropagationReport, Box<PropagationFailure>> {
        let (progress, _) = watch::channel(Progress::default());
        self.dns.propagated(awaited, rules, &progress).await
    }

    fn looks(&self, server: usize) -> usize {
        self.servers[server].asked().len()
    }
}

fn within(seconds: u64) -> PropagationRules {
    PropagationRules { timeout: Duration::from_secs(seconds), ..PropagationRules::default() }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_seen_at_the_first_look() {
    let world = World::new(2).await;
    let awaited = world.awaited("a.example.test", &["one", "two"]).await;
    let before = world.looks(0) + world.looks(1);
    for server in &world.servers {
        server.now_serves(zone("a.example.test TXT one\na.example.test TXT two"));
    }
    let report = world.wait(&[awaited], &within(5)).await.unwrap();
    assert!(report.warnings.is_empty());
    assert!(report.elapsed < Duration::from_millis(25), "{:?}", report.elapsed);
    assert_eq!(world.looks(0) + world.looks(1) - before, 2);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_comes_late_is_seen_soon_after() {
    let world = World::new(2).await;
    let awaited = world.awaited("a.example.test", &["one"]).await;
    world.servers[0].now_serves(zone("a.example.test TXT one"));
    let before = world.looks(0);
    let (progress, mut shown) = watch::channel(Progress::default());
    let (awaited, rules) = ([awaited], within(5));
    let wait = world.dns.propagated(&awaited, &rules, &progress);
    let arrival = async {
        let lacking = |shown: &Progress| {
            shown.waiting.as_ref().is_some_and(|waiting| waiting.answer.contains("no such name"))
        };
        shown.wait_for(lacking).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        world.servers[1].now_serves(zone("a.example.test TXT one"));
        Instant::now()
    };
    let (report, arrived) = tokio::join!(wait, arrival);
    report.unwrap();
    assert!(arrived.elapsed() <= Duration::from_millis(25), "{:?}", arrived.elapsed());
    assert_eq!(world.looks(0) - before, 1, "a server that has it is not asked again");
    assert_eq!(shown.borrow().confirmed, 2);
}

#[tokio::test(start_paused = true)]
async fn looks_grow_rare_and_stay_below_the_limit() {
    let world = World::new(1).await;
    let awaited = world.awaited("a.example.test", &["one"]).await;
    let before = world.looks(0);
    let failure = world.wait(&[awaited], &within(120)).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::TimedOut);
    assert_eq!(failure.elapsed.as_secs(), 120);
    let looks = world.looks(0) - before;
    assert!((40..90).contains(&looks), "{looks}");
    assert_eq!(failure.table.rows[0].standing, Standing::Blocking);
    assert_eq!(failure.table.rows[0].serial, Some(7));
    assert!(failure.render().contains("no such name, serial 7"), "{}", failure.render());
    assert!(failure.hint.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_value_that_comes_after_a_minute_is_seen_within_the_longest_pause() {
    let world = World::new(1).await;
    let awaited = world.awaited("a.example.test", &["one"]).await;
    let (early, late, started) = (zone(""), zone("a.example.test TXT one"), Instant::now());
    world.servers[0].now(move |asked| {
        let there = started.elapsed().as_secs() >= 60;
        Act::Reply(answer(if there { &late } else { &early }, asked))
    });
    let report = world.wait(&[awaited], &within(180)).await.unwrap();
    assert!((60..=65).contains(&report.elapsed.as_secs()), "{:?}", report.elapsed);
}

#[tokio::test(start_paused = true)]
async fn a_dead_server_is_passed_after_ten_seconds_and_then_known_to_be_dead() {
    let world = World::new(2).await;
    let awaited = [world.awaited("a.example.test", &["one"]).await];
    world.servers[0].now_serves(zone("a.example.test TXT one"));
    world.servers[1].now(|_| Act::Silence);
    let report = world.wait(&awaited, &within(60)).await.unwrap();
    assert!((10..13).contains(&report.elapsed.as_secs()), "{:?}", report.elapsed);
    assert!(report.warnings[0].contains("nothing over UDP and TCP"), "{:?}", report.warnings);
    let again = world.wait(&awaited, &within(60)).await.unwrap();
    assert!(again.elapsed < Duration::from_secs(1), "{:?}", again.elapsed);
    let strict = PropagationRules { quorum: Quorum::All, ..within(60) };
    let failure = world.wait(&awaited, &strict).await.unwrap_err();
    assert_eq!(failure.elapsed.as_secs(), 60);
    assert_eq!(world.row(&failure, 1).standing, Standing::OutOfOrder);
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_hears_of_an_address_without_a_route_and_of_a_refusal() {
    let world = World::new(2).await;
    let mut zone_with_more = ConfiguredZone::named(ZoneName::parse("example.test").unwrap());
    zone_with_more.name_servers = world.servers.iter().map(|server| server.address).collect();
    zone_with_more.name_servers.push("[fe80::1]:53".parse().unwrap());
    let zones = ConfiguredZones::new(vec![zone_with_more]);
    let mut awaited = Vec::new();
    for name in ["a.example.test", "b.example.test", "c.example.test"] {
        let location = world.dns.locate(&Fqdn::parse(name).unwrap(), &zones).await.unwrap();
        awaited.push(Awaited { location, values: vec![TxtValue::parse("one").unwrap()] });
    }
    world.servers[0]
        .now_serves(zone("a.example.test TXT one\nb.example.test TXT one\nc.example.test TXT one"));
    world.servers[1].now_serves(Vec::new());
    let rules = within(60);
    let waits = awaited.iter().map(|awaited| world.wait(std::slice::from_ref(awaited), &rules));
    for report in join_all(waits).await {
        let report = report.unwrap();
        assert_eq!(report.elapsed.as_secs(), 10);
        assert_eq!((report.warnings.len(), report.notes.len()), (1, 1));
        assert!(report.warnings[0].contains("REFUSED"), "{:?}", report.warnings);
    }
}

#[tokio::test(start_paused = true)]
async fn when_no_server_answers_at_all_it_ends_after_ten_seconds() {
    let world = World::new(2).await;
    let awaited = world.awaited("a.example.test", &["one"]).await;
    for server in &world.servers {
        server.now(|_| Act::Silence);
    }
    let failure = world.wait(&[awaited], &within(600)).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::NothingAnswered);
    assert_eq!(failure.elapsed.as_secs(), 10);
    assert!(failure.hint.unwrap().contains("port 53"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_recovers_within_its_grace_is_asked_again_and_counts() {
    let world = World::new(2).await;
    let awaited = world.awaited("a.example.test", &["one"]).await;
    world.servers[0].now_serves(zone("a.example.test TXT one"));
    let zones = zone("a.example.test TXT one");
    let started = Instant::now();
    world.servers[1].now(move |asked| {
        let zones: &[ZoneData] = if started.elapsed().as_secs() < 5 { &[] } else { &zones };
        Act::Reply(answer(zones, asked))
    });
    let report = world.wait(&[awaited], &within(60)).await.unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    assert!((5..7).contains(&report.elapsed.as_secs()), "{:?}", report.elapsed);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_waits_of_one_zone_cost_one_look_each_and_little_time() {
    let world = World::new(2).await;
    let names: Vec<String> = (0..100).map(|n| format!("n{n}.example.test")).collect();
    let located = names.iter().map(|name| world.awaited(name, &["one"]));
    let awaited = join_all(located).await;
    let lines: String = names.iter().map(|name| format!("{name} TXT one\n")).collect();
    world.servers[0].now_serves(zone(&lines));
    let before = [world.looks(0), world.looks(1)];
    let late = zone(&lines);
    let started = Instant::now();
    world.servers[1].now(move |asked| {
        let there = started.elapsed() > Duration::from_millis(200);
        Act::Reply(answer(if there { &late } else { &[] }, asked))
    });
    let rules = within(10);
    let waits = awaited.iter().map(|awaited| world.wait(std::slice::from_ref(awaited), &rules));
    for report in join_all(waits).await {
        report.unwrap();
    }
    assert_eq!(world.looks(0) - before[0], 100);
    let late = world.looks(1) - before[1];
    assert!((100..150).contains(&late), "{late}");
}

#[tokio::test(start_paused = true)]
async fn one_name_that_never_comes_does_not_keep_the_others() {
    let world = World::new(1).await;
    let mut awaited = Vec::new();
    for name in ["a", "b", "never"] {
        awaited.push(world.awaited(&format!("{name}.example.test"), &["one"]).await);
    }
    world.servers[0].now_serves(zone("a.example.test TXT one\nb.example.test TXT one"));
    let rules = within(3);
    let waits = awaited.iter().map(|awaited| world.wait(std::slice::from_ref(awaited), &rules));
    let results = join_all(waits).await;
    assert!(results[0].is_ok() && results[1].is_ok());
    assert!(results[2].is_err());
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_vanishes_or_changes_blocks_and_says_so() {
    let world = World::new(2).await;
    let alias = "c.example.test CNAME t.example.test\nt.example.test TXT one";
    world.servers.iter().for_each(|server| server.now_serves(zone(alias)));
    let awaited = [world.awaited("c.example.test", &["one"]).await];
    world.wait(&awaited, &within(5)).await.unwrap();
    for (lines, text) in [
        ("t.example.test TXT one", "no alias"),
        ("c.example.test CNAME u.example.test\nt.example.test TXT one", "an alias to u.example.test"),
    ] {
        world.servers[1].now_serves(zone(lines));
        let failure = world.wait(&awaited, &within(5)).await.unwrap_err();
        let row = world.row(&failure, 1);
        assert_eq!(row.standing, Standing::Blocking);
        assert!(row.answer.starts_with(text), "{}", row.answer);
    }
}

#[tokio::test(start_paused = true)]
async fn settling_looks_once_more_after_its_time() {
    let world = World::new(1).await;
    world.servers[0].now_serves(zone("a.example.test TXT one"));
    let awaited = [world.awaited("a.example.test", &["one"]).await];
    let before = world.looks(0);
    let rules = PropagationRules { settle: Duration::from_secs(2), ..within(30) };
    let report = world.wait(&awaited, &rules).await.unwrap();
    assert_eq!(report.elapsed.as_secs(), 2);
    assert_eq!(world.looks(0) - before, 2);
}

#[tokio::test]
async fn cancelling_ends_waits_and_tasks() {
    let world = World::new(1).await;
    let awaited = [world.awaited("a.example.test", &["one"]).await];
    let rules = within(60);
    let wait = world.wait(&awaited, &rules);
    let (failure, ()) = tokio::join!(wait, async {
        tokio::task::yield_now().await;
        world.cancel.cancel();
    });
    assert_eq!(failure.unwrap_err().reason, FailureReason::Cancelled);
    world.tasks.close();
    world.tasks.wait().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_any_more_when_the_one_who_waits_has_gone() {
    let world = World::new(1).await;
    let awaited = [world.awaited("a.example.test", &["one"]).await];
    let given_up = tokio::time::timeout(Duration::from_secs(1), world.wait(&awaited, &within(60))).await;
    assert!(given_up.is_err());
    let looks = world.looks(0);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(world.servers[0].asked().iter().skip(looks).filter(|asked| !Asked::is_tcp(asked)).count(), 0);
}
