//! Proves that the suite can fail: for each fault of a backend, this file names the cases that catch it.

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

    /// Nothing lags here, so a wrong result does not become right later.
    fn patience(&self) -> Duration {
        Duration::from_millis(20)
    }
}

/// How often a case runs at most. On a busy machine, the writers of a case may happen not to overlap, and then some faults
/// do not show.
const RUNS: u32 = 5;

/// Returns the message with which the case fails on the faulty store.
async fn caught(fault: Fault, case: &'static str) -> String {
    for _ in 0..RUNS {
        let outcome = tokio::spawn(async move { run_named(Faulty::new(fault), case).await }).await;
        let failure = match outcome {
            Ok(Some(())) => continue,
            Ok(None) => panic!("there is no case `{case}`"),
            Err(failure) => failure.into_panic(),
        };
        return match failure.downcast::<String>() {
            Ok(message) => *message,
            Err(other) => {
                other.downcast_ref::<&str>().map_or_else(String::new, |message| (*message).to_owned())
            }
        };
    }
    panic!("`{case}` does not catch the fault {fault:?} in {RUNS} runs");
}

macro_rules! faults_are_caught {
    ($($test:ident: $fault:ident by $($case:literal),+;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                $(caught(Fault::$fault, $case).await;)+
            }
        )+

        /// Does not compile if a fault has no test.
        #[expect(dead_code, reason = "only checked by the compiler")]
        fn every_fault_is_caught(fault: Fault) {
            match fault { $(Fault::$fault => (),)+ }
        }
    };
}

faults_are_caught! {
    unguarded_values_are_caught: DropsGuards by
        "a_taken_value_is_refused_and_its_attribute_is_named", "one_of_many_creators_of_a_unique_value_wins";
    guards_left_behind_are_caught: LeavesGuards by
        "a_failed_batch_leaves_no_guard_behind", "a_failure_of_the_last_operation_leaves_nothing_behind";
    an_ignored_version_is_caught: IgnoresVersions by
        "a_replace_with_an_old_version_is_rejected", "one_of_a_hundred_changes_of_a_version_wins";
    an_ignored_absence_is_caught: IgnoresAbsence by
        "write_skew_through_checks_of_absence_fails", "a_cycle_of_three_checks_of_absence_fails",
        "a_check_of_absence_holds_against_a_plain_create";
    ignored_checks_are_caught: IgnoresChecks by
        "a_refusal_after_several_reads_rests_on_one_moment", "checks_are_enforced_and_change_nothing",
        "transfers_never_change_the_sum_of_all_accounts";
    an_ignored_floor_is_caught: IgnoresFloors by
        "an_increment_below_its_floor_is_rejected", "many_takers_never_take_more_than_there_is";
    a_repeated_increment_is_caught: RepeatsLostIncrements by
        "many_writers_add_up_exactly";
    an_addition_to_an_expired_document_is_caught: AddsToExpired by "an_expired_tally_begins_again";
    an_addition_without_locks_is_caught: AddsWithoutLocks by "concurrent_additions_each_get_their_own_sum";
    a_batch_applied_by_halves_is_caught: AppliesHalves by
        "a_failure_of_a_middle_operation_leaves_nothing_behind",
        "a_failure_of_the_last_operation_leaves_nothing_behind";
    a_batch_applied_in_steps_is_caught: AppliesInSteps by
        "transactions_over_several_documents_are_strictly_serializable";
    a_decision_without_locks_is_caught: DecidesWithoutLocks by
        "one_of_many_creators_of_an_id_wins", "one_of_many_creators_of_a_unique_value_wins",
        "one_of_a_hundred_changes_of_a_version_wins", "calls_on_one_document_each_are_linearizable",
        "transactions_over_several_documents_are_strictly_serializable";
    a_read_from_a_replica_is_caught: ReadsFromReplica by "calls_on_one_document_each_are_linearizable",
        "transactions_over_several_documents_are_strictly_serializable";
    a_failure_reported_out_of_order_is_caught: TellsTheLastFailure by
        "the_lowest_of_several_failing_operations_is_reported";
    forgotten_expiry_is_caught: ForgetsExpiry by
        "a_document_exists_until_the_microsecond_of_its_expiry",
        "pages_are_full_with_expired_documents_in_between";
    a_sweep_of_the_living_is_caught: SweepsTheLiving by "a_recreated_document_is_not_swept";
    the_order_of_utf16_is_caught: OrdersByUtf16 by "strings_are_ordered_by_their_utf8_bytes";
    the_order_of_a_language_is_caught: OrdersByLanguage by
        "strings_are_ordered_by_their_utf8_bytes", "equal_sort_values_are_ordered_by_id_and_reversed_with_it";
    a_forgotten_shard_is_caught: ForgetsAShard by
        "shards_of_a_partition_are_read_as_one_ordered_list", "a_range_over_shards_is_paged_within_its_bounds",
        "documents_move_between_the_shards_of_two_partitions";
    concatenated_shards_are_caught: ConcatenatesShards by
        "shards_of_a_partition_are_read_as_one_ordered_list", "a_range_over_shards_is_paged_within_its_bounds";
    a_lost_page_is_caught: LosesPages by "limits_around_the_number_of_documents_give_exact_pages";
    a_repeated_anchor_is_caught: RepeatsTheAnchor by
        "limits_around_the_number_of_documents_give_exact_pages";
    unprocessed_keys_are_caught: IgnoresUnprocessedKeys by "get_many_reads_a_thousand_keys_and_refuses_one_more";
    old_content_in_an_index_is_caught: KeepsOldContent by "a_query_returns_complete_documents_with_their_versions",
        "an_index_lists_the_present_content_whatever_it_copies";
    a_refusal_by_what_is_not_copied_is_caught: RefusesWhatIsNotCopied by
        "filters_find_the_same_whatever_an_index_copies";
    a_list_of_what_has_moved_is_caught: ListsWhatHasMoved by
        "an_index_forgets_what_has_moved_or_expired_whatever_it_copies",
        "a_document_moves_in_its_indexes_when_it_is_replaced";
}

