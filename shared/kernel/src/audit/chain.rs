use serde::{Deserialize, Serialize};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::{Collection, Consistency, Db, Entity, Error, Transaction};

use super::record::{AuditRecord, OtherActor, code_over};
use super::seen::{ChainEnd, SeenEnds};
use super::{AuditEvent, CHAINS};
use crate::value::user_agent_text;
use crate::{Actor, Context, KeyRing, Rotating};

/// The end of a chain, which the next entry is linked to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Chain {
    /// The document's id. It is empty in an end that was read.
    #[serde(skip)]
    id: String,
    /// The number of the last entry, from 1.
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
        format!("{chain:02x}")
    }

    fn mac_with(&self, chain: u8, keys: &KeyRing) -> Option<String> {
        let unsigned = Self { mac: String::new(), ..self.clone() };
        code_over("end", &Self::id_of(chain), &unsigned, &self.key_id, keys)
    }

    pub(super) fn is_authentic(&self, chain: u8, keys: &KeyRing) -> bool {
        self.mac_with(chain, keys).is_some_and(|mac| mac == self.mac)
    }

    /// What others need to know of it.
    pub(super) fn seen(&self, chain: u8) -> ChainEnd {
        ChainEnd { chain, sequence: self.sequence, mac: self.last_mac.clone() }
    }
}

/// The ends of all chains, by their numbers: `None` for a chain without entries. Each is read strongly, but not all at one
/// moment.
pub(super) async fn all_ends(db: &Db) -> Result<Vec<Option<Chain>>, Error> {
    let ids = (0..CHAINS).filter_map(|chain| u8::try_from(chain).ok()).map(Chain::id_of);
    let ends = db.collection::<Chain>().get_many(ids, Consistency::Linearizable).await?;
    Ok(ends.into_iter().map(|end| end.map(|end| (*end).clone())).collect())
}

/// The id of a key that the log was written with and that `keys` does not hold.
pub(crate) async fn unknown_key(db: &Db, keys: &KeyRing) -> Result<Option<String>, Error> {
    let mut key_ids = all_ends(db).await?.into_iter().flatten().map(|end| end.key_id);
    Ok(key_ids.find(|id| !keys.holds(id)))
}

/// Appends entries to chains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appender<'a> {
    pub(crate) keys: &'a Rotating<KeyRing>,
    pub(crate) ambient: &'a Ambient,
    pub(crate) seen: &'a SeenEnds,
}

/// What a transaction has appended, if it commits.
#[derive(Debug)]
#[must_use]
pub(crate) struct Appended(Option<ChainEnd>);

impl Appender<'_> {
    /// Appends events as entries to the end of a chain, which is picked at random for each call. Call
    /// [`committed`](Self::committed) after the commit.
    pub(crate) async fn append(
        &self,
        tx: &Transaction,
        context: &Context,
        events: &[AuditEvent],
    ) -> Result<Appended, Error> {
        if events.is_empty() {
            return Ok(Appended(None));
        }
        let keys = &*self.keys.get()?;
        let [chain] = self.ambient.bytes();
        let stored = tx.get::<Chain>(&Chain::id_of(chain)).await?;
        // Taken before the end of this chain is noted, which would only displace that of another.
        let mut seen = self.seen.of_another_than(chain);
        let mut end = match &stored {
            Some(stored) => {
                self.seen.note(stored.seen(chain));
                (**stored).clone()
            }
            None => Chain {
                id: String::new(),
                sequence: 0,
                last_at: None,
                last_mac: String::new(),
                key_id: String::new(),
                mac: String::new(),
            },
        };
        end.id = Chain::id_of(chain);
        keys.current_id().clone_into(&mut end.key_id);
        for event in events {
            let mut record = AuditRecord {
                position: AuditRecord::position_of(chain, end.sequence + 1),
                entry_id: self.ambient.uuid_v7().to_string(),
                previous_at: end.last_at,
                previous_mac: std::mem::take(&mut end.last_mac),
                seen: seen.take(), // the first entry of a transaction vouches for those that are linked to it
                key_id: end.key_id.clone(),
                ..record(context, event)
            };
            record.mac = record.mac_with(&record.position, keys).ok_or_else(unsigned)?;
            end.sequence += 1;
            end.last_at = Some(record.at);
            end.last_mac.clone_from(&record.mac);
            tx.insert(&record)?;
        }
        end.mac = end.mac_with(chain, keys).ok_or_else(unsigned)?;
        match &stored {
            Some(stored) => tx.replace(stored, &end)?,
            None => tx.insert(&end)?,
        };
        Ok(Appended(Some(end.seen(chain))))
    }

    /// Notes that what was appended is committed: the next entry names it. An end that is not committed must not be named.
    pub(crate) fn committed(&self, Appended(end): Appended) {
        if let Some(end) = end {
            self.seen.note(end);
        }
    }
}

pub(super) fn unsigned() -> Error {
    Error::Internal("an entry of the audit log could not be signed".to_owned())
}

/// The entry of an event, at no place yet.
fn record(context: &Context, event: &AuditEvent) -> AuditRecord {
    let (user, other_actor) = match &context.actor {
        Actor::Anonymous => (None, Some(OtherActor::Anonymous)),
        Actor::System => (None, Some(OtherActor::System)),
        Actor::User(user) => (Some(user), None),
    };
    let AuditEvent { action, outcome, subject, resource, details } = event.clone();
    AuditRecord {
        position: String::new(),
        entry_id: String::new(),
        at: context.now,
        user_id: user.map(|user| user.user_id.to_string()),
        other_actor,
        actor_roles: user.map_or_else(Vec::new, |user| user.roles.iter().map(ToString::to_string).collect()),
        action: action.as_str().to_owned(),
        outcome,
        subject,
        resource,
        address: context.address.map(|address| address.to_string()),
        user_agent: context.user_agent.as_deref().map(user_agent_text),
        request_id: context.request_id.clone(),
        details,
        previous_at: None,
        previous_mac: String::new(),
        seen: None,
        key_id: String::new(),
        mac: String::new(),
    }
}
