//! Which zones, and what of them, an account gets to see.

use super::accounts::Access;
use super::answers::{forbidden, number_of, only, page, refusal, shown_zone};
use crate::fake_dns_api::{Answer, Asked, Held, HeldZone};
use serde_json::{Value, json};

/// The zone and the sets to which the access is kept; without a condition `None`.
#[expect(clippy::type_complexity, reason = "one use")]
pub(super) fn entered<'a>(
    held: &'a mut Held,
    id: &str,
    access: &[Access],
) -> Result<(&'a mut HeldZone, Option<Vec<(String, String)>>), Answer> {
    let absent = format!("The 'parameters.managedZone' resource named '{id}' does not exist.");
    let zone = held.zones.iter_mut().find(|zone| zone.id == id || number_of(zone) == id);
    let Some(zone) = zone else {
        // Who may see no zone is not told which there are.
        let all = access.contains(&Access::Project) || access.contains(&Access::List);
        return Err(if all { refusal(404, "notFound", &absent) } else { forbidden("dns.changes.create") });
    };
    if access.contains(&Access::Project) || access.contains(&Access::Zone(zone.id.clone())) {
        return Ok((zone, None));
    }
    let sets = access.iter().find_map(|access| match access {
        Access::Sets(id, sets) if *id == zone.id => Some(sets.clone()),
        _ => None,
    });
    match sets {
        Some(sets) => Ok((zone, Some(sets))),
        None => Err(forbidden("dns.changes.create")),
    }
}

pub(super) fn list_zones(asked: &Asked, held: &Held, access: &[Access]) -> Result<Answer, Answer> {
    only(asked, &["dnsName", "maxResults", "pageToken"])?;
    if !access.contains(&Access::Project) && !access.contains(&Access::List) {
        return Err(forbidden("dns.managedZones.list"));
    }
    let fits =
        |zone: &&HeldZone| asked.parameter("dnsName").is_none_or(|name| format!("{}.", zone.name) == name);
    let found: Vec<Value> = held.zones.iter().filter(fits).map(shown_zone).collect();
    page(asked, "managedZones", &found)
}

pub(super) fn test_permissions(
    asked: &Asked,
    held: &mut Held,
    zone: &str,
    access: &[Access],
) -> Result<Answer, Answer> {
    only(asked, &[])?;
    if !access.contains(&Access::Project) && !access.contains(&Access::List) {
        return Err(forbidden("dns.managedZones.list"));
    }
    let body = asked.object().filter(|body| body.len() == 1);
    let wanted = body.as_ref().and_then(|body| body.get("permissions")).and_then(Value::as_array);
    let wanted = wanted.ok_or_else(|| refusal(400, "parseError", "Parse Error"))?;
    let entered = entered(held, zone, access).ok();
    let held: Vec<&Value> = wanted
        .iter()
        .filter(|permission| {
            let permission = permission.as_str().unwrap_or_default();
            let ours =
                permission.starts_with("dns.changes.") || permission.starts_with("dns.resourceRecordSets.");
            access.contains(&Access::Project) || (ours && entered.is_some())
        })
        .collect();
    Ok(Answer::json(200, &json!({ "permissions": held })))
}
