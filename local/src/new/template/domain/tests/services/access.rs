//! Who may see and change a book.

use switchyard_books::permissions::{BOOKS_READ, BOOKS_WRITE};
use switchyard_books::{BookError, BookFilter};
use switchyard_kernel::{PageRequest, Precondition, Refused};

use crate::world::{World, fields};

switchyard_harness::on_every_backend! {
    a_book_of_another_user_does_not_exist,
    a_reader_sees_the_books_of_all_users_and_changes_none,
    a_writer_changes_the_books_of_all_users_while_they_have_the_permission,
    a_user_whose_session_has_ended_writes_nothing,
    nothing_is_open_to_anonymous_callers,
}

async fn a_book_of_another_user_does_not_exist(world: World) {
    let (_, owner) = world.user("ada").await;
    let (stranger_id, stranger) = world.user("eve").await;
    let id = world.book(&owner, "Private").await.unwrap().value.id;
    let hidden = BookError::from(Refused::NotFound);
    assert_eq!(world.books.get(&stranger, id).await.err(), Some(hidden.clone()));
    let edited = world.books.edit(&stranger, id, &Precondition::None, |_| Ok(fields("Renamed"))).await;
    assert_eq!(edited.err(), Some(hidden.clone()));
    assert_eq!(world.books.delete(&stranger, id, &Precondition::None).await, Err(hidden));
    assert_eq!(world.denials_of(stranger_id).await, 3);
    assert_eq!(world.books.get(&owner, id).await.unwrap().value.title.as_str(), "Private");
}

async fn a_reader_sees_the_books_of_all_users_and_changes_none(world: World) {
    let (_, owner) = world.user("ada").await;
    let (reader_id, reader) = world.user_with(&[BOOKS_READ], "rita").await;
    let id = world.book(&owner, "Public").await.unwrap().value.id;
    assert_eq!(world.books.get(&reader, id).await.unwrap().value.id, id);
    let edited = world.books.edit(&reader, id, &Precondition::None, |_| Ok(fields("Renamed"))).await;
    assert_eq!(edited.err(), Some(Refused::Forbidden.into()));
    assert_eq!(world.books.delete(&reader, id, &Precondition::None).await, Err(Refused::Forbidden.into()));
    assert_eq!(world.denials_of(reader_id).await, 2);
}

async fn a_writer_changes_the_books_of_all_users_while_they_have_the_permission(world: World) {
    let (_, owner) = world.user("ada").await;
    let (writer_id, writer) = world.user_with(&[BOOKS_WRITE], "wim").await;
    let id = world.book(&owner, "First").await.unwrap().value.id;
    let renamed =
        world.books.edit(&writer, id, &Precondition::None, |_| Ok(fields("Renamed"))).await.unwrap();
    assert_eq!(renamed.value.title.as_str(), "Renamed");
    // The access token still names the permission, and no longer counts.
    world.give_role(writer_id, "customer").await;
    let deleted = world.books.delete(&writer, id, &Precondition::None).await;
    assert_eq!(deleted, Err(Refused::NotFound.into()));
    assert_eq!(world.denials_of(writer_id).await, 1);
    world.books.delete(&world.system(), id, &Precondition::None).await.unwrap();
}

async fn a_user_whose_session_has_ended_writes_nothing(world: World) {
    let (user_id, user) = world.user("ada").await;
    let id = world.book(&user, "In time").await.unwrap().value.id;
    world.identity.users().disable(&world.system(), user_id).await.unwrap();
    let refused = Some(BookError::from(Refused::Unauthenticated));
    assert_eq!(world.book(&user, "Too late").await.err(), refused);
    let edited = world.books.edit(&user, id, &Precondition::None, |_| Ok(fields("Too late"))).await;
    assert_eq!(edited.err(), refused);
    assert_eq!(world.books.delete(&user, id, &Precondition::None).await.err(), refused);
    assert_eq!(world.books.get(&world.system(), id).await.unwrap().value.title.as_str(), "In time");
}

async fn nothing_is_open_to_anonymous_callers(world: World) {
    let (_, owner) = world.user("ada").await;
    let id = world.book(&owner, "Closed").await.unwrap().value.id;
    let refused = BookError::from(Refused::Unauthenticated);
    let anyone = world.anyone();
    assert_eq!(world.book(&anyone, "None").await.err(), Some(refused.clone()));
    assert_eq!(world.books.get(&anyone, id).await.err(), Some(refused.clone()));
    let deleted = world.books.delete(&anyone, id, &Precondition::None).await;
    assert_eq!(deleted, Err(refused.clone()));
    let page = PageRequest::first(10);
    let listed = world.books.list(&anyone, &BookFilter::default(), &page).await;
    assert_eq!(listed.err(), Some(refused));
}
