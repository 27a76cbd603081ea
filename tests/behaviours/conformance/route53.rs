//! Amazon Route 53 against its fake, which boto3 has proven, and against moto, an emulator.

mod moto;
mod sessions;

use super::fake::{
    Run, SUB_ZONE, ZONE, add, adds, assert_refused, exactly_enough, literal, name, named, printed_by,
    removals, remove, too_little, too_much, zone,
};
use super::table;
use dns01_provider::{DnsProvider, Fqdn, Listing, ProviderErrorKind, Published, Settings, TxtValue, Zone};
use dns01_provider_route53::PLUGIN;
use dns01_tests::fake_dns_api::route53::{Key, Route53, Statement};
use dns01_tests::fake_dns_api::{FakeDnsApi, Fault, clients};
use std::sync::Arc;
use std::time::Duration;

/// What is needed of one zone, whatever the names.
const ACTIONS: [&str; 3] = ["ListResourceRecordSets", "ChangeResourceRecordSets", "GetChange"];

type Stand = super::fake::Stand<Route53, Key>;

/// The fake with one zone and a temporary key that may write in it and list no zone.
fn stand() -> Stand {
    let api = FakeDnsApi::start(Route53::new()).unwrap();
    let id = api.zone(ZONE);
    let key = api.service().temporary_key(&[Statement::of(&ACTIONS).in_zone(&id)]);
    Stand::new(api, id, key, provider)
}

/// The address that clients are given: they add the version themselves.
fn endpoint(api: &FakeDnsApi<Route53>) -> String {
    api.url().trim_end_matches("/2013-04-01").to_owned()
}

/// The settings with `key`, as `dns01.toml` would have them.
fn settings(api: &FakeDnsApi<Route53>, key: &Key) -> Settings {
    let settings = Settings::default()
        .with("endpoint_url", endpoint(api))
        .with("access_key_id", literal(&key.id))
        .with("secret_access_key", literal(&key.secret));
    match &key.token {
        Some(token) => settings.with("session_token", literal(token)),
        None => settings,
    }
}

fn provider(api: &FakeDnsApi<Route53>, key: &Key) -> Arc<dyn DnsProvider> {
    (PLUGIN.build)(settings(api, key)).unwrap()
}

impl Stand {
    /// The values in no order, as the service has them.
    fn sorted(&self, name: &Fqdn) -> Vec<String> {
        let mut values = self.values(name);
        values.sort_unstable();
        values
    }
}

/// A value as some programs write it: in two character-strings.
fn in_two(value: &TxtValue) -> String {
    let (one, two) = value.as_str().split_at(value.as_str().len() / 2);
    let quoted = |text: &str| TxtValue::parse(text).unwrap().presentation();
    format!("{} {}", quoted(one), quoted(two))
}

#[tokio::test]
async fn the_promises_are_kept_at_route_53s_fake() {
    let (mut stand, busy) = (stand(), stand());
    busy.api.service().throttle(usize::MAX);
    let sub_zone = zone(&stand.api, SUB_ZONE);
    let both = Statement::of(&ACTIONS).in_zone(&stand.id).in_zone(sub_zone.id.as_deref().unwrap());
    stand.key = stand.api.service().temporary_key(&[both]);
    let run = Run {
        wrong: Key { secret: "not/the+secret+of+this+key".to_owned(), ..stand.key.clone() },
        stand,
        sub_zone,
        busy,
        listing: "GET /hostedzonesbyname",
        forms: &[TxtValue::presentation, in_two],
    };
    let key = &run.stand.key;
    let secrets = [key.secret.as_str(), key.token.as_deref().unwrap(), &run.wrong.secret];
    table::assert_all_kept(&run.proven_by("boto3 1.44.5", "route53", &secrets)).await;
}

