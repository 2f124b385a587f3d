//! The suite can fail: each fault that a backend may have is caught by a case that is named here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_database::conformance::{Fault, Mutant, Subject, run_named, walks};

struct Faulty(Mutant);

impl Faulty {
    fn new(fault: Fault) -> Self {
        Self(Mutant::new(Ambient::system(), fault))
    }
}

#[async_trait]
impl Subject for Faulty {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Database> {
        Arc::new(self.0.with_ambient(ambient))
    }

    async fn close(&self) {}

    /// Nothing lags here: what is wrong at once stays wrong.
    fn patience(&self) -> Duration {
        Duration::from_millis(20)
    }
}

/// The message with which the case fails on the faulty store.
async fn caught(fault: Fault, case: &'static str) -> String {
    let outcome = tokio::spawn(async move { run_named(Faulty::new(fault), case).await }).await;
    let failure = match outcome {
        Ok(Some(())) => panic!("`{case}` does not catch a store that {fault:?}"),
        Ok(None) => panic!("there is no case `{case}`"),
        Err(failure) => failure.into_panic(),
    };
    match failure.downcast::<String>() {
        Ok(message) => *message,
        Err(other) => other.downcast_ref::<&str>().map_or_else(String::new, |message| (*message).to_owned()),
    }
}

macro_rules! faults_are_caught {
    ($($test:ident: $fault:ident by $($case:literal),+;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                $(caught(Fault::$fault, $case).await;)+
            }
        )+

        /// Does not compile while a fault has no test.
        #[expect(dead_code, reason = "asks the compiler alone")]
        fn every_fault_is_caught(fault: Fault) {
            match fault { $(Fault::$fault => (),)+ }
        }
    };
}

faults_are_caught! {
    unguarded_values_are_caught: DropsGuards by
        "a_taken_value_is_refused_and_its_attribute_named", "of_many_creators_of_one_unique_value_one_wins";
    guards_left_behind_are_caught: LeavesGuards by
        "a_failed_batch_leaves_no_guard_behind", "a_failure_of_the_last_operation_leaves_nothing_behind";
    an_ignored_version_is_caught: IgnoresVersions by
        "a_replace_with_an_old_version_is_rejected", "of_a_hundred_changes_to_one_version_one_wins";
    an_ignored_absence_is_caught: IgnoresAbsence by
        "write_skew_through_checks_of_absence_fails", "a_cycle_of_three_checks_of_absence_fails",
        "a_check_of_absence_holds_against_a_plain_create";
    a_swallowed_floor_is_caught: IgnoresFloors by
        "an_increment_below_its_floor_is_rejected", "many_takers_take_what_is_there_and_no_more";
    a_repeated_increment_is_caught: RepeatsLostIncrements by
        "many_writers_add_up_exactly";
    a_batch_applied_by_halves_is_caught: AppliesHalves by
        "a_failure_of_a_middle_operation_leaves_nothing_behind",
        "a_failure_of_the_last_operation_leaves_nothing_behind";
    a_batch_applied_in_steps_is_caught: AppliesInSteps by
        "transactions_over_several_documents_are_strictly_serializable";
    a_decision_without_locks_is_caught: DecidesWithoutLocks by
        "of_many_creators_of_one_id_one_wins", "of_many_creators_of_one_unique_value_one_wins",
        "of_a_hundred_changes_to_one_version_one_wins", "calls_on_one_document_each_are_linearizable",
        "transactions_over_several_documents_are_strictly_serializable";
    a_read_from_a_replica_is_caught: ReadsFromReplica by "calls_on_one_document_each_are_linearizable",
        "transactions_over_several_documents_are_strictly_serializable";
    a_failure_told_out_of_turn_is_caught: TellsTheLastFailure by
        "of_several_failures_the_lowest_operation_is_named";
    forgotten_expiry_is_caught: ForgetsExpiry by
        "a_document_is_there_until_the_microsecond_in_which_it_expires",
        "pages_are_full_where_expired_documents_lie_between";
    a_sweep_of_the_living_is_caught: SweepsTheLiving by "what_was_created_again_is_not_swept";
    the_order_of_utf16_is_caught: OrdersByUtf16 by "strings_are_ordered_by_their_utf8_bytes";
    the_order_of_a_language_is_caught: OrdersByLanguage by
        "strings_are_ordered_by_their_utf8_bytes", "equal_sort_values_are_ordered_by_id_and_reversed_with_it";
    a_lost_page_is_caught: LosesPages by "limits_around_the_number_of_documents_give_exact_pages";
    a_repeated_anchor_is_caught: RepeatsTheAnchor by
        "limits_around_the_number_of_documents_give_exact_pages";
    unprocessed_keys_are_caught: IgnoresUnprocessedKeys by "get_many_reads_a_thousand_keys_and_refuses_one_more";
    old_content_in_an_index_is_caught: KeepsOldContent by "a_query_gives_documents_whole_and_in_their_versions";
}

/// The message with which random walks fail on the faulty store.
async fn found_by_walks(fault: Fault) -> String {
    let walked = tokio::spawn(walks(move || async move { Faulty::new(fault) })).await;
    let failure = walked.err().unwrap_or_else(|| panic!("no walk finds a store that {fault:?}"));
    *failure.into_panic().downcast::<String>().expect("a sentence")
}

/// Not by a case that was written for it alone: the random walks, which know of no fault, find these too.
#[tokio::test(flavor = "multi_thread")]
async fn random_walks_catch_faults_that_nobody_told_them_of() {
    for fault in [Fault::DropsGuards, Fault::IgnoresVersions, Fault::IgnoresFloors, Fault::ForgetsExpiry] {
        found_by_walks(fault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_walk_that_fails_few_moves_are_left() {
    let message = found_by_walks(Fault::IgnoresFloors).await;
    let (told, moves) = message.split_once("\nafter these of its 60 moves:\n").expect("the moves are told");
    assert!(told.starts_with("seed "), "{told}");
    let moves: Vec<_> = moves.lines().collect();
    assert_eq!(moves.len(), 2, "{moves:#?}");
}

#[tokio::test]
async fn a_failing_case_says_what_it_found_and_what_it_expected() {
    let message = caught(Fault::LosesPages, "limits_around_the_number_of_documents_give_exact_pages").await;
    let expected = "for 20ms\n   found: [[\"a\"]]\nexpected: [[\"a\"], [\"b\"], [\"c\"], [\"d\"], [\"e\"], [\"f\"], [\"g\"]]";
    assert_eq!(message, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_without_an_explanation_is_told_by_its_shortest_cycle() {
    let message = caught(Fault::ReadsFromReplica, "calls_on_one_document_each_are_linearizable").await;
    let (told, cycle) = message.split_once(":\n").expect("a sentence comes before the events");
    assert!(told.ends_with("each of these comes before the next, and the last before the first"), "{told}");
    assert!(
        cycle.lines().count() >= 2 && cycle.lines().all(|event| event.contains(" registers/")),
        "{cycle}"
    );
}
