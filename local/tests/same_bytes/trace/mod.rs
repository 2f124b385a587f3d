//! The requests of the trace. Each states the status that it must be answered with. Otherwise a mistake in the
//! trace could go unnoticed, if all programs refused the request in the same way.

mod accounts;
mod admin;
mod audit;
mod bodies;
mod idempotency;
mod jobs;
mod limits;
mod lists;
mod profiles;
mod roles;
mod sessions;
mod system;
mod users;

use std::net::IpAddr;

use serde_json::{Value, json};
use switchyard_harness::app::{PASSWORD, Person};

use crate::everywhere::Everywhere;
use crate::place::ADMIN;

/// Sends all requests. Later ones see the users of earlier ones, and their audit log entries.
pub(crate) async fn replay(api: &Everywhere) {
    admin::replay(api).await;
    system::replay(api).await;
    accounts::replay(api).await;
    bodies::replay(api).await;
    sessions::replay(api).await;
    users::replay(api).await;
    profiles::replay(api).await;
    roles::replay(api).await;
    lists::replay(api).await;
    idempotency::replay(api).await;
    jobs::replay(api).await;
    limits::replay(api).await;
    audit::replay(api).await;
}

/// An address for the requests of one part of the trace, which gives that part its own quota.
fn address_of(part: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, part])
}

/// Registers an account with this name, and with the name at example.com as its address.
async fn register(api: &Everywhere, name: &str, from: IpAddr) -> Person {
    let email = format!("{}@example.com", name.to_lowercase());
    let body = json!({"email": email, "password": PASSWORD, "name": name});
    person(&api.ask(201, api.post("/auth/register").from(from).json(body)).await.json())
}

/// Signs a user in.
async fn sign_in(api: &Everywhere, email: &str, from: IpAddr) -> Person {
    let body = json!({"email": email, "password": PASSWORD});
    person(&api.ask(200, api.post("/auth/login").from(from).json(body)).await.json())
}

/// Signs the first admin in.
async fn sign_in_admin(api: &Everywhere, from: IpAddr) -> Person {
    sign_in(api, ADMIN, from).await
}

/// The user and the tokens of an answer to a sign-in.
fn person(answer: &Value) -> Person {
    let text = |value: &Value| {
        value.as_str().unwrap_or_else(|| panic!("{answer} is not an answer to a sign-in")).to_owned()
    };
    Person {
        id: text(&answer["user"]["id"]).parse().unwrap(),
        email: text(&answer["user"]["email"]),
        access_token: text(&answer["access_token"]),
        refresh_token: text(&answer["refresh_token"]),
    }
}
