//! Histories of concurrent calls, and the check whether they can be explained.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Instant;

use crate::{Key, Version};

/// A state of a document: its version and its place in the sequence of states. Each write of a recorded document
/// adds one to a number in it, so a reader knows how many writes came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) place: i64,
    pub(crate) version: Version,
}

impl State {
    /// The state before the first write.
    pub(crate) const ABSENT: Self = Self { place: 0, version: Version::NONE };
}

/// A call that succeeded. All of its reads and writes must take effect at one moment between the two times.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) called_at: Instant,
    pub(crate) returned_at: Instant,
    pub(crate) seen: Vec<(Key, State)>,
    /// The written documents. The place is not known for an increment, which does not return the state that it
    /// changed.
    pub(crate) written: Vec<(Key, Version, Option<i64>)>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (key, state) in &self.seen {
            parts.push(format!("sees {key} at place {}", state.place));
        }
        for (key, _, place) in &self.written {
            parts.push(
                place.map_or(format!("adds to {key}"), |place| format!("writes {key} at place {place}")),
            );
        }
        f.write_str(&parts.join(", "))
    }
}

/// Checks that one order of all events explains them: each event sees the latest writes before it in the order,
/// and comes after every event that had returned when it was called. If each event names one document, this is
/// linearizability; if events name several, it is strict serializability.
///
/// No search is needed, because versions are never used twice and places give the order of versions. It is
/// therefore known which event wrote a state that another event saw, and which event overwrote it. An order exists
/// exactly if these relations have no cycle (Adya, "Weak Consistency", 1999; Kingsbury and Alvaro, "Elle", VLDB
/// 2020).
///
/// # Errors
///
/// Fails with a description of what cannot be explained.
pub(crate) fn explain(events: &[Event]) -> Result<(), String> {
    let writers = Writers::of(events)?;
    let mut graph = Graph::of_times(events);
    for chain in writers.chains.values() {
        let mut before = None;
        for writer in chain.values().filter_map(|(_, writer)| *writer) {
            if let Some(before) = before {
                graph.add(before, writer);
            }
            before = Some(writer);
        }
    }
    for (event, (key, state)) in
        events.iter().enumerate().flat_map(|(event, e)| e.seen.iter().map(move |seen| (event, seen)))
    {
        if let Some(writer) = writers.of_version.get(&(key, state.version)) {
            graph.add(*writer, event);
        }
        let chain = writers.chains.get(key);
        let next =
            chain.and_then(|chain| chain.range(state.place + 1..).find_map(|(_, (_, writer))| *writer));
        if let Some(next) = next {
            graph.add(event, next);
        }
    }
    match graph.cycle() {
        Some(cycle) => {
            let lines: Vec<_> = cycle.into_iter().map(|event| format!("\n  {}", events[event])).collect();
            Err(format!(
                "each of these must come before the next, and the last before the first:{}",
                lines.concat()
            ))
        }
        None => Ok(()),
    }
}

/// The events that wrote each state.
struct Writers<'e> {
    of_version: HashMap<(&'e Key, Version), usize>,
    /// For each document, the states with a known place and the events that wrote them.
    chains: BTreeMap<&'e Key, BTreeMap<i64, (Version, Option<usize>)>>,
}

impl<'e> Writers<'e> {
    fn of(events: &'e [Event]) -> Result<Self, String> {
        let mut writers = Self { of_version: HashMap::new(), chains: BTreeMap::new() };
        for (event, (key, version, _)) in events
            .iter()
            .enumerate()
            .flat_map(|(event, e)| e.written.iter().map(move |written| (event, written)))
        {
            writers.of_version.insert((key, *version), event);
        }
        for event in events {
            for (key, state) in event.seen.iter().filter(|(_, state)| *state != State::ABSENT) {
                if !writers.of_version.contains_key(&(key, state.version)) {
                    return Err(format!("this event saw a state that no event wrote: {event}"));
                }
                writers.place(key, *state)?;
            }
            for (key, version, place) in &event.written {
                if let Some(place) = *place {
                    writers.place(key, State { place, version: *version })?;
                }
            }
        }
        Ok(writers)
    }

