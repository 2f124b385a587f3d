//! Creating, changing and deleting books, and what the audit log has of it.

use std::time::Duration;

use serde_json::json;
use switchyard_books::{BookError, BookFields};
use switchyard_kernel::{Context, DomainError as _, EntityTag, MergePatch, Precondition, Refused};

use crate::world::{World, fields};

switchyard_harness::on_every_backend! {
    a_book_is_created_changed_and_deleted_and_every_write_is_audited,
    a_patch_keeps_what_it_leaves_out_and_removes_what_it_sets_to_null,
    a_change_that_changes_nothing_writes_nothing,
    a_change_of_another_state_than_the_stored_one_is_refused,
}

async fn a_book_is_created_changed_and_deleted_and_every_write_is_audited(world: World) {
    let (owner_id, owner) = world.user("ada").await;
    let created = world.book(&owner, "First").await.unwrap();
    assert_eq!((created.value.owner_id, created.value.title.as_str()), (owner_id, "First"));

    world.clock.advance(Duration::from_secs(60));
    let later = Context { now: world.anyone().now, ..owner.clone() };
    let id = created.value.id;
    let second = |_: &BookFields| Ok(fields("Second"));
    let changed = world.books.edit(&later, id, &Precondition::None, second).await.unwrap();
    assert_eq!(changed.value.title.as_str(), "Second");
    assert_eq!(changed.value.created_at, created.value.created_at);
    assert!(changed.value.updated_at > created.value.updated_at);
    assert_ne!(changed.tag, created.tag);
    assert_eq!(world.books.get(&owner, id).await.unwrap(), changed);

    world.books.delete(&later, id, &Precondition::None).await.unwrap();
    assert_eq!(world.books.get(&owner, id).await.err(), Some(Refused::NotFound.into()));
    let expected = ["book.deleted Success", "book.changed Success", "book.created Success"];
    let mut audited = world.audited(owner_id).await;
    audited.sort_by_key(|entry| expected.iter().position(|expected| entry == expected));
    assert_eq!(audited, expected);
}

async fn a_patch_keeps_what_it_leaves_out_and_removes_what_it_sets_to_null(world: World) {
    let (_, owner) = world.user("ada").await;
    let with_description =
        BookFields { description: Some("A few words.".parse().unwrap()), ..fields("First") };
    let id = world.books.create(&owner, &with_description).await.unwrap().value.id;
    let patch = async |patch: serde_json::Value| {
        let patch = MergePatch::new(patch).unwrap();
        world.books.edit(&owner, id, &Precondition::None, |present| patch.apply_to(present)).await
    };
    let renamed = patch(json!({"title": "Second"})).await.unwrap().value;
    assert_eq!((renamed.title.as_str(), renamed.description), ("Second", with_description.description));
    assert_eq!(patch(json!({"description": null})).await.unwrap().value.description, None);
    let details = patch(json!({"title": ""})).await.unwrap_err().into_report().details;
    assert_eq!(details["title"], "must have 1 to 200 characters");
}

async fn a_change_that_changes_nothing_writes_nothing(world: World) {
    let (owner_id, owner) = world.user("ada").await;
    let created = world.book(&owner, "Same").await.unwrap();
    let same = |present: &BookFields| Ok(present.clone());
    let unchanged = world.books.edit(&owner, created.value.id, &Precondition::None, same).await.unwrap();
    assert_eq!(unchanged, created);
    assert_eq!(world.audited(owner_id).await, ["book.created Success"]);
}

async fn a_change_of_another_state_than_the_stored_one_is_refused(world: World) {
    let (owner_id, owner) = world.user("ada").await;
    let created = world.book(&owner, "First").await.unwrap();
    let id = created.value.id;
    let refused = BookError::from(Refused::PreconditionFailed);
    let other = Precondition::Matches(vec![EntityTag::new("other")]);
    let second = |_: &BookFields| Ok(fields("Second"));
    assert_eq!(world.books.edit(&owner, id, &other, second).await.err(), Some(refused.clone()));
    assert_eq!(world.books.delete(&owner, id, &other).await, Err(refused.clone()));
    assert_eq!(world.audited(owner_id).await, ["book.created Success"]);

    // Of two concurrent changes of one state, one is made.
    let current = Precondition::Matches(vec![created.tag]);
    let (one, two) = futures::join!(
        world.books.edit(&owner, id, &current, |_| Ok(fields("One"))),
        world.books.edit(&owner, id, &current, |_| Ok(fields("Two"))),
    );
    let errors: Vec<_> = [one.err(), two.err()].into_iter().flatten().collect();
    assert_eq!(errors, [refused]);
}
