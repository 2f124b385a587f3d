//! How many books a user may have.

use futures::future::join_all;
use switchyard_books::{BookError, BookFilter};
use switchyard_kernel::{PageRequest, Precondition};

use crate::world::{World, fields};

switchyard_harness::on_every_backend! {
    concurrent_requests_do_not_exceed_the_limit,
    a_deleted_book_frees_its_place,
}

async fn concurrent_requests_do_not_exceed_the_limit(world: World) {
    let (owner_id, owner) = world.user("ada").await;
    let (_, other) = world.user("ben").await;
    let books = world.books.clone().with_limit(3);
    let created = join_all((0..8).map(|n| {
        let (books, owner) = (&books, &owner);
        async move { books.create(owner, &fields(&format!("Number {n}"))).await.map(|_| ()) }
    }))
    .await;
    let made = created.iter().filter(|result| result.is_ok()).count();
    let refused = created.iter().filter(|result| **result == Err(BookError::LimitReached)).count();
    assert_eq!((made, refused), (3, 5), "{created:?}");
    let page = books.list(&owner, &BookFilter::default(), &PageRequest::first(100)).await.unwrap();
    assert_eq!(page.data.len(), 3);
    assert_eq!(world.audited(owner_id).await, ["book.created Success"; 3]);
    // The limit is each user's own.
    books.create(&other, &fields("Another user's")).await.unwrap();
}

async fn a_deleted_book_frees_its_place(world: World) {
    let (_, owner) = world.user("ada").await;
    let books = world.books.clone().with_limit(1);
    let first = books.create(&owner, &fields("First")).await.unwrap();
    assert_eq!(books.create(&owner, &fields("Second")).await.err(), Some(BookError::LimitReached));
    // Of concurrent deletions, one deletes the book and frees its place.
    let deletions = join_all((0..4).map(|_| books.delete(&owner, first.value.id, &Precondition::None))).await;
    assert_eq!(deletions.iter().filter(|result| result.is_ok()).count(), 1, "{deletions:?}");
    books.create(&owner, &fields("Second")).await.unwrap();
    assert_eq!(books.create(&owner, &fields("Third")).await.err(), Some(BookError::LimitReached));
}
