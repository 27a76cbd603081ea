//! What a reply says. Nothing here talks to the network.

use super::message::{QueryError, Reply};
use dns01_provider::name::{Fqdn, ZoneName};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};
use std::fmt;

/// A name as messages carry it.
pub(super) fn wire_name(name: &Fqdn) -> Name {
    Name::from_labels(name.labels().map(str::as_bytes)).expect("a checked name has 253 characters at most")
}

/// A name from a message, if it is one that hosts and challenges have.
pub(super) fn plain_name(name: &Name) -> Option<Fqdn> {
    Fqdn::parse(&name.to_ascii()).ok()
}

/// The name without its last dot; `.` for the root.
pub(super) fn shown_name(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    match text.strip_suffix('.') {
        Some("") | None => text,
        Some(front) => front.to_owned(),
    }
}

/// What a reply to a TXT question says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TxtAnswer {
    pub(super) code: ResponseCode,
    /// AA: the server answers for the zone of the name asked about (RFC 1035 §4.1.1).
    pub(super) authoritative: bool,
    /// The aliases from the name asked about onward. They stand in the answer section whatever
    /// the response code is (RFC 6604 §2).
    pub(super) aliases: Vec<Alias>,
    /// The TXT values at the end of the aliases, their character-strings joined.
    pub(super) values: Vec<Vec<u8>>,
    /// The owner of the SOA in the authority section: the zone a negative answer comes from
    /// (RFC 2308 §2).
    pub(super) zone: Option<Name>,
    /// The owner of NS records in the authority section of an answer without content: the zone
    /// the server sends us to.
    pub(super) referral: Option<Name>,
}

/// One alias of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) from: Name,
    pub(super) to: Name,
    /// True when a DNAME record redirects a whole tree (RFC 6672).
    pub(super) by_tree: bool,
}

impl TxtAnswer {
    pub(super) fn read(name: &Name, message: &Message) -> Self {
        let (aliases, end) = follow(name, &message.answers);
        let values = message.answers.iter().filter(|record| record.name == end).filter_map(|record| {
            match &record.data {
                RData::TXT(txt) => Some(txt.txt_data.concat()),
                _ => None,
            }
        });
        let values: Vec<_> = values.collect();
        let zone = owner_of(&message.authorities, RecordType::SOA);
        let empty =
            message.answers.is_empty() && zone.is_none() && message.response_code == ResponseCode::NoError;
        Self {
            code: message.response_code,
            authoritative: message.authoritative,
            referral: owner_of(&message.authorities, RecordType::NS)
                .filter(|_| empty && !message.authoritative),
            aliases,
            values,
            zone,
        }
    }

    /// True if the answer is about the name, from somebody who knows it.
    pub(super) fn is_usable(&self) -> bool {
        let known =
            matches!(self.code, ResponseCode::NoError | ResponseCode::NXDomain | ResponseCode::YXDomain);
        known || !self.aliases.is_empty()
    }
}

fn owner_of(records: &[Record], record_type: RecordType) -> Option<Name> {
    records.iter().find(|record| record.record_type() == record_type).map(|record| record.name.clone())
}

/// The chain of aliases in `answers` that starts at `name`, and the name at its end. A circle
/// ends where it closes.
fn follow(name: &Name, answers: &[Record]) -> (Vec<Alias>, Name) {
    let mut aliases: Vec<Alias> = Vec::new();
    let mut end = name.clone();
    while let Some((to, by_tree)) = alias_of(&end, answers) {
        let closes = to == *name || aliases.iter().any(|alias| alias.to == to);
        aliases.push(Alias { from: end, to: to.clone(), by_tree });
        end = to;
        if closes {
            break;
        }
    }
    (aliases, end)
}

fn alias_of(name: &Name, answers: &[Record]) -> Option<(Name, bool)> {
    let redirected = answers.iter().find_map(|record| redirect(name, record));
    let cname = answers.iter().find_map(|record| match &record.data {
        RData::CNAME(to) if record.name == *name => Some(to.0.clone()),
        _ => None,
    });
    match (cname, redirected) {
        (Some(to), redirected) => Some((to, redirected.is_some())),
        // RFC 6672 §3.1 wants a CNAME beside the DNAME; old servers leave it out.
        (None, Some(to)) => Some((to, true)),
        (None, None) => None,
    }
}