/// boto3 finds the zone, adds two values, lists them and removes one; what it sees and what the
/// fake holds agree, its refusals too.
#[test]
fn boto3_finds_the_fake_right() {
    const SCRIPT: &str = r#"
import sys, boto3
from botocore.config import Config
from botocore.exceptions import ClientError
zone, name = sys.argv[1:]
once = Config(retries={"total_max_attempts": 1})
client = boto3.client("route53", config=once)
found = client.list_hosted_zones_by_name(DNSName="example.test", MaxItems="1")["HostedZones"][0]
print(found["Id"], found["Name"], found["Config"]["PrivateZone"])
def change(action, *values, ttl=60, at=name):
    return {"Action": action, "ResourceRecordSet": {"Name": at, "Type": "TXT", "TTL": ttl,
            "ResourceRecords": [{"Value": value} for value in values]}}
def send(*changes):
    return client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": list(changes)})["ChangeInfo"]
def sets(**place):
    page = client.list_resource_record_sets(HostedZoneId=zone, **place)
    return [(s["Name"], s["Type"], s["TTL"], [r["Value"] for r in s["ResourceRecords"]])
            for s in page["ResourceRecordSets"]]
made = send(change("CREATE", '"one"'))
print(made["Status"])
send(change("DELETE", '"one"'), change("CREATE", '"one"', '"t" "wo"'))
print(sets(StartRecordName=name, StartRecordType="TXT", MaxItems="1"))
print(sets(MaxItems="2")[0][1], len(sets()))
send(change("DELETE", '"t" "wo"', '"one"'), change("CREATE", '"two"'))
print([client.get_change(Id=made["Id"])["ChangeInfo"]["Status"] for _ in range(2)])
for attempt in (lambda: send(change("CREATE", '"three"')),
                lambda: send(change("DELETE", '"three"')),
                lambda: send(change("DELETE", '"two"', ttl=61)),
                lambda: send(change("CREATE", '"x"', at="x." + name), change("DELETE", '"x"', at="y." + name)),
                lambda: send(change("CREATE", 'bare', at="x." + name)),
                lambda: send(change("CREATE", '"' + "x" * 256 + '"', at="x." + name)),
                lambda: send(change("CREATE", '"x"', at="elsewhere.org")),
                lambda: sets(StartRecordType="TXT"),
                lambda: client.list_resource_record_sets(HostedZoneId="Z0"),
                lambda: client.list_hosted_zones(),
                lambda: boto3.client("route53", config=once, aws_secret_access_key="wrong", aws_access_key_id=
                    client._request_signer._credentials.access_key).get_change(Id="C1")):
    try:
        attempt()
        print("done")
    except ClientError as error:
        said = error.response["Error"]
        print(error.response["ResponseMetadata"]["HTTPStatusCode"], said["Code"], said["Message"][:80])
"#;
    let Some(python) = clients("the proof of Route 53's fake by boto3") else { return };
    let stand = stand();
    let id = stand.id.as_str();
    let key = stand.api.service().key(&[
        Statement::of(&["ListHostedZonesByName", "GetChange"]),
        Statement::of(&["ListResourceRecordSets", "ChangeResourceRecordSets"]).in_zone(id).in_zone("Z0"),
    ]);
    let here = name("independent");
    let environment = [
        ("AWS_ENDPOINT_URL_ROUTE_53", &*endpoint(&stand.api)),
        ("AWS_ACCESS_KEY_ID", &key.id),
        ("AWS_SECRET_ACCESS_KEY", &key.secret),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let lines = printed_by(&python, SCRIPT, &[id, here.as_str()], &environment);
    let at = here.absolute();
    let record_set = format!("resource record set [name='{at}', type='TXT']");
    let short = |text: String| text[..80.min(text.len())].to_owned();
    let bad = |text: &str| format!("400 InvalidChangeBatch {}", short(format!("[{text}")));
    assert_eq!(
        lines,
        [
            format!("/hostedzone/{id} {ZONE}. False"),
            "PENDING".to_owned(),
            format!(r#"[('{at}', 'TXT', 60, ['"one"', '"t" "wo"'])]"#),
            "NS 3".to_owned(),
            "['PENDING', 'INSYNC']".to_owned(),
            bad(&format!("Tried to create {record_set} but it already exists")),
            bad(&format!("Tried to delete {record_set} but the values provided do not match")),
            bad(&format!("Tried to delete {record_set} but the values provided do not match")),
            bad(&format!("Tried to delete resource record set [name='y.{at}', type='TXT'] but it was not found]")),
            bad("Invalid Resource Record: FATAL problem: InvalidCharacterString (Value should be enclosed"),
            bad("Invalid Resource Record: FATAL problem: CharacterStringTooLong (Value is too long) encoun"),
            bad(&format!("RRSet with DNS name elsewhere.org. is not permitted in zone {ZONE}.]")),
            "400 InvalidInput a type needs a name, and an identifier needs a type".to_owned(),
            "404 NoSuchHostedZone No hosted zone found with ID: Z0".to_owned(),
            format!("403 AccessDenied {}", short(format!(
                "User: arn:aws:iam::123456789012:user/{} is not authorized to perform: route53:ListHostedZones", key.id
            ))),
            "403 SignatureDoesNotMatch The request signature we calculated does not match the signature you provided. C"
                .to_owned(),
        ]
    );
    assert_eq!(stand.sorted(&here), ["two"]);
}

#[tokio::test]
async fn two_hundred_names_cost_two_requests_each_way() {
    let stand = stand();
    assert_eq!(stand.each_way(200).await, (2, 2), "{:?}", stand.api.requests());
}

/// Pages are read where names are wanted, and no others.
#[tokio::test]
async fn in_a_large_zone_only_the_pages_that_matter_are_read() {
    let stand = stand();
    for number in 0..2000 {
        stand.api.add(&stand.id, &format!("h{number:0>4}.{ZONE}"), "A", 300, "192.0.2.1");
    }
    // `-` sorts before the dot: names below `h1000-x` come before those below `h1000`.
    let names = ["h0000", "h0001", "h1000-x", "h1000", "h1999"].map(name);
    let foreign = format!("_acme-challenge.h1000.{ZONE}");
    stand.api.add(&stand.id, &foreign, "TXT", 300, "theirs");
    stand.api.edit(|held| {
        let zone = held.zone_mut(&stand.id).unwrap();
        zone.records.last_mut().unwrap().form = "\"theirs\"".to_owned();
    });
    let provider = stand.provider();
    provider.apply(&stand.zone, &adds(&names, "v")).await.unwrap();
    assert_eq!(stand.api.requests().len(), 3 + 1, "{:?}", stand.api.requests());
    assert_eq!(stand.sorted(&names[3]), ["theirs", "v"]);
    provider.apply(&stand.zone, &removals(&names, "v")).await.unwrap();
    assert_eq!(stand.sorted(&names[3]), ["theirs"]);
    assert!(names.iter().filter(|name| name.as_str() != foreign).all(|name| stand.sorted(name).is_empty()));
}

#[tokio::test]
async fn what_another_writer_adds_meanwhile_is_kept_in_either_form_of_the_refusal() {
    let stand = stand();
    let provider = stand.provider();
    for second_form in [false, true] {
        stand.api.service().second_form(second_form);
        let (fresh, standing) =
            (name(&format!("fresh-{second_form}")), name(&format!("standing-{second_form}")));
        stand.api.service().meddle(&stand.id, fresh.as_str(), "theirs");
        provider.apply(&stand.zone, &[add(&fresh, "ours")]).await.unwrap();
        assert_eq!(stand.sorted(&fresh), ["ours", "theirs"]);

        provider.apply(&stand.zone, &[add(&standing, "old")]).await.unwrap();
        stand.api.service().meddle(&stand.id, standing.as_str(), "theirs");
        provider.apply(&stand.zone, &[add(&standing, "ours"), remove(&standing, "old")]).await.unwrap();
        assert_eq!(stand.sorted(&standing), ["ours", "theirs"]);

        // One who never stops is waited for by the layer above.
        let contested = name(&format!("contested-{second_form}"));
        for number in 0..4 {
            stand.api.service().meddle(&stand.id, contested.as_str(), &format!("theirs-{number}"));
        }
        let error = provider.apply(&stand.zone, &[add(&contested, "ours")]).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Conflict, true), "{error}");
        assert_eq!(stand.sorted(&contested).len(), 4);
    }
}

