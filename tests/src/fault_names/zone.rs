//! Zone data: what an authoritative server knows of a name.

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::time::{Duration, Instant};

/// How many CNAMEs of one answer are followed.
const ALIAS_LIMIT: usize = 8;

/// A zone and its copies through time; what is written directly has one copy only.
#[derive(Debug)]
pub(super) struct Zone {
    apex: Name,
    lag: Duration,
    copies: Vec<Copy>,
}

#[derive(Debug)]
struct Copy {
    since: Instant,
    records: Vec<Record>,
}

impl Zone {
    pub(super) fn empty(apex: Name) -> Self {
        let host = Name::from_ascii("fault-names.invalid.").expect("a constant name");
        let soa = RData::SOA(SOA::new(host.clone(), host, 1, 3600, 600, 86400, 60));
        let records = vec![Record::from_rdata(apex.clone(), 60, soa)];
        Self::copied(apex, records, Duration::ZERO)
    }

    pub(super) fn copied(apex: Name, records: Vec<Record>, lag: Duration) -> Self {
        Self { apex, lag, copies: vec![Copy { since: Instant::now(), records }] }
    }

    pub(super) fn apex(&self) -> &Name {
        &self.apex
    }

    /// A newer copy from the primary.
    pub(super) fn update(&mut self, records: Vec<Record>) {
        self.copies.push(Copy { since: Instant::now(), records });
    }

    pub(super) fn add(&mut self, record: Record) {
        self.edit(|records| records.push(record));
    }

    pub(super) fn remove(&mut self, owner: &Name, kind: RecordType) {
        self.edit(|records| records.retain(|record| record.name != *owner || record.record_type() != kind));
    }

    pub(super) fn newest_serial(&self) -> Option<u32> {
        self.copies.last().and_then(|copy| copy.records.iter().find_map(|record| Some(soa(record)?.serial)))
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Vec<Record>)) {
        let Some(copy) = self.copies.last_mut() else { return };
        edit(&mut copy.records);
        for record in &mut copy.records {
            if let RData::SOA(soa) = &mut record.data {
                soa.increment_serial();
            }
        }
    }

    /// The newest copy that is old enough, else the oldest.
    fn records(&self) -> &[Record] {
        let old_enough = self.copies.iter().rev().find(|copy| copy.since.elapsed() >= self.lag);
        old_enough.or(self.copies.first()).map_or(&[], |copy| copy.records.as_slice())
    }
}

fn soa(record: &Record) -> Option<&SOA> {
    match &record.data {
        RData::SOA(soa) => Some(soa),
        _ => None,
    }
}

/// The zone that holds `owner`: the one with the longest apex.
pub(super) fn holding<'a>(zones: &'a mut [Zone], owner: &Name) -> Option<&'a mut Zone> {
    zones.iter_mut().filter(|zone| zone.apex.zone_of(owner)).max_by_key(|zone| zone.apex.num_labels())
}

/// Fills `response` with what `zones` know (RFC 1034 §4.3.2); `has_text` false hides all TXT.
pub(super) fn answer(zones: &mut [Zone], query: &Query, has_text: bool, response: &mut Message) {
    let Some(zone) = holding(zones, query.name()) else {
        response.metadata.response_code = ResponseCode::Refused;
        return;
    };
    let records: Vec<&Record> =
        zone.records().iter().filter(|record| has_text || record.record_type() != RecordType::TXT).collect();
    if query.query_type() == RecordType::AXFR {
        transfer(&records, response);
        return;
    }
    if let Some(cut) = cut(&zone.apex, &records, query) {
        refer(&records, &cut, response);
        return;
    }
    response.metadata.authoritative = true;
    let mut owner = query.name().clone();
    for _ in 0..ALIAS_LIMIT {
        let found = set(&records, &owner, query.query_type());
        if !found.is_empty() {
            response.answers.extend(found.into_iter().cloned());
            return;
        }
        let Some(alias) = set(&records, &owner, RecordType::CNAME).first().copied() else { break };
        response.answers.push(alias.clone());
        let RData::CNAME(target) = &alias.data else { break };
        owner = target.0.clone();
        if !zone.apex.zone_of(&owner) {
            return;
        }
    }
    if !records.iter().any(|record| owner.zone_of(&record.name)) {
        response.metadata.response_code = ResponseCode::NXDomain;
    }
    response.authorities.extend(records.iter().filter(|record| soa(record).is_some()).map(|r| (*r).clone()));
}

/// The records of one owner and type.
fn set<'a>(records: &[&'a Record], owner: &Name, kind: RecordType) -> Vec<&'a Record> {
    records.iter().filter(|record| record.name == *owner && record.record_type() == kind).copied().collect()
}

/// The whole zone in one message, its SOA first and last (RFC 5936 §2.2): test zones are small.
fn transfer(records: &[&Record], response: &mut Message) {
    response.metadata.authoritative = true;
    let soa = records.iter().find(|record| soa(record).is_some());
    let others = records.iter().filter(|record| self::soa(record).is_none());
    response.answers.extend(soa.into_iter().chain(others).chain(soa).map(|record| (*record).clone()));
}

/// The delegation below the apex that contains the question.
fn cut(apex: &Name, records: &[&Record], query: &Query) -> Option<Name> {
    let delegation = records.iter().find(|record| {
        record.record_type() == RecordType::NS
            && record.name != *apex
            && record.name.zone_of(query.name())
            && !(query.query_type() == RecordType::DS && record.name == *query.name())
    });
    delegation.map(|record| record.name.clone())
}

fn refer(records: &[&Record], cut: &Name, response: &mut Message) {
    for record in set(records, cut, RecordType::NS) {
        response.authorities.push(record.clone());
        let RData::NS(server) = &record.data else { continue };
        let glue = records.iter().filter(|r| r.name == server.0 && r.data.ip_addr().is_some());
        response.additionals.extend(glue.map(|record| (*record).clone()));
    }
}