/// `name` with the owner of a DNAME record replaced by its target (RFC 6672 §2.2).
fn redirect(name: &Name, record: &Record) -> Option<Name> {
    let RData::Unknown { code: RecordType::DNAME, rdata } = &record.data else {
        return None;
    };
    if !record.name.zone_of(name) || record.name == *name {
        return None;
    }
    let target = Name::read(&mut BinDecoder::new(&rdata.anything)).ok()?;
    let kept = name.iter().count() - record.name.iter().count();
    let front = Name::from_labels(name.iter().take(kept)).ok()?;
    front.append_domain(&target).ok()
}

/// What must be seen at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    /// These values, and no alias.
    Values(Vec<Vec<u8>>),
    /// An alias that leads there.
    Alias(Fqdn),
}

/// What a server said, held against what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Everything expected, authoritative.
    Everything { values: usize },
    /// Everything expected, without the AA bit.
    WithoutAuthority,
    /// The name does not exist.
    NoSuchName,
    /// The name exists, without TXT.
    NoTxt,
    /// Some values, or others.
    Some { seen: usize, of: usize },
    /// An alias where the values are expected, or another one than expected.
    OtherAlias(String),
    /// No alias where one is expected.
    NoAlias,
    /// The name is in a zone delegated from here.
    Delegated(String),
    /// A response code that says nothing of the name.
    Code(ResponseCode),
    /// A referral to where we came from, or above.
    Lame,
    /// No answer.
    Unanswered(QueryError),
}

/// What something said means (design: "when it has propagated").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It has everything.
    Confirmed,
    /// It has everything, but does not answer for the zone.
    WithoutAuthority,
    /// It answers, and something is missing.
    Blocking,
    /// It is silent or unfit to answer.
    OutOfOrder,
    /// It cannot be asked from here.
    NoRoute,
}

impl Said {
    /// What `result` says of `name` in `zone`.
    pub(super) fn of(
        zone: &ZoneName,
        name: &Name,
        expectation: &Expectation,
        result: &Result<Reply, QueryError>,
    ) -> Self {
        let answer = match result {
            Ok(reply) => TxtAnswer::read(name, &reply.message),
            Err(error) => return Self::Unanswered(*error),
        };
        match (expectation, answer.aliases.first()) {
            (Expectation::Alias(to), Some(alias)) if alias.to == wire_name(to) => {
                if answer.authoritative {
                    Self::Everything { values: 0 }
                } else {
                    Self::WithoutAuthority
                }
            }
            (_, Some(alias)) => Self::OtherAlias(shown_name(&alias.to)),
            (_, None) => Self::without_alias(&wire_name(zone.apex()), name, expectation, &answer),
        }
    }

    fn without_alias(zone: &Name, name: &Name, expectation: &Expectation, answer: &TxtAnswer) -> Self {
        if !matches!(answer.code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Self::Code(answer.code);
        }
        match &answer.referral {
            Some(cut) if cut != zone && zone.zone_of(cut) && cut.zone_of(name) => {
                return Self::Delegated(shown_name(cut));
            }
            Some(_) => return Self::Lame,
            None => {}
        }
        let Expectation::Values(expected) = expectation else {
            return Self::NoAlias;
        };
        let seen = expected.iter().filter(|value| answer.values.contains(value)).count();
        match (seen == expected.len(), answer.authoritative) {
            (true, true) => Self::Everything { values: seen },
            (true, false) => Self::WithoutAuthority,
            _ if answer.code == ResponseCode::NXDomain => Self::NoSuchName,
            _ if answer.values.is_empty() => Self::NoTxt,
            _ => Self::Some { seen, of: expected.len() },
        }
    }

    pub(super) fn meaning(&self) -> Meaning {
        match self {
            Self::Everything { .. } => Meaning::Confirmed,
            Self::WithoutAuthority => Meaning::WithoutAuthority,
            Self::NoSuchName
            | Self::NoTxt
            | Self::Some { .. }
            | Self::OtherAlias(_)
            | Self::NoAlias
            | Self::Delegated(_) => Meaning::Blocking,
            Self::Code(_) | Self::Lame => Meaning::OutOfOrder,
            Self::Unanswered(QueryError::NoRoute) => Meaning::NoRoute,
            Self::Unanswered(_) => Meaning::OutOfOrder,
        }
    }

