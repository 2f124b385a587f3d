//! The cases, in groups, and the list of all cases.
#![expect(missing_docs, reason = "the name of a case states the tested behaviour")]

mod account;

/// Additions to a tally.
pub mod additions;
/// Collections whose documents are only created.
pub mod append_only;
/// What a batch may contain, and which of its failures is reported.
pub mod batches;
/// Many concurrent writers.
pub mod concurrency;
/// What an index copies of its documents.
pub mod copies;
/// Documents that expire.
pub mod expiry;
/// Filters on top of an index.
pub mod filters;
/// Histories of concurrent calls, which must be explained by one order of all calls.
pub mod histories;
/// Counters.
pub mod increments;
/// Commits behave as if they ran one after the other.
pub mod isolation;
/// Migration of a store to new declarations.
pub mod migrate;
/// The order and the content of an index.
pub mod order;
/// Pages, cursors and ranges.
pub mod pages;
/// Reads by key and by unique attribute.
pub mod reads;
/// Transactions that end in an error of their own.
pub mod refusals;
/// Scans of a whole collection.
pub mod scan;
/// Search by words.
pub mod search;
/// Indexes whose partitions are spread over shards.
pub mod shards;
/// Unique attributes.
pub mod unique;
/// Numbers, strings, names and sizes.
pub mod values;
/// Versions, and writes that depend on them.
pub mod versions;

/// Generates everything that depends on the list of all cases.
macro_rules! cases {
    ($d:tt $($group:ident { $($case:ident)+ })+) => {
        /// The group and the name of every case.
        pub const CASES: &[(&str, &str)] = &[$($((stringify!($group), stringify!($case)),)+)+];

        /// Runs the case `name` of [`CASES`] on a store. Returns `None` if there is no such case.
        ///
        /// # Panics
        ///
        /// Panics if the case fails.
        pub async fn run_named(subject: impl super::Subject, name: &str) -> Option<()> {
            match name {
                $($(stringify!($case) => super::run(subject, $group::$case).await,)+)+
                _ => return None,
            }
            Some(())
        }

        /// Generates one test for each case of the [suite](crate::conformance), and one for
        /// [`walks`](crate::conformance::walks). The expression creates the
        /// [`Subject`](crate::conformance::Subject); it is evaluated once for each case, in an async function.
        #[macro_export]
        macro_rules! conformance_tests {
            ($d subject:expr) => {
                $(
                    mod $group {
                        use super::*;
                        $(
                            #[tokio::test(flavor = "multi_thread")]
                            async fn $case() {
                                $crate::conformance::run($d subject, $crate::conformance::$group::$case).await;
                            }
                        )+
                    }
                )+

                mod random {
                    use super::*;

                    #[tokio::test(flavor = "multi_thread")]
                    async fn walks_match_the_model() {
                        $crate::conformance::walks(|| async { $d subject }).await;
                    }
                }
            };
        }
    };
}

