use std::ops::RangeInclusive;

use serde::Serialize;
use switchyard_ambient::Timestamp;
use switchyard_database::{Db, Entity as _, Error, Scan, Stored};
use utoipa::ToSchema;

use super::record::RETENTION;
use super::{AuditRecord, CHAINS, Chain};
use crate::secret::KeyRing;

/// What came of recomputing the chains of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(examples(json!({"valid": true, "entries": 1042, "first_break": null})))]
pub struct AuditVerification {
    /// Whether every entry is as it was written and none is missing.
    pub valid: bool,
    /// How many entries were found and recomputed, up to the break if there is one.
    pub entries: u64,
    /// The first break: in the chain of the lowest number, the lowest entry.
    #[schema(required)]
    pub first_break: Option<AuditBreak>,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditBreak {
    /// The number of the chain.
    pub chain: u8,
    /// The number of the entry in it, from 1.
    pub sequence: i64,
    /// The entry's id, where there still is one.
    #[schema(required, format = "uuid", example = "0190a1b2-0000-7000-8000-000000000001")]
    pub entry_id: Option<String>,
    /// What is wrong.
    pub reason: BreakReason,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakReason {
    /// Its content is not what was written, or was written without the key.
    Altered,
    /// It is not there, and not yet old enough to have expired.
    Missing,
    /// It does not follow the entry before it.
    Detached,
    /// It stands behind the end of its chain, or its chain has no end.
    BeyondEnd,
    /// The end of the chain is not what was written: entries may have been cut off.
    EndAltered,
}

/// Entries read at once.
const STEP: i64 = 500;

/// Walks one chain.
struct Walk<'a> {
    db: &'a Db,
    keys: &'a KeyRing,
    chain: u8,
    now: Timestamp,
    entries: u64,
}

/// Recomputes every chain, then looks for entries that belong to none.
pub(super) async fn verify(db: &Db, keys: &KeyRing, now: Timestamp) -> Result<AuditVerification, Error> {
    let mut entries = 0;
    for chain in 0..CHAINS {
        let mut walk = Walk { db, keys, chain, now, entries: 0 };
        let found = walk.run().await?;
        entries += walk.entries;
        if found.is_some() {
            return Ok(AuditVerification { valid: false, entries, first_break: found });
        }
    }
    let stray = find_stray(db).await?;
    Ok(AuditVerification { valid: stray.is_none(), entries, first_break: stray })
}

impl Walk<'_> {
    async fn run(&mut self) -> Result<Option<AuditBreak>, Error> {
        let Some(end) = self.db.collection::<Chain>().get(&Chain::id_of(self.chain)).await? else {
            return Ok(None); // never written to, or else its entries are strays
        };
        if !end.is_authentic(self.keys) {
            return Ok(Some(self.broken(end.sequence, None, BreakReason::EndAltered)));
        }
        let mut previous: Option<AuditRecord> = None;
        let mut gap = None;
        let mut sequence = 1;
        while sequence <= end.sequence {
            let step = sequence..=(sequence + STEP - 1).min(end.sequence);
            for (sequence, record) in step.clone().zip(self.read(step).await?) {
                let Some(record) = record else {
                    // The first entry behind the gap tells whether what is missing could have expired.
                    gap = gap.or(Some(sequence));
                    previous = None;
                    continue;
                };
                self.entries += 1;
                if let Some(reason) = self.fault(sequence, &record, previous.as_ref()) {
                    return Ok(Some(match (reason, gap) {
                        (BreakReason::Missing, Some(gap)) => self.broken(gap, None, reason),
                        _ => self.broken(sequence, Some(record.entry_id.clone()), reason),
                    }));
                }
                gap = None;
                previous = Some(record.into_value());
            }
            sequence += STEP;
        }
        let found = match (&previous, end.last_at) {
            (Some(last), _) if last.mac == end.last_mac => return Ok(None),
            (Some(_), _) => self.broken(end.sequence, None, BreakReason::EndAltered),
            (None, Some(at)) if !self.has_expired(at) => {
                self.broken(gap.unwrap_or(end.sequence), None, BreakReason::Missing)
            }
            (None, _) => return Ok(None),
        };
        Ok(Some(found))
    }

    async fn read(&self, step: RangeInclusive<i64>) -> Result<Vec<Option<Stored<AuditRecord>>>, Error> {
        let positions: Vec<_> = step.map(|sequence| AuditRecord::position_of(self.chain, sequence)).collect();
        self.db.collection().get_many(positions).await
    }

    fn fault(
        &self,
        sequence: i64,
        record: &AuditRecord,
        previous: Option<&AuditRecord>,
    ) -> Option<BreakReason> {
        let stands_here = record.chain == self.chain && record.sequence == sequence;
        if !stands_here || record.mac_with(self.keys).is_none_or(|mac| mac != record.mac) {
            return Some(BreakReason::Altered);
        }
        match (previous, record.previous_at) {
            (Some(previous), _) if previous.mac != record.previous_mac => Some(BreakReason::Detached),
            (None, Some(at)) if !self.has_expired(at) => Some(BreakReason::Missing),
            (None, None) if sequence > 1 => Some(BreakReason::Detached),
            _ => None,
        }
    }

    /// Whether an entry of that time need not be there any more.
    fn has_expired(&self, at: Timestamp) -> bool {
        at + RETENTION <= self.now
    }

    fn broken(&self, sequence: i64, entry_id: Option<String>, reason: BreakReason) -> AuditBreak {
        AuditBreak { chain: self.chain, sequence, entry_id, reason }
    }
}

/// An entry that no end of a chain reaches, because the end was set back or removed.
async fn find_stray(db: &Db) -> Result<Option<AuditBreak>, Error> {
    let mut ends = vec![0; usize::from(CHAINS)];
    let mut cursor = None;
    loop {
        let page =
            db.collection::<AuditRecord>().scan(&Scan::new(AuditRecord::COLLECTION).after(cursor)).await?;
        for record in &page.items {
            // Entries may be added while this runs, so an end that seems passed is read again.
            let known = ends.get(usize::from(record.chain)).copied().unwrap_or(0);
            if record.sequence <= known {
                continue;
            }
            let end = db.collection::<Chain>().get(&Chain::id_of(record.chain)).await?;
            let end = end.map_or(0, |end| end.sequence);
            if record.sequence > end {
                return Ok(Some(AuditBreak {
                    chain: record.chain,
                    sequence: record.sequence,
                    entry_id: Some(record.entry_id.clone()),
                    reason: BreakReason::BeyondEnd,
                }));
            }
            if let Some(known) = ends.get_mut(usize::from(record.chain)) {
                *known = end;
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(None);
        }
    }
}