    fn place(&mut self, key: &'e Key, state: State) -> Result<(), String> {
        let writer = self.of_version.get(&(key, state.version)).copied();
        let placed =
            self.chains.entry(key).or_default().entry(state.place).or_insert((state.version, writer));
        if placed.0 == state.version {
            return Ok(());
        }
        Err(format!("two writes of {key} are both at place {}: one of them is lost", state.place))
    }
}

/// The graph of what comes before what. The nodes are the events, followed by one node for each moment at which an
/// event returned.
struct Graph {
    events: usize,
    next: Vec<Vec<usize>>,
}

impl Graph {
    /// Adds edges from each event that had returned to the events that were called later. The moments form a
    /// chain, so that not every pair of events needs an edge.
    fn of_times(events: &[Event]) -> Self {
        let mut graph = Self { events: events.len(), next: vec![Vec::new(); 2 * events.len()] };
        let mut by_return: Vec<usize> = (0..events.len()).collect();
        by_return.sort_by_key(|&event| events[event].returned_at);
        for (moment, &event) in by_return.iter().enumerate() {
            graph.add(event, events.len() + moment);
            if moment > 0 {
                graph.add(events.len() + moment - 1, events.len() + moment);
            }
        }
        for (place, event) in events.iter().enumerate() {
            let returned = by_return.partition_point(|&other| events[other].returned_at < event.called_at);
            if returned > 0 {
                graph.add(events.len() + returned - 1, place);
            }
        }
        graph
    }

    fn add(&mut self, from: usize, to: usize) {
        if from != to {
            self.next[from].push(to);
        }
    }

    /// The events of a shortest cycle, if there is a cycle.
    fn cycle(&self) -> Option<Vec<usize>> {
        let left = self.without_ends();
        let cycles =
            (0..self.events).filter(|&event| left[event]).filter_map(|event| self.way_back(event, &left));
        cycles.min_by_key(Vec::len)
    }

    /// Repeatedly removes the nodes that have no predecessor. Every cycle is among the remaining nodes.
    fn without_ends(&self) -> Vec<bool> {
        let mut before = vec![0_usize; self.next.len()];
        self.next.iter().flatten().for_each(|&to| before[to] += 1);
        let mut free: Vec<usize> = (0..before.len()).filter(|&node| before[node] == 0).collect();
        let mut left = vec![true; before.len()];
        while let Some(node) = free.pop() {
            left[node] = false;
            for &to in &self.next[node] {
                before[to] -= 1;
                if before[to] == 0 {
                    free.push(to);
                }
            }
        }
        left
    }

