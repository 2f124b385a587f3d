use serde_json::{Value, json};

use crate::harness::{TestApi, get};

fn texts(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|note| note["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let api = TestApi::new().await;
    for text in ["a", "b", "c"] {
        api.note(text).await;
        api.clock.advance(std::time::Duration::from_secs(1));
    }
    let first = api.send(get("/notes?limit=2").bearer("ada")).await.json();
    assert_eq!(texts(&first), ["a", "b"]);
    assert_eq!((&first["pagination"]["limit"], &first["pagination"]["has_more"]), (&json!(2), &json!(true)));
    let cursor = first["pagination"]["next_cursor"].as_str().unwrap();
    let last = api.send(get(&format!("/notes?limit=2&cursor={cursor}")).bearer("ada")).await.json();
    assert_eq!(texts(&last), ["c"]);
    assert_eq!(last["pagination"], json!({ "limit": 2, "next_cursor": null, "has_more": false }));
}

#[tokio::test]
async fn without_a_limit_a_page_has_twenty_items() {
    let api = TestApi::new().await;
    let page = api.send(get("/notes").bearer("ada")).await.json();
    assert_eq!(
        page,
        json!({ "data": [], "pagination": { "limit": 20, "next_cursor": null, "has_more": false } })
    );
}

#[tokio::test]
async fn a_cursor_that_was_altered_is_refused() {
    let api = TestApi::new().await;
    let answer = api.send(get("/notes?cursor=abc").bearer("ada")).await;
    assert_eq!(
        answer.details(),
        json!({ "cursor": "is not a cursor of this list; start again without one" })
    );
}

#[tokio::test]
async fn all_faults_of_a_query_are_reported_at_once() {
    let api = TestApi::new().await;
    for limit in ["0", "101", "-1"] {
        let answer = api.send(get(&format!("/notes?limit={limit}")).bearer("ada")).await;
        assert_eq!(answer.details(), json!({ "limit": "must be from 1 to 100" }));
    }
    let answer = api.send(get("/notes?limit=x&newest_first=yes&color=a&color=b&sort=up").bearer("ada")).await;
    assert_eq!(
        answer.details(),
        json!({
            "limit": "must be a whole number",
            "newest_first": "must be true or false",
            "color": "must be given once",
            "sort": "is not a known parameter",
        })
    );
}

#[tokio::test]
async fn a_list_has_filters_besides_its_page_parameters() {
    let api = TestApi::new().await;
    let (path, _) = api.note("a").await;
    api.note("b").await;
    let red = crate::harness::patch(&path).bearer("ada").json(json!({ "color": "red" }));
    assert_eq!(api.send(red).await.status, 200);
    let page = api.send(get("/notes?color=red&newest_first=true&limit=5").bearer("ada")).await.json();
    assert_eq!(texts(&page), ["a"]);
}
