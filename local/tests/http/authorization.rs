//! Every operation of the OpenAPI document, tried by those who may not do it. What each is to answer follows from what
//! the document says of its security.

use std::time::Duration;

use axum::http::Method;
use serde_json::Value;
use switchyard_harness::app::{App, Call, Person};

crate::on_every_backend!(
    no_operation_for_users_is_open_to_strangers,
    no_operation_takes_an_expired_token,
    no_operation_shows_or_changes_what_is_another_users,
);

/// Operations for the signed-in user that name nobody else, so that another user has nothing to be refused. The list is
/// to stay short.
const OF_ONESELF: [&str; 5] = ["get_me", "update_me", "change_password", "logout", "logout_all"];

struct Operation {
    id: String,
    method: Method,
    path: String,
    /// The permissions that it asks for; `None` where it is for everybody.
    permissions: Option<Vec<String>>,
}

/// The operations of the document.
fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(switchyard_system::OPENAPI_JSON).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let bearer = operation["security"][0]["bearer"].as_array();
            let names =
                |list: &Vec<Value>| list.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                permissions: bearer.map(names),
            });
        }
    }
    assert!(operations.len() > 30, "the document names the operations");
    operations
}

fn for_users() -> impl Iterator<Item = Operation> {
    operations().into_iter().filter(|operation| operation.permissions.is_some())
}

/// The operation, asked for with a body that is not even read before it is known who asks.
fn call(app: &App, operation: &Operation, subject: &Person) -> Call {
    let path = operation.path.replace("{id}", subject.id.as_str()).replace("{name}", "merchant");
    assert!(!path.contains('{'), "{path} has a parameter that this test does not know");
    app.call(operation.method.clone(), &path)
}

async fn no_operation_for_users_is_open_to_strangers(app: App) {
    let ada = app.register("Ada").await;
    for operation in for_users() {
        let answer = call(&app, &operation, &ada).await;
        assert_eq!(answer.error(), (401, "UNAUTHENTICATED".to_owned()), "{}", operation.id);
        let answer = call(&app, &operation, &ada).bearer("nonsense").await;
        assert_eq!(answer.error(), (401, "UNAUTHENTICATED".to_owned()), "{}", operation.id);
    }
}

async fn no_operation_takes_an_expired_token(app: App) {
    let admin = app.admin().await;
    app.wait(Duration::from_secs(15 * 60));
    for operation in for_users() {
        let answer = call(&app, &operation, &admin).by(&admin).await;
        assert_eq!(answer.error(), (401, "TOKEN_EXPIRED".to_owned()), "{}", operation.id);
    }
}

async fn no_operation_shows_or_changes_what_is_another_users(app: App) {
    let (ada, mallory) = (app.register("Ada").await, app.register("Mallory").await);
    for operation in for_users().filter(|operation| !OF_ONESELF.contains(&operation.id.as_str())) {
        let answer = valid_call(&app, &operation, &ada).by(&mallory).await;
        let for_some_role = operation.permissions.as_ref().is_some_and(|permissions| !permissions.is_empty());
        // Who may not know of a resource does not learn that it exists.
        let expected = if for_some_role { (403, "FORBIDDEN") } else { (404, "NOT_FOUND") };
        assert_eq!(answer.error(), (expected.0, expected.1.to_owned()), "{}", operation.id);
    }
}

/// The operation with a body that it would take from somebody else.
fn valid_call(app: &App, operation: &Operation, subject: &Person) -> Call {
    let body = match operation.id.as_str() {
        "create_user" | "replace_user" => serde_json::json!({"email": "x@example.com", "name": "X"}),
        "create_role" => serde_json::json!({"name": "x", "permissions": []}),
        "replace_user_roles" => serde_json::json!({"roles": ["customer"]}),
        _ => serde_json::json!({}),
    };
    let call = call(app, operation, subject);
    if matches!(operation.method, Method::POST | Method::PUT | Method::PATCH) {
        call.json(body)
    } else {
        call
    }
}