/// Returns the message with which random walks fail on the faulty store.
async fn found_by_walks(fault: Fault) -> String {
    let walked = tokio::spawn(walks(move || async move { Faulty::new(fault) })).await;
    let failure = walked.err().unwrap_or_else(|| panic!("no walk catches the fault {fault:?}"));
    *failure.into_panic().downcast::<String>().expect("the message is a string")
}

/// The random walks were not written for particular faults, but they catch these too.
#[tokio::test(flavor = "multi_thread")]
async fn random_walks_catch_faults_that_they_do_not_know() {
    for fault in [Fault::DropsGuards, Fault::IgnoresVersions, Fault::IgnoresFloors, Fault::ForgetsExpiry] {
        found_by_walks(fault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_walk_is_reduced_to_few_moves() {
    let message = found_by_walks(Fault::IgnoresFloors).await;
    let (difference, moves) =
        message.split_once("\nafter these of its 60 moves:\n").expect("the message lists the moves");
    assert!(difference.starts_with("seed "), "{difference}");
    let moves: Vec<_> = moves.lines().collect();
    assert_eq!(moves.len(), 2, "{moves:#?}");
}

#[tokio::test]
async fn a_failing_case_reports_the_found_and_the_expected_value() {
    let message = caught(Fault::LosesPages, "limits_around_the_number_of_documents_give_exact_pages").await;
    let expected = "after 20ms\n   found: [[\"a\"]]\nexpected: [[\"a\"], [\"b\"], [\"c\"], [\"d\"], [\"e\"], [\"f\"], [\"g\"]]";
    assert_eq!(message, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unexplained_history_is_reported_by_its_shortest_cycle() {
    let message = caught(Fault::ReadsFromReplica, "calls_on_one_document_each_are_linearizable").await;
    let (summary, cycle) = message.split_once(":\n").expect("a summary comes before the events");
    assert!(
        summary.ends_with("each of these must come before the next, and the last before the first"),
        "{summary}"
    );
    assert!(
        cycle.lines().count() >= 2 && cycle.lines().all(|event| event.contains(" registers/")),
        "{cycle}"
    );
}
