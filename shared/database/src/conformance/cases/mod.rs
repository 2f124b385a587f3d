//! The cases, in groups, and the one list of them.

/// Declares the groups with their cases, and makes of the one list what programs and tests use.
macro_rules! cases {
    ($d:tt $($(#[doc = $doc:literal])+ $group:ident { $($case:ident)+ })+) => {
        $(
            $(#[doc = $doc])+
            #[expect(missing_docs, reason = "a case is named by the sentence that it pins")]
            pub mod $group;
        )+

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
        /// a [`Subject`](crate::conformance::Subject), made anew for each case, in an async function.
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
            };
        }
    };
}

cases! { $
    /// What a version is, and what a write needs it for.
    versions {
        every_write_gives_a_version_that_was_never_there_before
        a_replace_with_an_old_version_is_rejected
        a_delete_with_an_old_version_is_rejected
        a_document_that_was_created_again_matches_no_old_version
        what_is_absent_can_be_neither_replaced_nor_deleted
        what_is_there_cannot_be_created
        commit_answers_with_the_version_of_each_operation_in_order
    }
    /// Reads by key and by unique attribute.
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
    /// Commits behave as if one came after the other.
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
    /// What a batch may hold, and which of its failures is told.
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
    /// The order of an index, and what is in it.
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
    /// Pages, cursors and ranges.
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
    /// Filters on top of an index.
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
    /// Unique attributes.
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
    /// Counters.
    increments {
        an_increment_below_its_floor_is_rejected
    }
}
