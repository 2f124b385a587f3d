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
    /// What a version is.
    versions {
        every_write_gives_a_version_that_was_never_there_before
        a_replace_with_an_old_version_is_rejected
    }
    /// Commits behave as if one came after the other.
    isolation {
        write_skew_through_checks_of_a_version_fails
    }
    /// Counters.
    increments {
        an_increment_below_its_floor_is_rejected
    }
}
