//! Lists: pages, orders, searches, filters.

use std::time::Duration;

use serde_json::Value;
use switchyard_harness::app::{App, Person};

use crate::text::encoded;

crate::on_every_backend!(
    a_list_is_read_page_by_page_while_it_changes,
    a_list_starts_with_the_latest_by_default,
    users_are_found_by_the_beginnings_of_their_words,
    filters_are_combined,
    a_cursor_that_was_altered_or_belongs_elsewhere_is_refused,
);

/// Registers `count` users, one second apart.
async fn register_many(app: &App, count: usize) -> Vec<Person> {
    let mut people = Vec::new();
    for n in 0..count {
        app.wait(Duration::from_secs(1));
        people.push(app.register(&format!("User{n:02}")).await);
    }
    people
}

fn names(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap()).collect()
}

async fn a_list_is_read_page_by_page_while_it_changes(app: App) {
    let admin = app.admin().await;
    let people = register_many(&app, 9).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    let mut pages = 0;
    loop {
        let page = app.get(&format!("/users?sort=created_at&limit=4{cursor}")).by(&admin).await.expect(200);
        seen.extend(names(&page).into_iter().map(str::to_owned));
        pages += 1;
        assert_eq!(page["pagination"]["limit"], 4);
        assert_eq!(page["pagination"]["has_more"], page["pagination"]["next_cursor"].is_string());
        if pages == 1 {
            // The last user of the page is deleted, and another one is added at the end of the list.
            assert_eq!(app.delete(&format!("/users/{}", people[2].id)).by(&admin).await.status, 204);
            app.wait(Duration::from_secs(1));
            app.register("Late").await;
        }
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected = [
        "Administrator",
        "User00",
        "User01",
        "User02",
        "User03",
        "User04",
        "User05",
        "User06",
        "User07",
        "User08",
        "Late",
    ];
    assert_eq!(seen, expected);
}

async fn a_list_starts_with_the_latest_by_default(app: App) {
    app.admin().await;
    register_many(&app, 3).await;
    let admin = app.sign_in("admin@example.com").await;
    let list = async |query: &str| app.get(&format!("/users{query}")).by(&admin).await.expect(200);
    assert_eq!(names(&list("").await), ["User02", "User01", "User00", "Administrator"]);
    assert_eq!(names(&list("?sort=-created_at").await), ["User02", "User01", "User00", "Administrator"]);
    assert_eq!(names(&list("?sort=created_at").await), ["Administrator", "User00", "User01", "User02"]);
}

async fn users_are_found_by_the_beginnings_of_their_words(app: App) {
    let admin = app.admin().await;
    for name in ["Ada", "Adele", "Grace"] {
        app.register(name).await;
    }
    let path = "/users?q=ada";
    let found = app.get(path).by(&admin).await.expect(200);
    assert_eq!(names(&found), ["Ada"]);
    let list = async |query: &str| app.get(&format!("/users?{query}")).by(&admin).await.expect(200);
    assert_eq!(names(&list("q=AD").await), ["Ada", "Adele", "Administrator"]);
    assert_eq!(names(&list("q=grace@example.com").await), ["Grace"]);
    assert_eq!(names(&list("q=ada+grace").await), Vec::<&str>::new());
    assert_eq!(names(&list("q=nobody").await), Vec::<&str>::new());
    assert_eq!(names(&list("q=a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p").await), Vec::<&str>::new());
    for seventeen in ["a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q", "一二三四五六七八九十百千万上下左右"]
    {
        let answer = app.get(&format!("/users?q={}", encoded(seventeen))).by(&admin).await;
        assert_eq!(answer.error(), (400, "VALIDATION_ERROR".to_owned()), "{seventeen}");
    }
    assert_eq!(names(&list("q=").await).len(), 4, "an empty search does not filter");

    app.register("O’Connor").await;
    for query in ["q=o'connor", "q=oconnor", "q=CONNOR", "q=o%E2%80%99connor@example.com"] {
        assert_eq!(names(&list(query).await), ["O’Connor"], "{query}");
    }
    assert_eq!(names(&list("q=o'connor+example.com").await), ["O’Connor"]);
    assert_eq!(names(&list("q=com").await), Vec::<&str>::new());

    let first = list("q=ad&limit=2").await;
    assert_eq!(names(&first), ["Ada", "Adele"]);
    let next = first["pagination"]["next_cursor"].as_str().unwrap();
    assert_eq!(names(&list(&format!("q=ad&limit=2&cursor={next}")).await), ["Administrator"]);
}

async fn filters_are_combined(app: App) {
    let admin = app.admin().await; // at 03:33:20
    let people = register_many(&app, 4).await;
    for person in &people[1..3] {
        app.post(&format!("/users/{}/disable", person.id)).by(&admin).await.expect(200);
    }
    let list =
        async |query: &str| app.get(&format!("/users?sort=created_at&{query}")).by(&admin).await.expect(200);
    assert_eq!(names(&list("role=admin").await), ["Administrator"]);
    assert_eq!(names(&list("status=disabled").await), ["User01", "User02"]);
    assert_eq!(names(&list("status=active&role=customer").await), ["Administrator", "User00", "User03"]);
    assert_eq!(names(&list("created_from=2033-05-18T03:33:23Z").await), ["User02", "User03"]);
    assert_eq!(names(&list("created_to=2033-05-18T03:33:21Z").await), ["Administrator", "User00"]);
    let window = "created_from=2033-05-18T05:33:21%2B02:00&created_to=2033-05-18T03:33:23.000Z";
    assert_eq!(names(&list(window).await), ["User00", "User01", "User02"]);
    assert_eq!(names(&list(&format!("{window}&status=disabled&q=user02")).await), ["User02"]);
    assert_eq!(names(&list(&format!("{window}&role=customer&status=disabled")).await), ["User01", "User02"]);
    assert_eq!(names(&list("role=no-such-role").await), Vec::<&str>::new());
}

async fn a_cursor_that_was_altered_or_belongs_elsewhere_is_refused(app: App) {
    let admin = app.admin().await;
    register_many(&app, 3).await;
    let page = app.get("/users?limit=1").by(&admin).await.expect(200);
    let cursor = page["pagination"]["next_cursor"].as_str().unwrap();
    let mut altered = cursor.to_owned();
    let last = altered.pop().unwrap();
    altered.push(if last == 'A' { 'B' } else { 'A' });
    let uses = [
        format!("/users?limit=1&cursor={altered}"),
        "/users?limit=1&cursor=nonsense".to_owned(),
        "/users?limit=1&cursor=".to_owned(),
        format!("/users?limit=1&status=disabled&cursor={cursor}"),
        format!("/roles?cursor={cursor}"),
        format!("/permissions?cursor={cursor}"),
        format!("/audit-logs?cursor={cursor}"),
        format!("/audit-logs/verify?cursor={cursor}"),
    ];
    for path in uses {
        let answer = app.get(&path).by(&admin).await;
        assert_eq!(answer.error(), (400, "VALIDATION_ERROR".to_owned()), "{path}");
        assert!(answer.details()["cursor"].is_string(), "{path}: {answer:?}");
    }
}
