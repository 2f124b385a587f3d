//! Lists and searches.

use std::time::Duration;

use switchyard_books::BookFilter;
use switchyard_books::permissions::BOOKS_READ;
use switchyard_kernel::{Context, PageRequest, Refused};

use crate::world::World;

switchyard_harness::on_every_backend! {
    users_list_their_own_books_and_readers_those_of_all,
    a_list_is_read_page_by_page_the_latest_first,
    a_search_finds_the_words_of_titles_among_the_visible_books,
}

async fn titles(world: &World, context: &Context, filter: &BookFilter) -> Vec<String> {
    let page = world.books.list(context, filter, &PageRequest::first(100)).await.unwrap();
    page.data.iter().map(|book| book.title.to_string()).collect()
}

async fn users_list_their_own_books_and_readers_those_of_all(world: World) {
    let (ada_id, ada) = world.user("ada").await;
    let (ben_id, ben) = world.user("ben").await;
    world.book(&ada, "Of Ada").await.unwrap();
    world.book(&ben, "Of Ben").await.unwrap();
    let all = BookFilter::default();
    let of_ben = BookFilter { owner_id: Some(ben_id), ..BookFilter::default() };
    assert_eq!(titles(&world, &ada, &all).await, ["Of Ada"]);
    assert_eq!(titles(&world, &ben, &of_ben).await, ["Of Ben"]);

    let refused = world.books.list(&ada, &of_ben, &PageRequest::first(1)).await;
    assert_eq!(refused.err(), Some(Refused::Forbidden.into()));
    assert_eq!(world.denials_of(ada_id).await, 1);

    let (_, reader) = world.user_with(&[BOOKS_READ], "rita").await;
    let mut both = titles(&world, &reader, &all).await;
    both.sort_unstable();
    assert_eq!(both, ["Of Ada", "Of Ben"]);
    assert_eq!(titles(&world, &reader, &of_ben).await, ["Of Ben"]);
}

async fn a_list_is_read_page_by_page_the_latest_first(world: World) {
    let (_, ada) = world.user("ada").await;
    for title in ["First", "Second", "Third"] {
        let context = Context { now: world.anyone().now, ..ada.clone() };
        world.book(&context, title).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    let (mut request, mut read) = (PageRequest::first(2), Vec::new());
    loop {
        let page = world.books.list(&ada, &BookFilter::default(), &request).await.unwrap();
        read.extend(page.data.iter().map(|book| book.title.to_string()));
        let Some(cursor) = page.next_cursor() else { break };
        request = PageRequest::after(2, cursor);
    }
    assert_eq!(read, ["Third", "Second", "First"]);
}

async fn a_search_finds_the_words_of_titles_among_the_visible_books(world: World) {
    let (_, ada) = world.user("ada").await;
    let (_, ben) = world.user("ben").await;
    world.book(&ada, "Green Tea").await.unwrap();
    world.book(&ada, "Black coffee").await.unwrap();
    world.book(&ben, "Green apples").await.unwrap();
    let words = |words: &str| BookFilter { q: Some(words.to_owned()), ..BookFilter::default() };
    assert_eq!(titles(&world, &ada, &words("gree")).await, ["Green Tea"]);
    assert_eq!(titles(&world, &ada, &words("tea green")).await, ["Green Tea"]);
    assert_eq!(titles(&world, &ada, &words("apples")).await, Vec::<String>::new());
    let (_, reader) = world.user_with(&[BOOKS_READ], "rita").await;
    assert_eq!(titles(&world, &reader, &words("green")).await.len(), 2);
}