    /// The events on a shortest path from `start` back to itself.
    fn way_back(&self, start: usize, left: &[bool]) -> Option<Vec<usize>> {
        let mut come_from = vec![None; self.next.len()];
        let mut border = vec![start];
        while !border.is_empty() && come_from[start].is_none() {
            let mut further = Vec::new();
            for node in border {
                for &to in self.next[node].iter().filter(|&&to| left[to]) {
                    if come_from[to].is_none() {
                        come_from[to] = Some(node);
                        further.push(to);
                    }
                }
            }
            border = further;
        }
        let mut way = vec![come_from[start]?];
        while let Some(node) = way.last().copied().filter(|&node| node != start) {
            way.push(come_from[node]?);
        }
        way.retain(|&node| node < self.events);
        way.reverse();
        Some(way)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use switchyard_ambient::{Ambient, SeededRandomness, SystemClock};

    use super::*;
    use crate::Collection;

    const REGISTERS: &Collection = &Collection::new("registers");

    /// The versions of the documents `x` and `y`, by place.
    struct Script {
        start: Instant,
        versions: Vec<Version>,
    }

    impl Script {
        fn new() -> Self {
            let ambient = Ambient::new(SystemClock, SeededRandomness::new(1));
            Self { start: Instant::now(), versions: (0..10).map(|_| Version::new(&ambient)).collect() }
        }

        fn state(&self, id: &str, place: usize) -> (Key, State) {
            let version = if id == "x" { self.versions[place] } else { self.versions[5 + place] };
            let key = Key::new(REGISTERS, id).unwrap();
            let state = State { place: i64::try_from(place).unwrap(), version };
            (key, if place == 0 { State::ABSENT } else { state })
        }

        fn event(&self, from: u64, to: u64, seen: &[(&str, usize)], written: &[(&str, usize)]) -> Event {
            let at = |second| self.start + Duration::from_secs(second);
            let write = |&(id, place): &(&str, usize)| {
                let (key, state) = self.state(id, place);
                (key, state.version, Some(state.place))
            };
            Event {
                called_at: at(from),
                returned_at: at(to),
                seen: seen.iter().map(|&(id, place)| self.state(id, place)).collect(),
                written: written.iter().map(write).collect(),
            }
        }
    }

    #[test]
    fn overlapping_events_may_be_in_either_order() {
        let script = Script::new();
        for place in [0, 1] {
            let write = script.event(0, 10, &[("x", 0)], &[("x", 1)]);
            let read = script.event(1, 9, &[("x", place)], &[]);
            assert_eq!(explain(&[write, read]), Ok(()));
        }
    }

    #[test]
    fn a_read_of_an_overwritten_state_is_not_explained() {
        let script = Script::new();
        let write = script.event(0, 1, &[("x", 0)], &[("x", 1)]);
        let read = script.event(2, 3, &[("x", 0)], &[]);
        let expected = "each of these must come before the next, and the last before the first:\n  \
                        sees registers/x at place 0, writes registers/x at place 1\n  sees registers/x at place 0";
        assert_eq!(explain(&[write, read]), Err(expected.to_owned()));
    }

    #[test]
    fn a_later_read_that_sees_less_than_an_earlier_one_is_not_explained() {
        let script = Script::new();
        let write = script.event(0, 10, &[("x", 0)], &[("x", 1)]);
        let (first, second) = (script.event(1, 2, &[("x", 1)], &[]), script.event(3, 4, &[("x", 0)], &[]));
        assert!(explain(&[write, first, second]).is_err());
    }

    #[test]
    fn half_of_a_transaction_is_not_explained() {
        let script = Script::new();
        let write = script.event(0, 10, &[("x", 0), ("y", 0)], &[("x", 1), ("y", 1)]);
        let halves = |x, y| [write.clone(), script.event(1, 9, &[("x", x), ("y", y)], &[])];
        assert_eq!(explain(&halves(0, 0)), Ok(()));
        assert_eq!(explain(&halves(1, 1)), Ok(()));
        assert!(explain(&halves(1, 0)).is_err());
    }

    #[test]
    fn write_skew_is_not_explained() {
        let script = Script::new();
        let one = script.event(0, 10, &[("x", 0), ("y", 0)], &[("x", 1)]);
        let other = script.event(0, 10, &[("x", 0), ("y", 0)], &[("y", 1)]);
        assert!(explain(&[one, other]).is_err());
    }

    #[test]
    fn a_lost_update_and_an_unwritten_version_are_not_explained() {
        let script = Script::new();
        let one = script.event(0, 10, &[("x", 0)], &[("x", 1)]);
        let mut other = script.event(0, 10, &[("x", 0)], &[("x", 1)]);
        other.written[0].1 = script.versions[2];
        let lost = "two writes of registers/x are both at place 1: one of them is lost";
        assert_eq!(explain(&[one, other]), Err(lost.to_owned()));
        let read = script.event(0, 10, &[("y", 1)], &[]);
        let unwritten = "this event saw a state that no event wrote: sees registers/y at place 1";
        assert_eq!(explain(&[read]), Err(unwritten.to_owned()));
    }
}
