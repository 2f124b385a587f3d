//! The cases, in groups, and the one list of them.
#![expect(missing_docs, reason = "a case is named by the sentence that it pins")]

/// What a batch may hold, and which of its failures is told.
pub mod batches;
/// Many writers at once.
pub mod concurrency;
/// Documents that cease to be.
pub mod expiry;
/// Filters on top of an index.
pub mod filters;
/// What concurrent callers see, explained by one order of all that they did.
pub mod histories;
/// Counters.
pub mod increments;
/// Commits behave as if one came after the other.
pub mod isolation;
/// Bringing a store to its declarations.
pub mod migrate;
/// The order of an index, and what is in it.
pub mod order;
/// Pages, cursors and ranges.
pub mod pages;
/// Reads by key and by unique attribute.
pub mod reads;
/// Reading a whole collection.
pub mod scan;
/// Search by words.
pub mod search;
/// Unique attributes.
pub mod unique;
/// Numbers, strings, names and sizes.
pub mod values;
/// What a version is, and what a write needs it for.
pub mod versions;

/// Makes of the one list of all cases what programs and tests use.
macro_rules! cases {
    ($d:tt $($group:ident { $($case:ident)+ })+) => {
        /// Every case: its group and its name.
        pub const CASES: &[(&str, &str)] = &[$($((stringify!($group), stringify!($case)),)+)+];

        /// Runs the case `name` of [`CASES`] on a store; `None` where there is no such case.
        ///
        /// # Panics
        ///
        /// When the case fails.
        pub async fn run_named(subject: impl super::Subject, name: &str) -> Option<()> {
            match name {
                $($(stringify!($case) => super::run(subject, $group::$case).await,)+)+
                _ => return None,
            }
            Some(())
        }

        /// Writes one test for each case of the [suite](crate::conformance), run on the store that the expression makes:
        /// a [`Subject`](crate::conformance::Subject), made anew for each case, in an async function; and one for
        /// [`walks`](crate::conformance::walks).
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
                    async fn walks_are_as_the_model() {
                        $crate::conformance::walks(|| async { $d subject }).await;
                    }
                }
            };
        }
    };
}