    /// The answer as a clause with the server as its subject: `has 1 of 2 values`.
    pub(super) fn clause(&self) -> String {
        match self {
            Self::Everything { .. } => "has everything".to_owned(),
            Self::WithoutAuthority => "answers without authority".to_owned(),
            Self::NoSuchName => "says there is no such name".to_owned(),
            Self::NoTxt => "has no TXT record there".to_owned(),
            Self::Some { seen: 0, .. } => "has other values".to_owned(),
            Self::Some { seen, of } => format!("has {seen} of {of} values"),
            Self::OtherAlias(to) => format!("has an alias to {to}"),
            Self::NoAlias => "does not have the alias".to_owned(),
            Self::Delegated(cut) => format!("delegates {cut} elsewhere"),
            Self::Code(code) => format!("answers {}", code_name(*code)),
            Self::Lame => "does not know the zone".to_owned(),
            Self::Unanswered(QueryError::NoRoute) => "cannot be reached from here".to_owned(),
            Self::Unanswered(_) => "does not answer".to_owned(),
        }
    }
}

/// The answer as a table shows it.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything { values: 0 } => f.write_str("the alias, authoritative"),
            Self::Everything { values: 1 } => f.write_str("the value, authoritative"),
            Self::Everything { values } => write!(f, "the {values} values, authoritative"),
            Self::WithoutAuthority => f.write_str("what is expected, but without authority"),
            Self::NoSuchName => f.write_str("no such name"),
            Self::NoTxt => f.write_str("no TXT record"),
            Self::Some { seen: 0, .. } => f.write_str("other values"),
            Self::Some { seen, of } => write!(f, "{seen} of {of} values"),
            Self::OtherAlias(to) => write!(f, "an alias to {to}"),
            Self::NoAlias => f.write_str("no alias"),
            Self::Delegated(cut) => write!(f, "a delegation of {cut}"),
            Self::Code(code) => f.write_str(&code_name(*code)),
            Self::Lame => f.write_str("a referral elsewhere (lame)"),
            Self::Unanswered(error) => error.fmt(f),
        }
    }
}