#[tokio::test]
async fn beside_sets_with_identifiers_nothing_is_written_and_the_way_out_is_told() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("shared"));
    stand.api.service().add_identified(&stand.id, here.as_str(), "one", "\"theirs\"");
    stand.api.service().add_identified(&stand.id, here.as_str(), "two", "\"others\"");
    let error = provider.apply(&stand.zone, &[add(&here, "ours")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Conflict, false), "{error}");
    assert!(error.to_string().contains(here.as_str()) && error.hint().unwrap().contains("CNAME"), "{error}");
    assert_eq!(stand.api.requests().len(), 1, "it was not even tried");
    let seen = ["theirs", "others"].map(|value| TxtValue::parse(value).unwrap());
    assert_eq!(provider.values(&stand.zone, &here).await.unwrap(), Listing::Listed(seen.to_vec()));
    provider.apply(&stand.zone, &[remove(&here, "ours")]).await.unwrap();
}

#[tokio::test]
async fn of_zones_with_one_name_the_public_one_is_written_to_and_two_are_told_apart_by_their_ids() {
    let stand = stand();
    let private = stand.api.zone(ZONE);
    stand.api.service().make_private(&private);
    let _later = stand.api.zone(&format!("sub.{ZONE}"));
    let id = stand.id.as_str();
    let key = stand.api.service().key(&[
        Statement::of(&["ListHostedZonesByName", "ListHostedZones"]),
        Statement::of(&ACTIONS).in_zone(id),
    ]);
    let provider = stand.with(&key);
    stand.write_by_name(provider.as_ref()).await;
    assert_eq!(stand.api.count("GET /hostedzonesbyname"), 1);
    let Listing::Listed(zones) = provider.zones().await.unwrap() else { panic!("they are listed") };
    assert_eq!(zones.len(), 2, "the private one cannot prove anything: {zones:?}");

    let error = provider.apply(&named("other.test"), &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::NotFound, "{error}");

    let second = stand.api.zone(ZONE);
    let error = stand.with(&key).apply(&named(ZONE), &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Conflict, false), "{error}");
    assert!(error.to_string().contains(id) && error.to_string().contains(&second), "{error}");
    assert!(error.hint().unwrap().contains("id"), "{error}");
    let configured = settings(&stand.api, &key).with("hosted_zone_id", format!("/hostedzone/{id}"));
    let told = (PLUGIN.build)(configured).unwrap();
    told.apply(&named(ZONE), &[add(&name("told"), "v")]).await.unwrap();
    assert_eq!(stand.sorted(&name("told")), ["v"]);

    let error = stand.provider().apply(&named(ZONE), &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), ProviderErrorKind::Permission, "{error}");
    assert!(error.hint().unwrap().contains("id"), "the key may list no zones: {error}");
}

