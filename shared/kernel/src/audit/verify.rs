use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Consistency, Db, Entity as _, Error, Scan};
use utoipa::ToSchema;

use super::CHAINS;
use super::chain::{Chain, all_ends};
use super::record::{AuditRecord, RETENTION};
use super::seen::ChainEnd;
use crate::{KeyRing, PageRequest};

/// The result of verifying a part of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(examples(json!({"valid": true, "entries": 1042, "first_break": null, "next_cursor": null})))]
pub struct AuditVerification {
    /// Whether every entry of this part is as it was written and none is missing. The log is intact if every part is valid.
    pub valid: bool,
    /// The number of entries that were verified, up to the break if there is one.
    pub entries: u64,
    /// The first break that was found: the verification goes from chain to chain, and along each from its first entry.
    #[schema(required)]
    pub first_break: Option<AuditBreak>,
    /// What to send as `cursor` to continue; `null` after the last part and after a break.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// The place where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditBreak {
    /// The number of the chain.
    pub chain: u8,
    /// The number of the entry within the chain, from 1; 0 if the entry is at no place of a chain.
    pub sequence: i64,
    /// The entry's id, if the entry still exists.
    #[schema(required, format = "uuid", example = "0190a1b2-0000-7000-8000-000000000001")]
    pub entry_id: Option<String>,
    /// What is wrong.
    pub reason: BreakReason,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakReason {
    /// Its content is not what was written, or it was written without the key.
    Altered,
    /// It is missing and not old enough to have expired.
    Missing,
    /// It does not follow the entry before it.
    Detached,
    /// It lies beyond the end of its chain, or its chain has no end.
    BeyondEnd,
    /// The end of the chain is not what was written: entries may have been cut off.
    EndAltered,
    /// An entry of another chain, or an anchor, names this entry, and the chain ends before it or has another one here: the
    /// chain was set back.
    SetBack,
}

impl BreakReason {
    /// What is wrong, as the end of a sentence about an entry.
    pub const fn described(self) -> &'static str {
        match self {
            Self::Altered => "is not what was written",
            Self::Missing => "is missing",
            Self::Detached => "does not follow the entry before it",
            Self::BeyondEnd => "lies beyond the end of its chain",
            Self::EndAltered => "is not the end that was written",
            Self::SetBack => "was there before and is no longer: the chain was set back",
        }
    }
}

/// Entries read at once.
const STEP: u32 = 500;

/// The position of a verification. It is all that is kept from one step to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Place {
    /// At an entry of a chain. `gap` is the number of the first missing entry before it, if entries are missing.
    Entry { chain: u8, sequence: i64, gap: Option<i64> },
    /// After a page of the scan over all entries, each of which must belong to a chain.
    Stray { after: Option<String> },
}

impl Place {
    const START: Self = Self::start_of(0);

    const fn start_of(chain: u8) -> Self {
        Self::Entry { chain, sequence: 1, gap: None }
    }

    fn behind(chain: u8) -> Self {
        chain.checked_add(1).map_or(Self::Stray { after: None }, Self::start_of)
    }

    fn to_cursor(&self) -> Result<String, Error> {
        let text = serde_json::to_vec(self).map_err(|fault| Error::Internal(fault.to_string()))?;
        Ok(URL_SAFE_NO_PAD.encode(text))
    }

    fn of_cursor(cursor: &str) -> Result<Self, Error> {
        let text = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::BadCursor)?;
        match serde_json::from_slice(&text).map_err(|_| Error::BadCursor)? {
            Self::Entry { chain, sequence, .. } if u16::from(chain) >= CHAINS || sequence < 1 => {
                Err(Error::BadCursor)
            }
            place => Ok(place),
        }
    }
}

/// The result of a step.
enum Step {
    /// This number of positions was checked and found intact; the verification continues at the position.
    To(Place, u32),
    Broken(AuditBreak),
    End,
}

/// Verifies the chains one by one, then looks for entries that belong to none. Each call does a part of that, from where
/// the previous one ended.
pub(super) async fn verify(db: &Db, keys: &KeyRing, part: &PageRequest) -> Result<AuditVerification, Error> {
    let mut place = part.cursor.as_deref().map_or(Ok(Place::START), Place::of_cursor)?;
    let mut walk = Walk { db, keys, ends: Vec::new(), entries: 0 };
    let mut left = part.limit.max(1);
    let (first_break, next_cursor) = loop {
        match walk.step(place, left.min(STEP)).await? {
            Step::To(next, looked_at) if left > looked_at => {
                left -= looked_at;
                place = next;
            }
            Step::To(next, _) => break (None, Some(next.to_cursor()?)),
            Step::Broken(found) => break (Some(found), None),
            Step::End => break (None, None),
        }
    };
    Ok(AuditVerification { valid: first_break.is_none(), entries: walk.entries, first_break, next_cursor })
}