/// A response code by its name in RFC 6895 §2.3.
pub(super) fn code_name(code: ResponseCode) -> String {
    match code {
        ResponseCode::Unknown(number) => format!("RCODE {number}"),
        code => format!("{code:?}").to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Question, Transport};
    use super::super::scripted::{Asked, ZoneData, answer, wire};
    use super::*;

    fn asked(zone: &ZoneData, name: &str) -> Message {
        let question = Question::new(wire(name), RecordType::TXT);
        answer(
            std::slice::from_ref(zone),
            &Asked { transport: Transport::Udp, message: question.message(1, true) },
        )
    }

    fn said(zone: &ZoneData, name: &str, expectation: &Expectation, twist: impl Fn(&mut Message)) -> Said {
        let mut message = asked(zone, name);
        twist(&mut message);
        let reply = Ok(Reply { message, transport: Transport::Udp });
        Said::of(&ZoneName::parse("example.test").unwrap(), &wire(name), expectation, &reply)
    }

    fn values(values: &[&str]) -> Expectation {
        Expectation::Values(values.iter().map(|value| value.as_bytes().to_vec()).collect())
    }

    fn zone() -> ZoneData {
        ZoneData::new(
            "example.test",
            "a.example.test TXT one
             a.example.test TXT two
             c.example.test CNAME gone.elsewhere.test
             old.example.test DNAME new.example.test
             x.new.example.test TXT three
             *.wild.example.test TXT four
             sub.example.test NS ns.sub.example.test",
        )
    }

    #[test]
    fn every_value_must_be_there_and_others_do_no_harm() {
        let zone = zone();
        let plain = |_: &mut Message| {};
        assert_eq!(said(&zone, "a.example.test", &values(&["two"]), plain), Said::Everything { values: 1 });
        assert_eq!(
            said(&zone, "a.example.test", &values(&["one", "two"]), plain),
            Said::Everything { values: 2 }
        );
        assert_eq!(
            said(&zone, "a.example.test", &values(&["one", "three"]), plain),
            Said::Some { seen: 1, of: 2 }
        );
        assert_eq!(said(&zone, "b.example.test", &values(&["one"]), plain), Said::NoSuchName);
        assert_eq!(said(&zone, "new.example.test", &values(&["one"]), plain), Said::NoTxt);
    }

    #[test]
    fn without_the_aa_bit_a_value_does_not_confirm_and_a_lack_still_blocks() {
        let forged = |message: &mut Message| message.metadata.authoritative = false;
        assert_eq!(said(&zone(), "a.example.test", &values(&["one"]), forged), Said::WithoutAuthority);
        assert_eq!(said(&zone(), "a.example.test", &values(&["x"]), forged).meaning(), Meaning::Blocking);
    }

    #[test]
    fn response_codes_other_than_yes_and_no_mean_out_of_order() {
        for code in
            [ResponseCode::Refused, ResponseCode::ServFail, ResponseCode::NotAuth, ResponseCode::FormErr]
        {
            let failing = |message: &mut Message| {
                message.answers.clear();
                message.metadata.response_code = code;
            };
            let said = said(&zone(), "a.example.test", &values(&["one"]), failing);
            assert_eq!((said.meaning(), said.to_string()), (Meaning::OutOfOrder, code_name(code)));
        }
        assert_eq!(code_name(ResponseCode::ServFail), "SERVFAIL");
    }

    #[test]
    fn a_referral_below_blocks_and_a_referral_upward_is_lame() {
        let plain = |_: &mut Message| {};
        let below = said(&zone(), "x.sub.example.test", &values(&["one"]), plain);
        assert_eq!(below, Said::Delegated("sub.example.test".to_owned()));
        let upward = |message: &mut Message| {
            message.authorities.iter_mut().for_each(|record| record.name = Name::root());
        };
        assert_eq!(said(&zone(), "x.sub.example.test", &values(&["one"]), upward), Said::Lame);
    }

    #[test]
    fn an_alias_is_read_before_the_response_code() {
        let missing = |message: &mut Message| message.metadata.response_code = ResponseCode::NXDomain;
        let alias = |to: &str| Expectation::Alias(Fqdn::parse(to).unwrap());
        let name = "c.example.test";
        assert_eq!(said(&zone(), name, &alias("gone.elsewhere.test"), missing).meaning(), Meaning::Confirmed);
        let other = Said::OtherAlias("gone.elsewhere.test".to_owned());
        assert_eq!(said(&zone(), name, &alias("other.test"), missing), other);
        assert_eq!(said(&zone(), name, &values(&["one"]), missing), other);
        assert_eq!(said(&zone(), "a.example.test", &alias("other.test"), |_| {}), Said::NoAlias);
    }

    #[test]
    fn a_dname_redirects_with_and_without_the_cname_beside_it() {
        let mut message = asked(&zone(), "x.old.example.test");
        let read = |message: &Message| TxtAnswer::read(&wire("x.old.example.test"), message);
        let answer = read(&message);
        assert_eq!(answer.aliases[0].to, wire("x.new.example.test"));
        assert!(answer.aliases[0].by_tree);
        assert_eq!(answer.values, [b"three".to_vec()]);
        message.answers.retain(|record| record.record_type() != RecordType::CNAME);
        assert_eq!(read(&message), answer);
    }

    #[test]
    fn a_circle_of_aliases_ends() {
        let zone = ZoneData::new(
            "example.test",
            "a.example.test CNAME b.example.test\nb.example.test CNAME a.example.test",
        );
        let answer = TxtAnswer::read(&wire("a.example.test"), &asked(&zone, "a.example.test"));
        assert!(answer.aliases.len() <= 2);
    }

    #[test]
    fn character_strings_of_one_record_are_one_value() {
        let mut message = asked(&zone(), "a.example.test");
        let parts = hickory_proto::rr::rdata::TXT::new(vec!["on".to_owned(), "e".to_owned()]);
        message.answers[0].data = RData::TXT(parts);
        assert_eq!(TxtAnswer::read(&wire("a.example.test"), &message).values[0], b"one");
    }
}
