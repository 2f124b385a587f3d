//! The domains that the programs are made of. A new domain adds one line to the list.
//!
//! Tables, permissions, built-in roles, the codes in the API's document and the template of the deployment all follow from
//! this list.

use switchyard_jobs::JobDeclaration;
use switchyard_kernel::Manifests;

/// What every domain declares. Lists of permissions and roles have this order.
pub const ALL: Manifests = &[
    &switchyard_identity::MANIFEST,
    &switchyard_kernel::MANIFEST,
    &switchyard_jobs::MANIFEST,
    &switchyard_sealing::MANIFEST,
];

/// The kinds of jobs of every domain. A worker has a handler for each of them.
pub const JOBS: &[&[JobDeclaration]] = &[switchyard_jobs::JOBS];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Debug;

    use switchyard_kernel::Manifest;

    use super::ALL;

    /// Everything that the manifests declare of one kind.
    fn declared<T: Copy>(of: fn(&Manifest) -> &'static [T]) -> Vec<T> {
        ALL.iter().flat_map(|manifest| of(manifest)).copied().collect()
    }

    #[track_caller]
    fn assert_distinct<T: Ord + Debug>(names: impl IntoIterator<Item = T>) {
        let mut seen = BTreeSet::new();
        for name in names {
            assert!(!seen.contains(&name), "{name:?} is declared twice");
            seen.insert(name);
        }
        assert!(seen.len() > 1, "something is declared");
    }

    fn is_words(name: &str, separator: char) -> bool {
        let mut words = name.split(separator);
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'-' | b'_'))
        };
        words.clone().count() == 2 && words.all(is_word)
    }

    #[test]
    fn collections_and_roles_have_distinct_names() {
        assert_distinct(declared(|manifest| manifest.collections).iter().map(|collection| collection.name));
        assert_distinct(declared(|manifest| manifest.roles).iter().map(|role| role.name));
        assert_distinct(ALL.iter().map(|manifest| manifest.name));
    }

    #[test]
    fn permissions_are_named_by_resource_and_verb_and_described_by_a_sentence() {
        let permissions = declared(|manifest| manifest.permissions);
        assert_distinct(permissions.iter().map(|permission| permission.name()));
        for permission in permissions {
            assert!(is_words(permission.name(), ':'), "{permission}");
            assert!(permission.description().ends_with('.'), "{permission}");
        }
    }

    #[test]
    fn built_in_roles_permit_what_is_declared() {
        let permissions = declared(|manifest| manifest.permissions);
        for role in declared(|manifest| manifest.roles) {
            assert!(role.permissions.iter().all(|permission| permissions.contains(permission)), "{role:?}");
        }
    }

    #[test]
    fn actions_are_named_by_resource_and_verb() {
        let actions = declared(|manifest| manifest.actions);
        assert_distinct(actions.iter().map(|action| action.as_str()));
        for action in actions {
            assert!(is_words(action.as_str(), '.'), "{action:?}");
        }
    }

    #[test]
    fn a_code_and_its_kind_name_one_case() {
        let codes = declared(|manifest| manifest.codes);
        assert_distinct(codes.iter().map(|code| (code.name(), code.kind())));
        for code in codes {
            assert!(code.name().bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{code}");
            assert!(code.message().ends_with('.'), "{code}");
        }
    }
}
