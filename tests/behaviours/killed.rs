//! `kill -9` just before and just after everything that leaves a trace outside the process,
//! then the same command again. Whatever the moment: the same order goes on, one certificate
//! is issued, the ledger and the zone are empty of our records, and the four files in `live/`
//! belong together at all times.
//!
//! The moments come from a watched run: each commit of the database (nothing of it written
//! yet, half of it, all of it, synced), each sync and rename of another file, each message to
//! the CA (the frames of every signed POST are among them) and each to the DNS provider.

mod stand;

use dns01_tests::crash::{Effect, Moment, Point, Shim};
use stand::{Stand, Story};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Stands that work through the moments of one test.
const STANDS: usize = 3;

#[test]
fn killed_around_any_commit_it_goes_on_with_the_same_order() {
    survive(Story::First, around_commits);
}

#[test]
fn killed_around_any_message_to_the_ca_it_goes_on_with_the_same_order() {
    survive(Story::First, |points| both_sides(points, |point| point.port() == Some(stand::CA_PORT)));
}

#[test]
fn killed_around_any_provider_call_it_goes_on_with_the_same_order() {
    survive(Story::First, |points| both_sides(points, |point| point.port() == Some(stand::DNS_PORT)));
}

#[test]
fn killed_around_any_file_it_writes_the_four_of_them_belong_together() {
    survive(Story::First, |points| both_sides(points, is_of_a_file));
}

#[test]
fn killed_while_old_files_are_replaced_either_all_are_old_or_all_are_new() {
    survive(Story::Replacement, |points| both_sides(points, is_of_a_file));
}

#[test]
fn killed_again_and_again_it_gets_through() {
    let shim = Shim::compile().unwrap();
    std::thread::scope(|scope| {
        for first in 1..=STANDS {
            let shim = &shim;
            // Each run is killed a little later than the one before it.
            scope
                .spawn(move || Stand::new(Story::First).kill_and_kill_again(shim, (first..).step_by(STANDS)));
        }
    });
}

/// Where a run is killed, and on which side.
type Place = (Point, Moment);

fn both_sides(points: &[Point], class: impl Fn(&Point) -> bool) -> Vec<Place> {
    let of_class = points.iter().filter(|point| class(point));
    of_class.flat_map(|point| Moment::BOTH.map(|moment| (point.clone(), moment))).collect()
}

/// Both sides of every sync of the database, and before the first and the last write that
/// each of them makes durable.
fn around_commits(points: &[Point]) -> Vec<Place> {
    let mut places = both_sides(points, |point| point.effect == Effect::Sync && is_of_the_database(point));
    let of_the_database: Vec<&Point> = points.iter().filter(|point| is_of_the_database(point)).collect();
    for group in of_the_database.split(|point| point.effect == Effect::Sync) {
        let ends = [group.first(), group.last().filter(|_| group.len() > 1)];
        places.extend(ends.into_iter().flatten().map(|&point| (point.clone(), Moment::Before)));
    }
    places
}

fn is_of_the_database(point: &Point) -> bool {
    // The shared memory beside it is no part of what survives.
    point.detail.contains("/dns01.db") && !point.detail.ends_with("-shm")
}

/// A rename, or a sync of something that is not the database.
fn is_of_a_file(point: &Point) -> bool {
    point.effect == Effect::Rename || (point.effect == Effect::Sync && !is_of_the_database(point))
}

/// Kills the story's last command at each of the places picked, and looks at what the same
/// command makes of it.
#[expect(clippy::print_stdout, reason = "it says how much was tried, where somebody asks with --nocapture")]
fn survive(story: Story, pick: impl Fn(&[Point]) -> Vec<Place>) {
    let shim = Shim::compile().unwrap();
    let stands: Vec<Stand> = (0..STANDS).map(|_| Stand::new(story)).collect();
    let places = pick(&stands[0].watch(&shim));
    assert!(!places.is_empty(), "a run has such effects");
    let (next, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for stand in &stands {
            scope.spawn(|| {
                while let Some((point, moment)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !stand.kill_and_go_on(&shim, point, *moment) {
                        missed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    // What runs side by side does not always share a commit or a frame, so that one run may
    // have an effect less than the one that was watched.
    let (missed, all) = (missed.into_inner(), places.len());
    println!("{all} places, {missed} of them not reached");
    assert!(missed * 10 <= all, "{missed} of {all} places were not reached: runs differ too much");
}
