//! Importing many accounts.

use std::time::Duration;

use futures::future::join_all;
use switchyard_identity::{
    ImportFault, Imported, NewImportedUser, PasswordHash, RoleFields, RoleList, UserFilter,
};

use crate::world::World;

on_every_backend! {
    a_repeated_import_creates_no_account_twice,
    two_concurrent_imports_create_each_account_once,
}

fn account(n: usize) -> NewImportedUser {
    NewImportedUser {
        email: format!("user{n}@example.com").parse().unwrap(),
        name: format!("First{n} Middle{n} Last{n}").parse().unwrap(),
        roles: None,
        password_hash: None,
        email_verified: true,
        created_at: None,
    }
}

fn with_roles(n: usize, roles: &[&str]) -> NewImportedUser {
    let roles: Vec<_> = roles.iter().map(|role| role.parse().unwrap()).collect();
    NewImportedUser { roles: Some(RoleList::try_from(roles).unwrap()), ..account(n) }
}

async fn import(world: &World, users: &[NewImportedUser]) -> Vec<Result<Imported, ImportFault>> {
    world.identity.users().import(&world.system(), users).await.unwrap()
}

fn created(results: &[Result<Imported, ImportFault>]) -> usize {
    results.iter().filter(|result| matches!(result, Ok(Imported::Created(_)))).count()
}

fn already_there(results: &[Result<Imported, ImportFault>]) -> usize {
    results.iter().filter(|result| **result == Ok(Imported::AlreadyThere)).count()
}

async fn total(world: &World) -> i64 {
    let stats = world.identity.users().stats(&world.system()).await.unwrap();
    assert_eq!(stats.by_role.get("customer").copied().unwrap_or(0), stats.total);
    stats.total
}

async fn a_repeated_import_creates_no_account_twice(world: World) {
    let users: Vec<_> = (0..60).map(account).collect();
    world.register("USER17@example.com").await;
    let first = import(&world, &users[..40]).await;
    assert_eq!((first.len(), created(&first), already_there(&first)), (40, 39, 1));
    assert_eq!(first[17], Ok(Imported::AlreadyThere));
    let again = import(&world, &users).await;
    assert_eq!((created(&again), already_there(&again)), (20, 40));
    assert!(again[..40].iter().all(|result| *result == Ok(Imported::AlreadyThere)));
    assert_eq!(total(&world).await, 60);
    assert!(world.audit_is_intact().await);
}

async fn two_concurrent_imports_create_each_account_once(world: World) {
    let users: Vec<_> = (0..60).map(account).collect();
    let backwards: Vec<_> = users.iter().rev().cloned().collect();
    let results = join_all([import(&world, &users), import(&world, &backwards)]).await.concat();
    assert_eq!((created(&results), already_there(&results)), (60, 60), "{results:?}");
    assert_eq!(total(&world).await, 60);
    assert!(world.audit_is_intact().await);
}

#[tokio::test]
async fn an_address_that_occurs_twice_is_imported_once() {
    let world = World::new().await;
    let again = NewImportedUser { email: "USER1@example.com".parse().unwrap(), ..account(1) };
    let results = import(&world, &[account(0), account(1), again, account(2)]).await;
    assert!(matches!(results[1], Ok(Imported::Created(_))));
    assert_eq!(results[2], Ok(Imported::AlreadyThere));
    assert_eq!((created(&results), total(&world).await), (3, 3));
}

#[tokio::test]
async fn faulty_accounts_are_reported_and_the_others_imported() {
    let world = World::new().await;
    let support = RoleFields { description: "Helps.".parse().unwrap(), permissions: vec![] };
    world.identity.roles().create(&world.system(), &"support".parse().unwrap(), &support).await.unwrap();
    let now = world.system().now;
    let created = |number, at| NewImportedUser { created_at: Some(at), ..account(number) };
    let users = [
        account(0),
        with_roles(1, &["admin"]),
        with_roles(2, &["nonesuch"]),
        with_roles(3, &["support"]),
        created(4, now + Duration::from_micros(1)),
        created(5, now),
    ];
    let results = import(&world, &users).await;
    assert_eq!(results[1], Err(ImportFault::Admin));
    assert_eq!(results[2], Err(ImportFault::Role("nonesuch".parse().unwrap())));
    assert_eq!(results[4], Err(ImportFault::CreatedInTheFuture));
    assert_eq!(self::created(&results), 3);
    let deleted = world
        .identity
        .roles()
        .delete(&world.system(), &"support".parse().unwrap(), &switchyard_kernel::Precondition::None)
        .await;
    assert_eq!(deleted, Err(switchyard_identity::RoleError::RoleInUse));
}

#[tokio::test]
async fn an_imported_account_keeps_its_date_and_its_password() {
    let world = World::new().await;
    let imported = NewImportedUser {
        created_at: Some("2020-02-29T12:00:00.123456Z".parse().unwrap()),
        password_hash: Some(PasswordHash::import(&bcrypt::hash("old password", 4).unwrap()).unwrap()),
        ..account(0)
    };
    import(&world, &[imported]).await;
    let user = world.log_in("user0@example.com", "old password").await.unwrap().user;
    assert_eq!(user.created_at.to_string(), "2020-02-29T12:00:00.123Z");
    assert!(user.email_verified);
    let stats = world.identity.users().stats(&world.system()).await.unwrap();
    assert_eq!((stats.total, stats.registered_last_30_days), (1, 0));
    let page = switchyard_kernel::PageRequest::first(10);
    let filter = UserFilter { created_to: Some(user.created_at), ..UserFilter::default() };
    world.listings_catch_up().await;
    let listed = world.identity.users().list(&world.system(), &filter, &page).await.unwrap();
    assert_eq!(listed.data, [user]);
}
