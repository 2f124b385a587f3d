use serde::{Deserialize, Serialize};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Collection, Consistency, Db, Entity, Error, Transaction};

use super::record::AuditRecord;
use super::{AuditEvent, CHAINS};
use crate::key_ring::hex;
use crate::value::user_agent_text;
use crate::{Actor, Context, KeyRing};

/// The end of a chain, which the next entry is linked to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Chain {
    id: String,
    /// The number of the last entry, from 1; 0 while there is none.
    pub(super) sequence: i64,
    pub(super) last_at: Option<Timestamp>,
    pub(super) last_mac: String,
    key_id: String,
    /// The code over the other fields. Without the key, a chain cannot be cut off and its end rewritten.
    mac: String,
}

impl Entity for Chain {
    const COLLECTION: &'static Collection = &Collection::new("audit_chains");

    fn id(&self) -> &str {
        &self.id
    }
}

impl Chain {
    /// The key under which the end of a chain is stored.
    pub(super) fn id_of(chain: u8) -> String {
        format!("{chain:02}")
    }

    fn empty(chain: u8) -> Self {
        let (last_mac, key_id, mac) = Default::default();
        Self { id: Self::id_of(chain), sequence: 0, last_at: None, last_mac, key_id, mac }
    }

    pub(super) fn mac_with(&self, keys: &KeyRing) -> Option<String> {
        let unsigned = Self { mac: String::new(), ..self.clone() };
        let message = serde_json::to_vec(&unsigned).ok()?;
        keys.code(&self.key_id, &message).map(|code| hex(code.as_ref()))
    }

    pub(super) fn is_authentic(&self, keys: &KeyRing) -> bool {
        self.mac_with(keys).is_some_and(|mac| mac == self.mac)
    }
}

/// The id of a key that the log was written with and that `keys` does not hold.
pub(crate) async fn unknown_key(db: &Db, keys: &KeyRing) -> Result<Option<String>, Error> {
    let ends =
        db.collection::<Chain>().get_many((0..CHAINS).map(Chain::id_of), Consistency::Linearizable).await?;
    let mut key_ids = ends.into_iter().flatten().map(|end| end.into_value().key_id);
    Ok(key_ids.find(|id| !keys.holds(id)))
}

/// Appends events as entries to the end of a chain, which is picked at random for each call.
pub(crate) async fn append(
    tx: &Transaction,
    keys: &KeyRing,
    ambient: &Ambient,
    context: &Context,
    events: &[AuditEvent],
) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    let [drawn] = ambient.bytes();
    let chain = drawn % CHAINS;
    let stored = tx.get::<Chain>(&Chain::id_of(chain)).await?;
    let mut end = stored.as_deref().cloned().unwrap_or_else(|| Chain::empty(chain));
    end.key_id = keys.current_id().to_owned();
    for event in events {
        let mut record = record(&end, chain, context, event, ambient);
        record.mac = record.mac_with(keys).ok_or_else(unsigned)?;
        end.sequence = record.sequence;
        end.last_at = Some(record.at);
        end.last_mac.clone_from(&record.mac);
        tx.insert(&record)?;
    }
    end.mac = end.mac_with(keys).ok_or_else(unsigned)?;
    match &stored {
        Some(stored) => tx.replace(stored, &end)?,
        None => tx.insert(&end)?,
    };
    Ok(())
}

fn unsigned() -> Error {
    Error::Internal("an entry of the audit log could not be signed".to_owned())
}

fn record(end: &Chain, chain: u8, context: &Context, event: &AuditEvent, ambient: &Ambient) -> AuditRecord {
    let (actor, actor_roles) = match &context.actor {
        Actor::Anonymous => ("anonymous".to_owned(), Vec::new()),
        Actor::System => ("system".to_owned(), Vec::new()),
        Actor::User(user) => (user.user_id.to_string(), user.roles.iter().map(ToString::to_string).collect()),
    };
    let AuditEvent { action, outcome, subject, resource, details } = event.clone();
    let sequence = end.sequence + 1;
    AuditRecord {
        position: AuditRecord::position_of(chain, sequence),
        entry_id: ambient.uuid_v7().to_string(),
        chain,
        sequence,
        at: context.now,
        actor,
        actor_roles,
        action: action.as_str().to_owned(),
        outcome,
        subject,
        resource,
        address: context.address.map(|address| address.to_string()),
        user_agent: context.user_agent.as_deref().map(user_agent_text),
        request_id: context.request_id.clone(),
        details,
        previous_at: end.last_at,
        previous_mac: end.last_mac.clone(),
        key_id: end.key_id.clone(),
        mac: String::new(),
    }
}
