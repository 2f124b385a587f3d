use std::time::Instant;

use serde_json::json;

use crate::conformance::Store;
use crate::conformance::history::{Event, State, explain};
use crate::conformance::walk::Dice;
use crate::conformance::words::{at_once, body, check, create, increment, key, replace};
use crate::{Collection, Consistency, Document, Error, Expect, Field, Key, Operation, Unique, UniqueKey};

/// Each document holds a unique value from its first write on, so that a lookup of the value is a read of the
/// document.
const REGISTERS: &Collection = &Collection::new("registers")
    .fields(&[Field::string("name"), Field::integer("place")])
    .uniques(&[Unique::new("name", &["name"])])
    .counters(&["place"]);

const WORKERS: u64 = 8;
const TURNS: usize = 40;
/// The number of documents that are written at a time. Each worker also moves on by one document after this many
/// turns.
const WINDOW: usize = 4;

pub async fn calls_on_one_document_each_are_linearizable(store: Store) {
    for seed in [1, 2] {
        run_and_explain(&store, seed, 1).await;
    }
}

pub async fn transactions_over_several_documents_are_strictly_serializable(store: Store) {
    for seed in [3, 4] {
        run_and_explain(&store, seed, 3).await;
    }
}

/// Runs workers that read and write at random on two instances, and checks that one order explains all results.
async fn run_and_explain(store: &Store, seed: u64, most_documents: usize) {
    store.migrate(&[REGISTERS]).await;
    let instances = [store.clone(), store.another().await];
    let workers = instances.iter().cycle().zip(0..WORKERS).map(|(instance, worker)| {
        let dice = Dice::new(instance.clock.clone(), seed * WORKERS + worker);
        let worker = Worker { store: instance.clone(), dice, seed, events: Vec::new() };
        worker.work(most_documents)
    });
    let mut events = at_once(workers).await.concat();

    let mut last =
        Worker { store: store.clone(), dice: Dice::new(store.clock.clone(), seed), seed, events: Vec::new() };
    let everything: Vec<Key> = (0..TURNS / WINDOW + WINDOW).map(|number| last.register(number)).collect();
    for (register, state) in last.read(&everything).await {
        let writes =
            events.iter().flat_map(|event| &event.written).filter(|(key, ..)| *key == register).count();
        assert_eq!(
            usize::try_from(state.place),
            Ok(writes),
            "every confirmed write must be stored: {register}"
        );
    }
    events.extend(last.events);
    let commits = events.iter().filter(|event| !event.written.is_empty()).count();
    println!("seed {seed}: {commits} commits that wrote, {} other events", events.len() - commits);
    if let Err(fault) = explain(&events) {
        panic!("seed {seed}: {fault}");
    }
}

struct Worker {
    store: Store,
    dice: Dice,
    seed: u64,
    events: Vec<Event>,
}

impl Worker {
    async fn work(mut self, most_documents: usize) -> Vec<Event> {
        for turn in 0..TURNS {
            let mut registers: Vec<Key> = Vec::new();
            for _ in 0..=self.dice.below(most_documents) {
                let register = self.register(turn / WINDOW + self.dice.below(WINDOW));
                if !registers.contains(&register) {
                    registers.push(register);
                }
            }
            let states = self.read(&registers).await;
            if self.dice.below(4) > 0 {
                self.write(states).await;
            }
        }
        self.events
    }

    fn register(&self, number: usize) -> Key {
        key(REGISTERS, &format!("{}-{number}", self.seed))
    }

    /// Reads with one of three methods. Several documents are not read at the same moment, so each one is an
    /// event.
    async fn read(&mut self, registers: &[Key]) -> Vec<(Key, State)> {
        let way = self.dice.below(3);
        let called_at = Instant::now();
        let backend = self.store.backend();
        let documents = match way {
            0 => {
                backend.get_many(registers, Consistency::Linearizable).await.expect("the documents are read")
            }
            way => {
                let mut documents = Vec::new();
                for register in registers {
                    let unique = UniqueKey::new(REGISTERS, "name", [register.id()])
                        .expect("the attribute is declared");
                    let found =
                        if way == 1 { backend.get(register).await } else { backend.lookup(&unique).await };
                    documents.push(found.expect("the document is read"));
                }
                documents
            }
        };
        let returned_at = Instant::now();
        let states: Vec<_> =
            registers.iter().cloned().zip(documents.iter().map(Option::as_ref).map(state_of)).collect();
        for state in &states {
            self.events.push(Event {
                called_at,
                returned_at,
                seen: vec![state.clone()],
                written: Vec::new(),
            });
        }
        states
    }

    /// Writes some of the documents, on the condition that these and the others are in the states that were read.
    async fn write(&mut self, states: Vec<(Key, State)>) {
        let (mut operations, mut seen, mut effects) = (Vec::new(), Vec::new(), Vec::new());
        for (register, state) in states {
            let (operation, effect) = self.operation(&register, state);
            operations.push(operation);
            effects.push((register.clone(), effect));
            if effect != Effect::Adds {
                seen.push((register, state));
            }
        }
        let called_at = Instant::now();
        let outcome = self.store.commit(operations).await;
        let returned_at = Instant::now();
        match outcome {
            Ok(versions) => {
                let effects = effects.into_iter().zip(versions);
                let written = effects.filter_map(|((key, effect), version)| match effect {
                    Effect::Checks => None,
                    Effect::Adds => Some((key, version, None)),
                    Effect::Writes(place) => Some((key, version, Some(place))),
                });
                self.events.push(Event { called_at, returned_at, seen, written: written.collect() });
            }
            // Nothing was applied, so there is no event.
            Err(Error::Rejected(_)) => {}
            Err(error) => assert!(error.is_retryable(), "a commit failed: {error}"),
        }
    }

    fn operation(&self, register: &Key, state: State) -> (Operation, Effect) {
        let id = register.id();
        let content = |place| json!({"name": id, "place": place});
        match (self.dice.below(4), state.place) {
            (0, 0) => (check(REGISTERS, id, Expect::Absent), Effect::Checks),
            (_, 0) => (create(REGISTERS, id, content(1)), Effect::Writes(1)),
            (0, _) => (check(REGISTERS, id, Expect::Version(state.version)), Effect::Checks),
            (1, _) => (increment(REGISTERS, id, "place", 1), Effect::Adds),
            (_, place) => {
                let (key, version) = (register.clone(), state.version);
                let previous = Document { key, version, body: body(content(place)), expires_at: None };
                (replace(&previous, content(place + 1)), Effect::Writes(place + 1))
            }
        }
    }
}

/// The effect of an operation on its document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Checks,
    /// Moves the document to this place, which follows the place that was read.
    Writes(i64),
    /// Moves the document to the next place from its current one, which may differ from the one that was read.
    Adds,
}

fn state_of(document: Option<&Document>) -> State {
    document.map_or(State::ABSENT, |document| State {
        place: document.body["place"].as_i64().expect("the place is an integer"),
        version: document.version,
    })
}