/// Holds ends of chains that were seen at some time against the present log. Returns the first that the log contradicts.
pub(super) async fn find_set_back(
    db: &Db,
    keys: &KeyRing,
    seen: &[ChainEnd],
) -> Result<Option<AuditBreak>, Error> {
    let walk = Walk { db, keys, ends: all_ends(db).await?, entries: 0 };
    Ok(walk.find_set_back(seen).await?.map(|(_, found)| found))
}

struct Walk<'a> {
    db: &'a Db,
    keys: &'a KeyRing,
    /// The ends of all chains, once they have been read. Entries that were appended since then are left out.
    ends: Vec<Option<Chain>>,
    entries: u64,
}

impl Walk<'_> {
    /// Checks up to `count` positions.
    async fn step(&mut self, place: Place, count: u32) -> Result<Step, Error> {
        match place {
            Place::Entry { chain, sequence, gap } => self.recompute(chain, sequence, gap, count).await,
            Place::Stray { after } => self.find_stray(after, count).await,
        }
    }

    /// Verifies entries of a chain, beginning with `first`.
    async fn recompute(
        &mut self,
        chain: u8,
        first: i64,
        mut gap: Option<i64>,
        count: u32,
    ) -> Result<Step, Error> {
        let broken =
            |sequence, entry_id, reason| Ok(Step::Broken(AuditBreak { chain, sequence, entry_id, reason }));
        if self.ends.is_empty() {
            self.ends = all_ends(self.db).await?;
        }
        let Some(end) = self.ends.get(usize::from(chain)).cloned().flatten() else {
            return Ok(Step::To(Place::behind(chain), 0)); // never written to; if it has entries, they are found as strays
        };
        if !end.is_authentic(chain, self.keys) {
            return broken(end.sequence, None, BreakReason::EndAltered);
        }
        if first > end.sequence {
            return Ok(Step::To(Place::behind(chain), 0)); // set back since the last step: entries beyond it are found as strays
        }
        let last = end.sequence.min(first.saturating_add(i64::from(count) - 1));
        // Includes the previous entry, which the first is linked to.
        let positions = (first - 1..=last).map(|sequence| AuditRecord::position_of(chain, sequence));
        let mut records = self
            .db
            .collection::<AuditRecord>()
            .get_many(positions, Consistency::Linearizable)
            .await?
            .into_iter();
        // Taken after reading: entries that had expired by then were left out.
        let now = self.db.ambient().now();
        let mut previous = records.next().flatten();
        let (mut seen, mut seen_by) = (Vec::new(), Vec::new());
        let mut fault = None;
        for (sequence, record) in (first..).zip(records) {
            let Some(record) = record else {
                // The first entry after the gap shows whether the missing ones could have expired.
                gap = gap.or(Some(sequence));
                previous = None;
                continue;
            };
            self.entries += 1;
            if let Some(reason) = self.fault((chain, sequence), &record, previous.as_deref(), now) {
                fault = Some(match (reason, gap) {
                    (BreakReason::Missing, Some(gap)) => broken(gap, None, reason),
                    _ => broken(sequence, Some(record.entry_id.clone()), reason),
                });
                break;
            }
            gap = None;
            if let Some(end) = &record.seen {
                seen.push(end.clone());
                seen_by.push(self.entries);
            }
            previous = Some(record);
        }
        // What an entry has seen is read for all of them at once, and still reported in their order: the result must not
        // depend on where a part of the verification ends.
        if let Some((index, found)) = self.find_set_back(&seen).await? {
            self.entries = seen_by[index];
            return Ok(Step::Broken(found));
        }
        if let Some(fault) = fault {
            return fault;
        }
        if last < end.sequence {
            return Ok(Step::To(Place::Entry { chain, sequence: last + 1, gap }, count));
        }
        match (&previous, end.last_at) {
            (Some(last), _) if last.mac != end.last_mac => {
                broken(end.sequence, None, BreakReason::EndAltered)
            }
            (None, Some(at)) if !has_expired(at, now) => {
                broken(gap.unwrap_or(end.sequence), None, BreakReason::Missing)
            }
            _ => Ok(Step::To(Place::behind(chain), u32::try_from(last - first + 1).unwrap_or(count))),
        }
    }

    fn fault(
        &self,
        (chain, sequence): (u8, i64),
        record: &AuditRecord,
        previous: Option<&AuditRecord>,
        now: Timestamp,
    ) -> Option<BreakReason> {
        // The code covers the position, so an entry that was moved here is altered too.
        let position = AuditRecord::position_of(chain, sequence);
        if record.mac_with(&position, self.keys).is_none_or(|mac| mac != record.mac) {
            return Some(BreakReason::Altered);
        }
        match (previous, record.previous_at) {
            (Some(previous), _) if previous.mac != record.previous_mac => Some(BreakReason::Detached),
            (None, Some(at)) if !has_expired(at, now) => Some(BreakReason::Missing),
            (None, None) if sequence > 1 => Some(BreakReason::Detached),
            _ => None,
        }
    }

    /// Returns the first of these ends that its chain contradicts, with its index: the chain ends before it, or has another
    /// entry there.
    ///
    /// An entry that is gone from a chain that continues is none of these: whether it has expired is checked along its chain.
    async fn find_set_back(&self, seen: &[ChainEnd]) -> Result<Option<(usize, AuditBreak)>, Error> {
        let positions = seen.iter().map(|end| AuditRecord::position_of(end.chain, end.sequence));
        // Entries never change, so one that is read is the right one. They cost half as much in this way.
        let entries = self.db.collection::<AuditRecord>().get_many(positions, Consistency::Eventual).await?;
        for (index, (ChainEnd { chain, sequence, mac }, entry)) in seen.iter().zip(entries).enumerate() {
            let (chain, sequence) = (*chain, *sequence);
            let is_there = match &entry {
                Some(entry) => entry.mac == *mac,
                None => self.reaches(chain, sequence).await?,
            };
            if !is_there {
                let entry_id = entry.map(|entry| entry.entry_id.clone());
                let reason = BreakReason::SetBack;
                return Ok(Some((index, AuditBreak { chain, sequence, entry_id, reason })));
            }
        }
        Ok(None)
    }

    /// Whether a chain has, or once had, an entry of this number.
    async fn reaches(&self, chain: u8, sequence: i64) -> Result<bool, Error> {
        let known = self.ends.get(usize::from(chain)).and_then(Option::as_ref);
        if known.is_some_and(|end| end.sequence >= sequence) {
            return Ok(true);
        }
        // The ends were not read at one moment: this one may have been read before it was written, and the entry that names it
        // afterwards.
        let end = self.db.collection::<Chain>().get(&Chain::id_of(chain)).await?;
        Ok(end.is_some_and(|end| end.sequence >= sequence))
    }

    /// Looks for an entry that no chain reaches: the end was set back or removed, or the entry was moved.
    async fn find_stray(&mut self, after: Option<String>, count: u32) -> Result<Step, Error> {
        let page = Scan::new(AuditRecord::COLLECTION).limit(count).after(after);
        let page = self.db.collection::<AuditRecord>().scan(&page).await?;
        // Read after the entries, so that an entry added in between is not beyond its chain's end.
        let ends = all_ends(self.db).await?;
        let end_of = |chain: u8| ends.get(usize::from(chain))?.as_ref().map(|end| end.sequence);
        for record in &page.items {
            let (chain, sequence, reason) = match AuditRecord::place_of(record.document().key.id()) {
                // No chain reaches it, so it was not verified above.
                None => (0, 0, BreakReason::Altered),
                Some((chain, sequence)) if sequence > end_of(chain).unwrap_or(0) => {
                    (chain, sequence, BreakReason::BeyondEnd)
                }
                Some(_) => continue,
            };
            let entry_id = Some(record.entry_id.clone());
            return Ok(Step::Broken(AuditBreak { chain, sequence, entry_id, reason }));
        }
        Ok(match page.next {
            Some(next) => Step::To(Place::Stray { after: Some(next) }, count),
            None => Step::End,
        })
    }
}

/// Whether an entry of that time may be gone.
fn has_expired(at: Timestamp, now: Timestamp) -> bool {
    at + RETENTION <= now
}