#[tokio::test]
async fn a_change_is_followed_until_all_servers_have_it() {
    let stand = stand();
    let provider = stand.provider();
    let applied = provider.apply(&stand.zone, &[add(&name("followed"), "v")]).await.unwrap();
    let receipt = applied.receipt.expect("the service gives one");
    assert_eq!(provider.published(&stand.zone, &receipt).await.unwrap(), Published::NotYet);
    assert_eq!(provider.published(&stand.zone, &receipt).await.unwrap(), Published::Yes);
}

#[tokio::test]
async fn a_refusal_for_rate_passes_whatever_it_is_called() {
    let stand = stand();
    let provider = stand.provider();
    stand.api.service().throttle(1);
    let throttled = stand.refusal(provider.as_ref()).await;
    stand.api.service().keep_unfinished(1);
    let unfinished = stand.refusal(provider.as_ref()).await;
    for (error, code) in [(throttled, "Throttling"), (unfinished, "PriorRequestNotComplete")] {
        assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::RateLimited, true), "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)), "{error}");
        assert!(error.to_string().contains(code), "{error}");
    }
    provider.apply(&stand.zone, &[add(&name("refused"), "v")]).await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_may_be_repeated() {
    let stand = stand();
    let (provider, here) = (stand.provider(), name("lost"));
    for (changes, after) in [(add(&here, "v"), &["v"][..]), (remove(&here, "v"), &[])] {
        // The list is lost once, the change the next time.
        stand.api.fault(Fault::ReplyLost);
        let error = provider.apply(&stand.zone, std::slice::from_ref(&changes)).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Unavailable, true), "{error}");
        stand.api.service().meddle(&stand.id, "unrelated.example.test", &format!("{}", after.len()));
        let racing = provider.apply(&stand.zone, std::slice::from_ref(&changes));
        racing.await.unwrap();
        assert_eq!(stand.sorted(&here), after);
        provider.apply(&stand.zone, std::slice::from_ref(&changes)).await.unwrap();
        assert_eq!(stand.sorted(&here), after);
    }
}