cases! { $
    versions {
        every_write_gives_a_version_that_was_never_there_before
        a_replace_with_an_old_version_is_rejected
        a_delete_with_an_old_version_is_rejected
        a_document_that_was_created_again_matches_no_old_version
        what_is_absent_can_be_neither_replaced_nor_deleted
        what_is_there_cannot_be_created
        commit_answers_with_the_version_of_each_operation_in_order
    }
    reads {
        a_database_that_is_there_answers_a_ping
        what_was_never_written_is_absent
        a_document_is_read_as_it_was_written
        a_replaced_document_keeps_nothing_of_its_old_content
        documents_of_one_id_in_two_collections_are_apart
        ids_are_compared_byte_by_byte
        ids_have_one_to_256_bytes
        get_many_keeps_order_holes_and_repeats
        get_many_reads_a_thousand_keys_and_refuses_one_more
        get_many_reads_more_than_sixteen_megabytes
        lookup_follows_a_change_a_delete_and_a_swap
        what_one_instance_writes_another_reads_at_once
    }
    isolation {
        checks_are_held_and_change_nothing
        a_check_holds_back_what_stands_beside_it
        write_skew_through_checks_of_a_version_fails
        write_skew_through_checks_of_absence_fails
        a_cycle_of_three_checks_of_absence_fails
        a_check_of_absence_holds_against_a_plain_create
        transfers_keep_the_sum_that_an_auditor_sees
        a_transaction_runs_again_when_what_it_read_was_changed
        a_transaction_runs_again_when_what_it_found_absent_appears
        an_error_of_its_own_ends_a_transaction_and_nothing_is_written
    }
    batches {
        a_document_has_one_operation_in_a_batch
        a_batch_without_operations_is_refused
        a_hundred_items_are_committed_and_one_more_is_refused
        guards_and_terms_count_as_items
        a_batch_of_megabytes_is_committed_whole_and_refused_over_the_limit
        every_kind_of_operation_fits_in_one_batch_across_collections
        a_failure_of_the_first_operation_leaves_nothing_behind
        a_failure_of_a_middle_operation_leaves_nothing_behind
        a_failure_of_the_last_operation_leaves_nothing_behind
        of_several_failures_the_lowest_operation_is_named
        existence_comes_before_uniqueness
        existence_comes_before_the_version
        the_version_comes_before_uniqueness
        existence_comes_before_the_minimum
        the_minimum_comes_before_overflow
        a_lower_taken_value_comes_before_a_higher_missing_document
        a_claim_of_a_value_that_a_stale_operation_lets_go_is_not_to_blame
        an_invalid_document_keeps_its_batch_from_being_sent
    }
    order {
        strings_are_ordered_by_their_utf8_bytes
        integers_are_ordered_over_all_of_i64
        times_are_ordered_to_the_microsecond
        false_comes_before_true
        equal_sort_values_are_ordered_by_id_and_reversed_with_it
        composite_sorts_compare_field_by_field
        strings_beside_each_other_do_not_run_into_each_other
        partitions_are_compared_byte_by_byte
        composite_partitions_do_not_run_into_each_other
        a_boolean_can_be_a_partition
        a_document_that_lacks_an_indexed_field_is_not_in_the_index
        another_kind_of_value_in_an_indexed_field_is_refused
        a_document_moves_in_its_indexes_when_it_is_replaced
        a_query_gives_documents_whole_and_in_their_versions
        an_index_over_a_whole_collection_is_in_one_order_both_ways
        a_query_that_does_not_fit_its_index_is_refused
    }
    pages {
        an_empty_result_is_one_empty_page
        limits_around_the_number_of_documents_give_exact_pages
        a_page_holds_1_to_1000_documents
        a_page_holds_a_thousand_documents
        a_page_holds_more_than_a_megabyte
        a_cursor_survives_the_deletion_of_its_anchor
        a_cursor_stays_where_its_anchor_was_when_that_moves
        what_comes_before_a_cursor_is_not_seen_and_what_comes_behind_it_is
        a_page_may_be_continued_with_another_limit
        a_cursor_of_one_instance_works_on_another
        an_altered_cursor_is_refused
        a_borrowed_cursor_is_refused
        a_cursor_of_one_filter_is_refused_by_another
        a_filter_that_fits_rarely_gives_short_pages
        a_thousand_documents_examined_are_the_end_when_there_are_no_more
        a_filtered_page_ends_with_its_last_document
        ranges_take_their_ends_in_or_leave_them_out
        a_range_over_the_first_sort_field_takes_all_that_begins_with_it
        a_range_is_paged_within_its_ends
        the_longest_sort_keys_are_paged
    }
    filters {
        a_filter_for_one_value_lets_through_what_equals_it
        a_filter_for_a_set_lets_through_each_of_its_values
        a_filter_for_a_range_takes_its_ends_in_or_leaves_them_out
        a_filter_for_a_range_of_strings_compares_their_utf8_bytes
        another_kind_of_value_fits_no_filter
        a_missing_field_and_null_fit_no_filter
        a_whole_number_fits_however_it_was_written
        a_document_fits_every_filter_of_a_query
        names_and_values_of_filters_mean_nothing_but_themselves
        a_filter_has_a_hundred_values_and_no_more
    }
    unique {
        a_taken_value_is_refused_and_its_attribute_named
        of_two_taken_values_the_attribute_first_by_name_is_told
        values_are_compared_byte_by_byte
        null_and_missing_values_are_not_constrained
        a_value_is_freed_by_a_change
        a_value_is_freed_by_a_delete
        an_unchanged_value_stays_free_of_conflict
        a_value_outlives_increments_of_its_document
        two_documents_swap_their_values_in_one_batch
        three_documents_rotate_their_values_in_one_batch
        a_value_moves_from_a_deleted_to_a_created_document_in_one_batch
        a_value_moves_along_a_chain_in_one_batch
        two_claims_of_one_value_in_a_batch_are_refused
        a_failed_batch_leaves_no_guard_behind
        a_value_is_released_by_its_owner_only
        a_combination_of_fields_is_unique_as_a_whole
        one_value_in_two_attributes_or_collections_is_no_conflict
        the_ends_of_i64_are_values_of_their_own
        a_lookup_that_does_not_fit_the_declaration_is_refused
    }
    expiry {
        a_document_is_there_until_the_microsecond_in_which_it_expires
        the_time_of_expiry_is_kept_to_the_microsecond
        a_document_whose_time_has_passed_is_absent_from_the_start
        what_has_expired_is_absent_for_every_operation
        a_document_is_created_over_an_expired_one
        a_document_is_created_over_an_expired_one_with_its_own_values
        expiry_frees_a_unique_value
        a_replace_can_put_off_expiry
        a_replace_can_bring_expiry_forward
        a_replace_can_end_expiry
        an_increment_leaves_expiry_as_it_is
        pages_are_full_where_expired_documents_lie_between
        a_sweep_removes_what_has_expired_up_to_its_bound
        a_sweep_removes_guards_entries_and_terms_too
        what_was_created_again_is_not_swept
        an_instance_that_never_migrated_sweeps_too
        a_collection_that_does_not_expire_refuses_a_time
    }
    values {
        integers_are_exact_over_all_of_i64
        whole_fractions_are_integers
        fractions_come_back_as_they_were
        numbers_have_one_form_however_they_are_read
        numbers_that_no_backend_can_keep_are_refused
        strings_come_back_byte_by_byte
        the_null_character_is_refused_everywhere
        what_is_empty_is_kept_and_null_differs_from_missing
        names_of_fields_mean_nothing_but_themselves
        declared_fields_may_have_any_name
        thirty_levels_are_kept_and_one_more_is_refused
        a_document_of_350_kibibytes_is_kept_and_one_byte_more_is_refused
        a_document_of_many_small_values_is_kept
        indexed_strings_have_512_bytes_at_the_most
    }
    search {
        a_document_is_found_by_each_of_its_words
        a_word_is_found_by_its_beginning_and_not_by_its_middle
        every_word_of_a_search_has_to_be_there
        words_are_found_across_all_search_fields_and_in_no_other
        case_and_diacritics_make_no_difference
        words_of_every_script_are_found
        metacharacters_mean_nothing
        what_is_found_is_in_the_order_of_the_word_it_was_met_by_and_then_of_the_id
        pages_of_a_search_are_exact
        a_search_finds_hundreds_of_documents_in_one_page
        a_document_met_under_several_words_comes_once
        a_cursor_of_another_search_is_refused
        filters_narrow_a_search
        a_replaced_document_is_found_by_its_new_words_only
        a_deleted_document_is_found_no_more
        a_search_gives_documents_whole_and_in_their_versions
        a_document_is_found_by_its_first_words_up_to_the_cap
        long_words_are_cut_alike_in_documents_and_searches
        a_search_has_its_limits
        a_collection_without_search_fields_cannot_be_searched
        searches_of_two_collections_are_apart
    }
    scan {
        a_scan_meets_every_document_once_in_exact_pages
        a_scan_of_an_empty_collection_is_one_empty_page
        a_scan_gives_documents_whole_and_in_their_versions
        a_scan_goes_on_on_another_instance
        deletions_meanwhile_lose_and_double_nothing_that_stays
        writes_meanwhile_leave_every_lasting_document_met_once
        a_scan_holds_more_than_a_megabyte
        ids_of_every_kind_are_scanned
        a_cursor_that_is_not_of_this_scan_is_refused
    }
    increments {
        an_increment_adds_and_gives_a_new_version
        an_increment_touches_nothing_but_its_counter
        an_increment_below_its_floor_is_rejected
        a_rejected_increment_leaves_the_version
        overflow_is_rejected_at_both_ends
        an_increment_needs_its_document
        only_a_declared_counter_is_incremented
        a_document_without_its_counters_is_refused
        increments_of_a_batch_are_applied_all_or_not_at_all
        many_writers_add_up_exactly
        many_takers_take_what_is_there_and_no_more
    }
    concurrency {
        of_many_creators_of_one_id_one_wins
        of_many_creators_of_one_unique_value_one_wins
        of_many_changes_to_one_unique_value_one_wins
        racing_changes_of_one_documents_unique_value_leave_one_guard
        of_a_hundred_changes_to_one_version_one_wins
        of_racing_deletes_and_changes_one_wins
        many_updates_of_one_document_all_count
        batches_over_the_same_documents_in_different_orders_all_count
        values_that_are_swapped_are_never_lost
        a_commit_that_is_cancelled_is_applied_whole_or_not_at_all
        a_value_is_always_held_by_one_document_while_it_moves
        many_handles_find_the_store_in_one_state
    }
    histories {
        calls_on_one_document_each_are_linearizable
        transactions_over_several_documents_are_strictly_serializable
    }
    migrate {
        migrating_again_changes_nothing
        instances_that_migrate_at_once_do_not_disturb_each_other
        a_new_index_is_filled_from_what_is_stored
        a_new_unique_attribute_is_filled_and_then_guards
        a_new_unique_attribute_with_a_value_twice_is_refused
        new_search_fields_are_filled_from_what_is_stored
        other_search_fields_take_the_place_of_the_old_ones
        everything_at_once_is_filled_from_what_is_stored
        an_index_that_changes_is_filled_anew
        a_unique_attribute_that_changes_guards_its_new_values
        a_migration_that_is_refused_has_taken_nothing_from_what_was_declared_before
        a_lookup_finds_no_document_that_an_older_program_gave_another_value
        what_is_dropped_and_declared_again_is_complete
        a_collection_that_is_declared_no_more_keeps_its_documents
        stored_values_that_do_not_fit_a_declaration_stay_out_of_it
        what_is_filled_in_expires_with_its_document
        what_a_refused_migration_filled_in_is_no_value_twice_once_it_has_expired
    }
}
