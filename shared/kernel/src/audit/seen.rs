use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The last entry of a chain at some moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainEnd {
    #[serde(rename = "c")]
    pub(super) chain: u8,
    #[serde(rename = "n")]
    pub(super) sequence: i64,
    #[serde(rename = "m")]
    pub(super) mac: String,
}

/// The ends of the chains that a process has read or written last: of two chains, the latest first.
///
/// Each entry names one of another chain. A chain that is set back to an older end contradicts the entries that name a later
/// one.
#[derive(Debug, Default)]
pub(crate) struct SeenEnds(Mutex<[Option<ChainEnd>; 2]>);

impl SeenEnds {
    /// Notes an end that is committed.
    pub(super) fn note(&self, end: ChainEnd) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ends.iter_mut().flatten().find(|known| known.chain == end.chain) {
            if known.sequence < end.sequence {
                *known = end; // a slower request may bring an earlier one
            }
            return;
        }
        let [latest, _] = std::mem::take(&mut *ends);
        *ends = [Some(end), latest];
    }

    /// The end of another chain than this one.
    pub(super) fn of_another_than(&self, chain: u8) -> Option<ChainEnd> {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter().flatten().find(|end| end.chain != chain).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(chain: u8, sequence: i64) -> ChainEnd {
        ChainEnd { chain, sequence, mac: format!("{chain}-{sequence}") }
    }

    #[test]
    fn an_entry_names_the_latest_end_of_another_chain() {
        let seen = SeenEnds::default();
        assert_eq!(seen.of_another_than(1), None);
        seen.note(end(1, 5));
        assert_eq!((seen.of_another_than(1), seen.of_another_than(2)), (None, Some(end(1, 5))));
        seen.note(end(2, 3));
        assert_eq!((seen.of_another_than(1), seen.of_another_than(2)), (Some(end(2, 3)), Some(end(1, 5))));
        seen.note(end(1, 4));
        seen.note(end(2, 4));
        assert_eq!((seen.of_another_than(1), seen.of_another_than(2)), (Some(end(2, 4)), Some(end(1, 5))));
        seen.note(end(3, 1));
        assert_eq!((seen.of_another_than(1), seen.of_another_than(3)), (Some(end(3, 1)), Some(end(2, 4))));
    }
}
