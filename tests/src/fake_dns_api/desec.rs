//! deSEC's API v1, as far as TXT RRsets, domains and token policies go; written after the
//! service's own source.
//!
//! Stricter than the service: fields and parameters that are not documented are refused, and a
//! character-string must have at most 255 octets.

mod answers;
mod lists;
mod rrsets;
mod tokens;

pub use tokens::Policy;

use super::held::quoted;
use super::{Answer, Asked, Held, HeldRecord, HeldZone, Service, lock};
use answers::{detail, domain, forbidden, not_found, only};
use rrsets::{one_set, write_many};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokens::Token;

/// Entries of a page.
const PAGE: usize = 500;
/// Writes of one domain.
const WRITES: [(usize, Duration); 2] = [(2, Duration::from_secs(1)), (15, Duration::from_secs(60))];
/// Reads of the account.
const READS: [(usize, Duration); 2] = [(10, Duration::from_secs(1)), (50, Duration::from_secs(60))];

/// The service.
#[derive(Debug)]
pub struct Desec {
    tokens: Mutex<Vec<Token>>,
    /// RRsets that somebody else writes right after a write: name and values.
    overwrites: Mutex<VecDeque<(String, Vec<String>)>>,
    page: AtomicUsize,
    throttling: AtomicBool,
    calls: Mutex<BTreeMap<String, VecDeque<Instant>>>,
}

impl Default for Desec {
    fn default() -> Self {
        Self {
            tokens: Mutex::default(),
            overwrites: Mutex::default(),
            page: AtomicUsize::new(PAGE),
            throttling: AtomicBool::new(false),
            calls: Mutex::default(),
        }
    }
}

impl Desec {
    /// A service that knows no token yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token and its id. With no `policies` it may write everything; otherwise a closed
    /// default policy stands before them.
    #[must_use]
    pub fn token(&self, policies: &[Policy]) -> (String, String) {
        self.add(policies, false)
    }

    /// A token with `perm_manage_tokens`, and its id.
    #[must_use]
    pub fn managing_token(&self, policies: &[Policy]) -> (String, String) {
        self.add(policies, true)
    }

    /// Somebody else writes `values` at `name` right after the next write, in place of what
    /// stands there then; several calls meet the next writes in turn.
    pub fn overwrite(&self, name: &str, values: &[&str]) {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        lock(&self.overwrites).push_back((name.to_owned(), values));
    }

    /// Lists have pages of `entries` from now on.
    pub fn pages_of(&self, entries: usize) {
        self.page.store(entries, Ordering::SeqCst);
    }

    /// Refuses from now on what is more than the service's own rates allow.
    pub fn throttle(&self) {
        self.throttling.store(true, Ordering::SeqCst);
    }

    /// Counts a call in `bucket`, or says when it may be made.
    fn count(&self, bucket: &str, rates: &[(usize, Duration)]) -> Result<(), Answer> {
        if !self.throttling.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut calls = lock(&self.calls);
        let (calls, now) = (calls.entry(bucket.to_owned()).or_default(), Instant::now());
        for (most, window) in rates {
            let recent = calls.iter().filter(|call| now.duration_since(**call) < *window).count();
            if recent >= *most {
                let wait = window.as_secs();
                let answer =
                    detail(429, &format!("Request was throttled. Expected available in {wait} seconds."));
                return Err(answer.with(hyper::header::RETRY_AFTER, &wait.to_string()));
            }
        }
        calls.push_back(now);
        Ok(())
    }

    fn route(&self, asked: &Asked, held: &mut Held) -> Result<Answer, Answer> {
        let token = self.token_of(asked)?;
        let (method, segments) = (asked.method.as_str(), asked.path());
        if segments.last() != Some(&"") {
            return Err(Answer::page(301, "the path ends with a slash"));
        }
        match (method, &segments[..segments.len() - 1]) {
            ("GET", ["auth", "tokens"]) => {
                only(asked, &["cursor"])?;
                if token.manages { Ok(self.list_tokens()) } else { Err(forbidden()) }
            }
            ("GET", ["auth", "tokens", id, "policies", "rrsets"]) => self.policies(&token, id),
            ("GET", ["domains"]) => {
                self.count("", &READS)?;
                self.domains(asked, held)
            }
            (_, ["domains", name, rest @ ..]) => {
                let zone = held.zones.iter_mut().find(|zone| zone.name == *name);
                let zone = zone.ok_or_else(not_found)?;
                if method == "GET" {
                    self.count("", &READS)?;
                } else {
                    self.count(name, &WRITES)?;
                }
                let before = zone.clone();
                let result = self.in_zone(asked, zone, rest, &token);
                match &result {
                    Err(_) => *zone = before,
                    Ok(_) if method != "GET" => self.interfere(zone),
                    Ok(_) => {}
                }
                result
            }
            _ => Err(not_found()),
        }
    }

    fn in_zone(
        &self,
        asked: &Asked,
        zone: &mut HeldZone,
        rest: &[&str],
        token: &Token,
    ) -> Result<Answer, Answer> {
        match (asked.method.as_str(), rest) {
            ("GET", []) => Ok(Answer::json(200, &domain(zone))),
            ("GET", ["rrsets"]) => self.list(asked, zone),
            ("POST" | "PATCH" | "PUT", ["rrsets"]) => {
                only(asked, &[])?;
                write_many(asked, zone, token)
            }
            (method, ["rrsets", subname, "TXT"]) => {
                only(asked, &[])?;
                let subname = if *subname == "@" { "" } else { subname.trim_end_matches("...") };
                one_set(asked, method, zone, subname, token)
            }
            _ => Err(not_found()),
        }
    }

    fn interfere(&self, zone: &mut HeldZone) {
        let Some((name, values)) = lock(&self.overwrites).pop_front() else { return };
        let records = values.iter().map(|value| record(&name, 7200, value.clone())).collect();
        zone.replace_set(&name, "TXT", records);
    }
}

impl Service for Desec {
    fn base(&self) -> &'static str {
        "/api/v1"
    }

    fn identifier(&self, number: u64) -> String {
        uuid(number)
    }

    fn answer(&self, asked: &Asked, held: &mut Held) -> Answer {
        self.route(asked, held).unwrap_or_else(|refusal| refusal)
    }

    fn throttled(&self) -> Answer {
        detail(429, "Request was throttled.")
    }
}

fn uuid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

fn record(name: &str, ttl: u32, data: String) -> HeldRecord {
    let form = quoted(&data);
    HeldRecord { id: String::new(), name: name.to_owned(), kind: "TXT".to_owned(), ttl, data, form }
}
