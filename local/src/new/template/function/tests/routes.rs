//! The answers of the routes to valid, invalid and repeated requests.

use serde_json::{Value, json};
use switchyard_harness::app::App;
use switchyard_harness::store::Backend;

async fn start() -> App {
    App::start(Backend::Sqlite, |_, identity| switchyard_fn_books::router(identity.clone())).await
}

#[tokio::test]
async fn a_book_is_created_read_replaced_patched_and_deleted() {
    let app = start().await;
    let ada = app.register("Ada").await;
    let created = app.post("/books").by(&ada).json(json!({"title": "First", "description": "x"})).await;
    let book = created.expect(201);
    let path = format!("/books/{}", book["id"].as_str().unwrap());
    assert_eq!(created.header("location"), Some(&*format!("/api/v1{path}")));
    assert_eq!((&book["owner_id"], &book["title"]), (&json!(ada.id), &json!("First")));

    let read = app.get(&path).by(&ada).await;
    assert_eq!((read.expect(200), read.etag()), (book, created.etag()));
    let replaced = app.put(&path).by(&ada).if_match(&read.etag()).json(json!({"title": "Second"})).await;
    assert_eq!(replaced.expect(200)["description"], Value::Null);
    let patched = app.patch(&path).by(&ada).json(json!({"description": "y"})).await.expect(200);
    assert_eq!((&patched["title"], &patched["description"]), (&json!("Second"), &json!("y")));

    let listed = app.get("/books").by(&ada).await.expect(200);
    assert_eq!(listed["data"], json!([patched]));
    app.delete(&path).by(&ada).await.expect(204);
    assert_eq!(app.get(&path).by(&ada).await.error(), (404, "NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn a_book_is_changed_only_in_the_state_that_the_caller_has_read() {
    let app = start().await;
    let ada = app.register("Ada").await;
    let created = app.post("/books").by(&ada).json(json!({"title": "First"})).await;
    let path = format!("/books/{}", created.expect(201)["id"].as_str().unwrap());
    app.patch(&path).by(&ada).if_match(&created.etag()).json(json!({"title": "Second"})).await.expect(200);
    let failed = (412, "PRECONDITION_FAILED".to_owned());
    let put = app.put(&path).by(&ada).if_match(&created.etag()).json(json!({"title": "Third"})).await;
    assert_eq!(put.error(), failed);
    assert_eq!(app.delete(&path).by(&ada).if_match(&created.etag()).await.error(), failed);
    assert_eq!(app.get(&path).by(&ada).await.expect(200)["title"], "Second");
}

#[tokio::test]
async fn a_book_is_created_once_for_each_key() {
    let app = start().await;
    let ada = app.register("Ada").await;
    let create = || app.post("/books").by(&ada).once("one-book").json(json!({"title": "Once"}));
    let (first, again) = (create().await, create().await);
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(app.get("/books").by(&ada).await.expect(200)["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn all_faults_of_a_request_are_reported_at_once() {
    let app = start().await;
    let ada = app.register("Ada").await;
    let body = json!({"title": " ", "description": "\u{7}", "owner_id": ada.id});
    let answer = app.post("/books").by(&ada).json(body).await;
    assert_eq!(answer.error(), (400, "VALIDATION_ERROR".to_owned()));
    assert_eq!(
        answer.details(),
        json!({
            "description": "must have 1 to 2000 characters, and no control characters except line breaks",
            "owner_id": "is not a known field",
            "title": "must have a visible character",
        })
    );
    let query = "limit=0&owner_id=me&page=2&q=a+b+c+d+e+f+g+h+i+j+k+l+m+n+o+p+q";
    let answer = app.get(&format!("/books?{query}")).by(&ada).await;
    assert_eq!(
        answer.details(),
        json!({
            "limit": "must be from 1 to 100",
            "owner_id": "must be a UUID",
            "page": "is not a known parameter",
            "q": "must have at most 100 characters and 16 different words",
        })
    );
}

#[tokio::test]
async fn a_book_of_another_user_is_not_found() {
    let app = start().await;
    let (ada, eve, admin) = (app.register("Ada").await, app.register("Eve").await, app.admin().await);
    let book = app.post("/books").by(&ada).json(json!({"title": "Hers"})).await.expect(201);
    let path = format!("/books/{}", book["id"].as_str().unwrap());
    let hidden = (404, "NOT_FOUND".to_owned());
    assert_eq!(app.get(&path).by(&eve).await.error(), hidden);
    assert_eq!(app.put(&path).by(&eve).json(json!({"title": "Mine"})).await.error(), hidden);
    assert_eq!(app.patch(&path).by(&eve).json(json!({"title": "Mine"})).await.error(), hidden);
    assert_eq!(app.delete(&path).by(&eve).await.error(), hidden);
    assert_eq!(app.get("/books").by(&eve).await.expect(200)["data"], json!([]));
    assert_eq!(app.get("/books?q=hers").by(&admin).await.expect(200)["data"], json!([book]));
}
