//! Roles, and the places at which they are given.

use super::answers::refusal;
use super::{Azure, lowered};
use crate::fake_dns_api::patterns::fits;
use crate::fake_dns_api::{Answer, lock};
use serde_json::json;

/// Roles, as lists of actions and of those taken out.
pub type Role = (&'static [&'static str], &'static [&'static str]);

/// May write and delete TXT records, and not ask what it may.
pub const CHALLENGES: Role = (
    &[
        "Microsoft.Network/dnsZones/TXT/read",
        "Microsoft.Network/dnsZones/TXT/write",
        "Microsoft.Network/dnsZones/TXT/delete",
    ],
    &[],
);

/// The built-in role `DNS Zone Contributor`.
pub const DNS_ZONE_CONTRIBUTOR: Role =
    (&["Microsoft.Network/dnsZones/*", "Microsoft.Authorization/*/read"], &[]);

/// The built-in role `Contributor`.
pub const CONTRIBUTOR: Role =
    (&["*"], &["Microsoft.Authorization/*/write", "Microsoft.Authorization/*/delete"]);

/// The built-in role `Reader`.
pub const READER: Role = (&["*/read"], &[]);

/// A role at a place, in small letters and without a slash in front.
pub(super) type Assignment = (String, Role);

impl Azure {
    /// Refuses what no role allows, before anything is looked up.
    pub(super) fn allow(&self, principal: usize, action: &str, path: &str) -> Result<(), Answer> {
        let (path, lower) = (lowered(path), action.to_lowercase());
        let principals = lock(&self.principals);
        let (who, assignments) = &principals[principal];
        let allowed = assignments.iter().any(|(place, (actions, not))| {
            let any =
                |patterns: &[&str]| patterns.iter().any(|pattern| fits(&pattern.to_lowercase(), &lower));
            is_at_or_below(&path, place) && any(actions) && !any(not)
        });
        if allowed {
            return Ok(());
        }
        let message = format!(
            "The client '{}' with object id 'o' does not have authorization to perform action '{action}' \
             over scope '/{path}' or the scope is invalid.",
            who.client_id
        );
        Err(refusal(403, "AuthorizationFailed", &message))
    }

    pub(super) fn permissions(&self, principal: usize, scope: &str) -> Answer {
        let principals = lock(&self.principals);
        let held = principals[principal].1.iter().filter(|(place, _)| is_at_or_below(scope, place));
        let shown = |(_, (actions, not)): &Assignment| json!({ "actions": actions, "notActions": not, "dataActions": [] });
        Answer::json(200, &json!({ "value": held.map(shown).collect::<Vec<_>>() }))
    }
}

fn is_at_or_below(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