#[tokio::test]
async fn a_change_too_large_for_one_request_is_halved_by_the_caller_and_adds_nothing_before() {
    let stand = stand();
    let provider = stand.provider();
    let long = "x".repeat(1000);
    let adds: Vec<_> = (0..40).map(|number| add(&name(&format!("long{number}")), &long)).collect();
    let error = provider.apply(&stand.zone, &adds).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ProviderErrorKind::Invalid, false), "{error}");
    assert_eq!(stand.api.requests().len(), 1, "nothing was sent");
    provider.apply(&stand.zone, &adds[..20]).await.unwrap();
    provider.apply(&stand.zone, &adds[20..]).await.unwrap();
    assert_eq!(stand.sorted(&name("long39")), [long]);
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_shows_no_secret() {
    use ProviderErrorKind as Kind;
    let stand = stand();
    let service = stand.api.service();
    let strange = Statement::of(&ACTIONS).in_zone("Z0");
    let unknown = Key { id: "AKIA0000000000000000".to_owned(), ..stand.key.clone() };
    let wrong = Key { secret: "wrong/secret+wrong+secret".to_owned(), ..stand.key.clone() };
    let other_token = Key { token: Some("another-token-than-the-keys".to_owned()), ..stand.key.clone() };
    for (key, kind, code) in [
        (unknown, Kind::Auth, "InvalidClientTokenId"),
        (wrong, Kind::Auth, "SignatureDoesNotMatch"),
        (other_token, Kind::Auth, "InvalidClientTokenId"),
        (service.expired_key(&[Statement::all()]), Kind::Auth, "ExpiredToken"),
        (service.key(&[strange]), Kind::Permission, "AccessDenied"),
    ] {
        let error = stand.refusal(stand.with(&key).as_ref()).await;
        for secret in [Some(&key.secret), key.token.as_ref()].into_iter().flatten() {
            assert_refused(&error, kind, code, secret);
        }
    }
    let everything = stand.with(&service.key(&[Statement::all()]));
    let wrong_id = Zone { id: Some("Z0".to_owned()), ..stand.zone.clone() };
    let error = everything.apply(&wrong_id, &[add(&name("x"), "v")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    let outside = Fqdn::parse("_acme-challenge.elsewhere.test").unwrap();
    let error = everything.apply(&stand.zone, &[add(&outside, "v")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(error.hint().unwrap().contains("zone"), "{error}");

    let token = stand.key.token.as_deref().unwrap();
    stand.troubles_are_clear_errors(stand.provider().as_ref(), token).await;
}

#[tokio::test]
async fn a_policy_is_found_exact_too_wide_or_too_narrow_and_nothing_is_changed_by_the_search() {
    let stand = stand();
    let id = stand.id.as_str();
    let other = stand.api.zone("other.test");
    let needed = [name("a"), name("b")];
    let names = needed.each_ref().map(Fqdn::as_str);
    let foreign = stand.api.edit(|held| held.clone());
    let needs = ["a", "b"].map(|host| stand.need(host));
    let audit = async |policy: &[Statement]| stand.audit(&stand.api.service().key(policy), &needs).await;
    let smallest = Statement::smallest(id, &names);
    let probed = exactly_enough(audit(&smallest).await);
    assert!(probed.len() >= 4, "{probed:?}");

    let change = |edit: fn(&mut Statement)| {
        let mut policy = smallest.clone();
        edit(&mut policy[2]);
        policy
    };
    for (policy, words) in [
        (change(|change| change.names = None), "every name of `example.test`"),
        (change(|change| change.kinds = None), "other types than TXT"),
        (change(|change| change.zones = None), "write in every zone"),
        ([smallest.clone(), vec![Statement::of(&["ListHostedZones"])]].concat(), "list all zones"),
        ([smallest.clone(), vec![Statement::of(&["ListResourceRecordSets"])]].concat(), "read every zone"),
        (
            [
                smallest.clone(),
                vec![
                    Statement::of(&["ListHostedZones"]),
                    Statement::of(&["ChangeResourceRecordSets"]).in_zone(&other),
                ],
            ]
            .concat(),
            "the zone `other.test`",
        ),
        (vec![Statement::all()], "write in every zone"),
    ] {
        let findings = too_much(audit(&policy).await);
        assert!(findings.iter().any(|finding| finding.contains(words)), "{words}: {findings:?}");
    }
    for (policy, words) in [
        (Statement::smallest(id, &names[..1]), names[1]),
        (change(|change| change.kinds = Some(vec!["A"])), names[0]),
        (change(|change| change.changes = Some(vec!["DELETE"])), "CREATE"),
        (vec![smallest[2].clone()], "may not read"),
    ] {
        let findings = too_little(audit(&policy).await);
        assert!(findings.iter().any(|finding| finding.contains(words)), "{words}: {findings:?}");
    }
    stand.api.edit(|held| {
        for (before, after) in foreign.zones.iter().zip(&held.zones) {
            assert_eq!(before.records, after.records, "nothing has changed");
        }
    });
}