cases! { $
    versions {
        every_write_sets_a_new_version
        a_replace_with_an_old_version_is_rejected
        a_delete_with_an_old_version_is_rejected
        a_recreated_document_matches_no_old_version
        an_absent_document_can_be_neither_replaced_nor_deleted
        an_existing_document_cannot_be_created
        commit_returns_the_version_of_each_operation_in_order
    }
    reads {
        a_ping_succeeds
        a_document_that_was_never_written_is_absent
        a_document_is_read_as_it_was_written
        a_replaced_document_keeps_nothing_of_its_old_content
        documents_with_the_same_id_in_two_collections_are_separate
        ids_are_compared_byte_by_byte
        ids_have_one_to_256_bytes
        get_many_keeps_the_order_of_its_keys_with_absent_and_repeated_ones
        get_many_reads_a_thousand_keys_and_refuses_one_more
        get_many_reads_more_than_sixteen_megabytes
        lookup_follows_a_change_a_delete_and_a_swap
        a_write_of_one_instance_is_read_by_another_at_once
    }
    isolation {
        checks_are_enforced_and_change_nothing
        a_failed_check_rejects_the_whole_batch
        write_skew_through_checks_of_a_version_fails
        write_skew_through_checks_of_absence_fails
        a_cycle_of_three_checks_of_absence_fails
        a_check_of_absence_holds_against_a_plain_create
        transfers_never_change_the_sum_of_all_accounts
        a_transaction_runs_again_if_a_document_that_it_read_was_changed
        a_transaction_that_assumes_an_old_state_runs_again_and_reads
        a_transaction_runs_again_if_a_document_that_it_found_absent_appears
    }
    refusals {
        an_error_of_its_own_ends_a_transaction_and_nothing_is_written
        a_refusal_after_several_reads_rests_on_one_moment
        a_refusal_runs_again_if_a_document_that_it_found_absent_appears
        no_refusal_sees_a_transfer_half_done
    }
    batches {
        a_document_has_one_operation_in_a_batch
        a_batch_without_operations_is_refused
        a_hundred_items_are_committed_and_one_more_is_refused
        guards_and_terms_count_as_items
        a_batch_of_megabytes_is_committed_and_refused_over_the_limit
        every_kind_of_operation_fits_in_one_batch_across_collections
        a_failure_of_the_first_operation_leaves_nothing_behind
        a_failure_of_a_middle_operation_leaves_nothing_behind
        a_failure_of_the_last_operation_leaves_nothing_behind
        the_lowest_of_several_failing_operations_is_reported
        existence_comes_before_uniqueness
        existence_comes_before_the_version
        the_version_comes_before_uniqueness
        existence_comes_before_the_minimum
        the_minimum_comes_before_overflow
        a_lower_taken_value_comes_before_a_higher_missing_document
        a_claim_of_a_value_that_a_stale_operation_releases_is_not_blamed
        a_batch_with_an_invalid_document_is_not_sent
    }
    order {
        strings_are_ordered_by_their_utf8_bytes
        integers_are_ordered_over_all_of_i64
        times_are_ordered_to_the_microsecond
        false_comes_before_true
        equal_sort_values_are_ordered_by_id_and_reversed_with_it
        composite_sorts_compare_field_by_field
        adjacent_strings_are_kept_apart
        partitions_are_compared_byte_by_byte
        the_fields_of_composite_partitions_are_kept_apart
        a_boolean_can_be_a_partition
        a_document_that_lacks_an_indexed_field_is_not_in_the_index
        another_kind_of_value_in_an_indexed_field_is_refused
        a_document_moves_in_its_indexes_when_it_is_replaced
        a_query_returns_complete_documents_with_their_versions
        an_index_over_a_whole_collection_is_ordered_in_both_directions
        a_query_that_does_not_match_its_index_is_refused
    }
    shards {
        shards_of_a_partition_are_read_as_one_ordered_list
        documents_move_between_the_shards_of_two_partitions
        a_range_over_shards_is_paged_within_its_bounds
        an_index_is_complete_after_its_number_of_shards_has_changed
    }
    copies {
        an_index_lists_the_present_content_whatever_it_copies
        an_index_forgets_what_has_moved_or_expired_whatever_it_copies
        filters_find_the_same_whatever_an_index_copies
        what_an_index_copies_can_change
    }
    pages {
        an_empty_result_is_one_empty_page
        limits_around_the_number_of_documents_give_exact_pages
        a_page_holds_1_to_1000_documents
        a_page_holds_a_thousand_documents
        a_page_holds_more_than_a_megabyte
        a_cursor_survives_the_deletion_of_its_anchor
        a_cursor_keeps_its_position_when_its_anchor_moves
        documents_after_a_cursor_are_seen_and_documents_before_it_are_not
        a_page_may_be_continued_with_another_limit
        a_cursor_of_one_instance_works_on_another
        an_altered_cursor_is_refused
        a_cursor_of_another_query_is_refused
        a_cursor_of_another_filter_is_refused
        a_filter_that_rarely_matches_gives_short_pages
        a_result_of_exactly_a_thousand_examined_documents_ends
        a_filtered_page_ends_with_its_last_document
        ranges_include_or_exclude_their_bounds
        a_range_over_the_first_sort_field_includes_every_value_of_the_second
        a_range_is_paged_within_its_bounds
        the_longest_sort_keys_are_paged
    }
    filters {
        a_filter_for_one_value_matches_equal_values
        a_filter_for_a_set_matches_each_of_its_values
        a_filter_for_a_range_includes_or_excludes_its_bounds
        a_filter_for_a_range_of_strings_compares_their_utf8_bytes
        another_kind_of_value_matches_no_filter
        a_missing_field_and_null_match_no_filter
        a_whole_number_matches_in_every_notation
        a_document_must_match_every_filter_of_a_query
        names_and_values_of_filters_are_taken_literally
        a_filter_has_at_most_a_hundred_values
    }
    unique {
        a_taken_value_is_refused_and_its_attribute_is_named
        of_several_taken_values_the_first_attribute_by_name_is_reported
        values_are_compared_byte_by_byte
        null_and_missing_values_are_not_constrained
        a_value_is_freed_by_a_change
        a_value_is_freed_by_a_delete
        an_unchanged_value_never_conflicts
        a_value_is_kept_by_increments_of_its_document
        two_documents_swap_their_values_in_one_batch
        three_documents_rotate_their_values_in_one_batch
        a_value_moves_from_a_deleted_to_a_created_document_in_one_batch
        a_value_moves_along_a_chain_in_one_batch
        two_claims_of_one_value_in_a_batch_are_refused
        a_failed_batch_leaves_no_guard_behind
        a_value_is_released_only_by_its_owner
        a_combination_of_fields_is_unique_as_a_whole
        the_same_value_in_two_attributes_or_collections_is_no_conflict
        the_bounds_of_i64_are_distinct_values
        a_lookup_that_does_not_match_the_declaration_is_refused
    }
    expiry {
        a_document_exists_until_the_microsecond_of_its_expiry
        the_expiry_time_is_kept_to_the_microsecond
        a_document_with_a_past_expiry_time_is_absent_from_the_start
        an_expired_document_is_absent_for_every_operation
        a_document_is_created_over_an_expired_one
        a_document_is_created_over_an_expired_one_with_its_own_values
        expiry_frees_a_unique_value
        a_replace_can_postpone_expiry
        a_replace_can_bring_expiry_forward
        a_replace_can_remove_the_expiry_time
        an_increment_does_not_change_expiry
        pages_are_full_with_expired_documents_in_between
        a_sweep_removes_expired_documents_up_to_its_limit
        a_sweep_removes_guards_entries_and_terms_too
        a_recreated_document_is_not_swept
        an_instance_that_never_migrated_sweeps_too
        a_collection_without_expiry_refuses_an_expiry_time
    }
    values {
        integers_are_exact_over_all_of_i64
        whole_fractions_are_integers
        fractions_are_read_as_written
        numbers_have_the_same_form_in_every_read
        numbers_that_backends_cannot_store_are_refused
        strings_are_read_as_written
        the_null_character_is_refused_everywhere
        empty_values_are_kept_and_null_differs_from_missing
        names_of_fields_are_taken_literally
        declared_fields_may_have_any_name
        thirty_levels_are_kept_and_one_more_is_refused
        a_document_of_350_kibibytes_is_kept_and_one_byte_more_is_refused
        a_document_of_many_small_values_is_kept
        indexed_strings_have_at_most_512_bytes
    }
    search {
        a_document_is_found_by_each_of_its_words
        a_word_is_found_by_its_beginning_and_not_by_its_middle
        every_word_of_a_search_must_match
        words_are_found_in_all_search_fields_and_in_no_others
        case_and_diacritics_make_no_difference
        words_of_every_script_are_found
        apostrophes_are_one_and_may_be_left_out
        words_are_found_whole_and_by_their_parts
        an_address_is_found_by_its_local_part_and_by_its_domain
        metacharacters_have_no_meaning
        results_are_ordered_by_the_matching_word_and_then_by_id
        pages_of_a_search_are_exact
        a_search_finds_hundreds_of_documents_in_one_page
        a_document_with_several_matching_words_is_returned_once
        a_cursor_of_another_search_is_refused
        filters_narrow_a_search
        a_replaced_document_is_found_by_its_new_words_only
        a_deleted_document_is_no_longer_found
        a_search_returns_complete_documents_with_their_versions
        a_document_is_found_by_its_first_words_up_to_the_cap
        long_words_are_cut_alike_in_documents_and_searches
        a_search_has_its_limits
        a_collection_without_search_fields_cannot_be_searched
        searches_of_two_collections_are_separate
    }
    scan {
        a_scan_returns_every_document_once_in_exact_pages
        a_scan_of_an_empty_collection_is_one_empty_page
        a_scan_returns_complete_documents_with_their_versions
        a_scan_continues_on_another_instance
        concurrent_deletions_neither_hide_nor_repeat_other_documents
        concurrent_writes_neither_hide_nor_repeat_existing_documents
        a_scan_holds_more_than_a_megabyte
        ids_of_every_kind_are_scanned
        a_cursor_of_another_scan_is_refused
    }
    increments {
        an_increment_adds_and_sets_a_new_version
        an_increment_changes_only_its_counter
        an_increment_below_its_floor_is_rejected
        a_rejected_increment_keeps_the_version
        overflow_is_rejected_at_both_bounds
        an_increment_needs_its_document
        only_a_declared_counter_is_incremented
        a_document_without_its_counters_is_refused
        increments_of_a_batch_are_applied_atomically
        many_writers_add_up_exactly
        many_takers_never_take_more_than_there_is
    }
    append_only {
        what_is_append_only_is_created_once_and_neither_changed_nor_removed
        what_is_append_only_expires_is_swept_and_may_be_created_again
    }
    additions {
        an_addition_creates_its_document_and_adds_to_it
        an_addition_sets_a_new_version
        an_addition_keeps_the_other_fields_and_sets_the_expiry
        an_expired_tally_begins_again
        a_deleted_tally_begins_again
        concurrent_additions_each_get_their_own_sum
        concurrent_additions_over_an_expired_document_each_get_their_own_sum
        a_tally_that_would_overflow_is_rejected
        a_tally_may_have_any_name
        documents_with_a_tally_are_written_by_additions_alone
        an_addition_needs_a_declared_integer
    }
    concurrency {
        one_of_many_creators_of_an_id_wins
        one_of_many_creators_of_a_unique_value_wins
        every_loser_of_a_race_for_a_unique_value_is_told_so
        one_of_many_changes_to_a_unique_value_wins
        racing_changes_of_a_documents_unique_value_leave_one_guard
        one_of_a_hundred_changes_of_a_version_wins
        one_of_several_racing_deletes_and_changes_wins
        no_update_of_one_document_is_lost
        no_batch_over_the_same_documents_in_different_orders_is_lost
        swapped_values_are_never_lost
        a_cancelled_commit_is_applied_completely_or_not_at_all
        a_value_is_always_held_by_one_document_while_it_moves
        many_handles_see_the_same_state
    }
    histories {
        calls_on_one_document_each_are_linearizable
        transactions_over_several_documents_are_strictly_serializable
    }
    migrate {
        migrating_again_changes_nothing
        instances_can_migrate_at_once
        a_new_index_is_filled_from_the_stored_documents
        a_new_unique_attribute_is_filled_and_then_guards
        a_new_unique_attribute_with_a_duplicate_value_is_refused
        new_search_fields_are_filled_from_the_stored_documents
        changed_search_fields_replace_the_previous_ones
        everything_at_once_is_filled_from_the_stored_documents
        a_changed_index_is_filled_again
        a_changed_unique_attribute_guards_its_new_values
        a_refused_migration_keeps_the_previous_declarations
        a_lookup_ignores_a_guard_that_an_older_program_left_behind
        dropped_declarations_are_complete_when_declared_again
        a_collection_that_is_no_longer_declared_keeps_its_documents
        stored_values_that_do_not_match_a_declaration_count_as_missing
        filled_entries_expire_with_their_documents
        expired_guards_of_a_refused_migration_are_no_duplicates
    }
}
