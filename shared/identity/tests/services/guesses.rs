//! Guesses at passwords: what is counted, and what locks an account.

use std::time::Duration;

use crate::world::{PASSWORD, World, login};
use futures::future::join_all;
use switchyard_identity::{
    AccountError, IdentitySettings, Secret, UserFields, UserFilter, UserStatus, testing,
};
use switchyard_kernel::{AuditFilter, Outcome, Precondition, Refused};

on_every_backend! {
    of_a_hundred_wrong_passwords_at_once_five_are_verified,
}

async fn of_a_hundred_wrong_passwords_at_once_five_are_verified(world: World) {
    let id = world.register("ada@example.com").await.user.id;
    for email in ["ada@example.com", "nobody@example.com"] {
        let context = &world.anyone();
        let results = join_all((0..100).map(|_| {
            let identity = world.identity.clone();
            async move { identity.accounts().login(context, &login(email, "wrong")).await.unwrap_err() }
        }))
        .await;
        let wrong = results.iter().filter(|error| **error == AccountError::InvalidCredentials).count();
        let locked = AccountError::AccountLocked { retry_after: Duration::from_secs(900) };
        assert_eq!(
            (wrong, results.iter().filter(|error| **error == locked).count()),
            (5, 95),
            "{email}: {results:?}"
        );
    }
    let user = world.identity.users().get(&world.system(), id).await.unwrap();
    assert_eq!(user.value.status, UserStatus::Locked);
    // The five, and the first of those that were refused unseen. The others are counted outside of the log.
    let filter = AuditFilter { action: Some("account.signed_in".to_owned()), ..AuditFilter::default() };
    let entries = world.entries(&filter).await.into_iter();
    let failures =
        entries.filter(|entry| entry.subject == Some(id.to_string()) && entry.outcome == Outcome::Failure);
    let unseen: Vec<_> = failures.map(|entry| entry.details.get("refused").cloned()).collect();
    assert_eq!(unseen.len(), 6);
    assert_eq!(unseen.iter().flatten().collect::<Vec<_>>(), ["locked"]);
    assert_eq!(world.audited(id).await.iter().filter(|entry| *entry == "account.locked Success").count(), 1);
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_look_the_same() {
    let world = World::new().await;
    let id = world.register("ada@example.com").await.user.id;
    assert_eq!(world.log_in("ada@example.com", "wrong").await, Err(AccountError::InvalidCredentials));
    assert_eq!(world.log_in("eve@example.com", "wrong").await, Err(AccountError::InvalidCredentials));
    let filter = AuditFilter { action: Some("account.signed_in".to_owned()), ..AuditFilter::default() };
    let subjects: Vec<_> =
        world.entries(&filter).await.into_iter().filter_map(|entry| entry.subject).collect();
    assert!(subjects.contains(&id.to_string()));
    // The address of a stranger is not recorded, since people type passwords into the wrong field.
    assert!(subjects.iter().any(|subject| subject.starts_with("address:")));
    assert!(!subjects.iter().any(|subject| subject.contains("eve")));
}

#[tokio::test]
async fn five_failures_in_a_row_lock_an_account_for_fifteen_minutes() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for _ in 0..5 {
        assert_eq!(world.log_in("ada@example.com", "wrong").await, Err(AccountError::InvalidCredentials));
    }
    world.minutes_pass(5);
    let locked = AccountError::AccountLocked { retry_after: Duration::from_secs(600) };
    assert_eq!(world.log_in("ada@example.com", PASSWORD).await, Err(locked));
    world.minutes_pass(10);
    let signed_in = world.log_in("ada@example.com", PASSWORD).await.unwrap();
    assert_eq!(signed_in.user.status, UserStatus::Active);
}

#[tokio::test]
async fn a_success_resets_the_count_of_failures() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(world.log_in("ada@example.com", "wrong").await, Err(AccountError::InvalidCredentials));
        }
        assert!(world.log_in("ada@example.com", PASSWORD).await.is_ok());
    }
}

#[tokio::test]
async fn the_fifth_guess_may_still_be_right() {
    let world = World::new().await;
    let id = world.register("ada@example.com").await.user.id;
    for _ in 0..4 {
        assert_eq!(world.log_in("ada@example.com", "wrong").await, Err(AccountError::InvalidCredentials));
    }
    assert!(world.log_in("ada@example.com", PASSWORD).await.is_ok());
    assert!(!world.audited(id).await.contains(&"account.locked Success".to_owned()));
}

#[tokio::test]
async fn after_a_lock_five_more_guesses_are_allowed() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for _ in 0..2 {
        for _ in 0..5 {
            assert_eq!(world.log_in("ada@example.com", "wrong").await, Err(AccountError::InvalidCredentials));
        }
        assert!(matches!(
            world.log_in("ada@example.com", "wrong").await,
            Err(AccountError::AccountLocked { .. })
        ));
        world.minutes_pass(15);
    }
}

#[tokio::test]
async fn an_admin_unlocks_a_user() {
    let world = World::new().await;
    let (_, admin) = world.admin().await;
    let id = world.register("ada@example.com").await.user.id;
    for _ in 0..5 {
        world.log_in("ada@example.com", "wrong").await.unwrap_err();
    }
    let locked = UserFilter { status: Some(UserStatus::Locked), ..UserFilter::default() };
    let page = switchyard_kernel::PageRequest::first(10);
    world.listings_catch_up().await;
    let listed = world.identity.users().list(&admin, &locked, &page).await.unwrap();
    assert_eq!(listed.data.iter().map(|user| user.id).collect::<Vec<_>>(), [id]);
    assert_eq!(world.identity.users().stats(&admin).await.unwrap().locked, 1);
    let unlocked = world.identity.users().unlock(&admin, id).await.unwrap();
    assert_eq!(unlocked.value.status, UserStatus::Active);
    world.listings_catch_up().await;
    assert_eq!(world.identity.users().stats(&admin).await.unwrap().locked, 0);
    assert!(world.log_in("ada@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn only_the_right_password_reveals_that_an_account_is_disabled() {
    let world = World::new().await;
    let (_, admin) = world.admin().await;
    let id = world.register("ada@example.com").await.user.id;
    world.identity.users().disable(&admin, id).await.unwrap();
    assert_eq!(world.log_in("ada@example.com", "wrong").await, Err(AccountError::InvalidCredentials));
    assert_eq!(world.log_in("ada@example.com", PASSWORD).await, Err(AccountError::AccountDisabled));
    assert!(world.audited(id).await.contains(&"account.signed_in Denied".to_owned()));
    world.identity.users().enable(&admin, id).await.unwrap();
    assert!(world.log_in("ada@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_deleted_account_and_one_without_a_password_look_like_no_account() {
    let world = World::new().await;
    let (id, context) = world.customer("ada@example.com").await;
    world.identity.users().delete(&context, id, &Precondition::None).await.unwrap();
    assert_eq!(world.log_in("ada@example.com", PASSWORD).await, Err(AccountError::InvalidCredentials));
    let invited = switchyard_identity::NewUser {
        email: "eve@example.com".parse().unwrap(),
        name: "Eve".parse().unwrap(),
        roles: None,
    };
    world.identity.users().create(&world.system(), &invited).await.unwrap();
    assert_eq!(world.log_in("eve@example.com", PASSWORD).await, Err(AccountError::InvalidCredentials));
}

#[tokio::test]
async fn a_stolen_access_token_gives_no_more_guesses_at_the_password() {
    let world = World::new().await;
    let (id, context) = world.customer("ada@example.com").await;
    let new = "copper whistle under nine moons".parse().unwrap();
    let accounts = world.identity.accounts();
    for _ in 0..5 {
        let refused = accounts.change_password(&context, &Secret::new("wrong"), &new, None).await;
        assert_eq!(refused, Err(AccountError::InvalidCredentials));
    }
    let refused = accounts.change_password(&context, &Secret::new(PASSWORD), &new, None).await;
    assert_eq!(refused, Err(AccountError::AccountLocked { retry_after: Duration::from_secs(900) }));
    // The five, and the one that was refused unseen.
    assert_eq!(
        world.audited(id).await.iter().filter(|e| *e == "account.password_changed Failure").count(),
        6
    );
}

#[tokio::test]
async fn a_request_that_is_dropped_before_its_password_is_verified_is_not_counted() {
    let world = World::new().await;
    world.customer("ada@example.com").await;
    // One password at a time, and each takes about a quarter of a second.
    let busy = world.again_with(IdentitySettings {
        bcrypt_cost: 12,
        password_hash_threads: 1,
        ..testing::settings()
    });
    let context = &world.anyone();
    let other = {
        let (identity, context) = (busy.clone(), context.clone());
        tokio::spawn(
            async move { identity.accounts().login(&context, &login("bob@example.com", "wrong")).await },
        )
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    let request = &login("ada@example.com", PASSWORD);
    let given_up = join_all((0..10).map(|_| {
        let accounts = busy.accounts();
        async move {
            tokio::time::timeout(Duration::from_millis(50), accounts.login(context, request)).await.is_err()
        }
    }))
    .await;
    assert_eq!(given_up, [true; 10]);
    assert_eq!(other.await.unwrap().err(), Some(AccountError::InvalidCredentials));
    assert!(world.log_in("ada@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn guesses_stay_counted_when_the_address_changes() {
    let world = World::new().await;
    let (id, context) = world.customer("ada@example.com").await;
    let new = "copper whistle under nine moons".parse().unwrap();
    let (accounts, users) = (world.identity.accounts(), world.identity.users());
    let guess =
        async |password: &str| accounts.change_password(&context, &Secret::new(password), &new, None).await;
    let move_to = async |address: &str| {
        let edit = |fields: &UserFields| Ok(UserFields { email: address.parse().unwrap(), ..fields.clone() });
        users.edit(&context, id, &Precondition::None, edit).await.unwrap();
    };
    for address in ["two@example.com", "three@example.com"] {
        assert_eq!(guess("wrong").await, Err(AccountError::InvalidCredentials));
        move_to(address).await;
        assert_eq!(guess("wrong").await, Err(AccountError::InvalidCredentials));
    }
    assert_eq!(guess("wrong").await, Err(AccountError::InvalidCredentials));
    let locked = AccountError::AccountLocked { retry_after: Duration::from_secs(900) };
    assert_eq!(guess(PASSWORD).await, Err(locked.clone()));
    move_to("four@example.com").await;
    assert_eq!(guess(PASSWORD).await, Err(locked.clone()));
    assert_eq!(world.log_in("four@example.com", PASSWORD).await.err(), Some(locked));
    // A new user with an old address starts with no guesses.
    world.customer("two@example.com").await;
    assert!(world.log_in("two@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn guesses_at_an_address_do_not_count_for_the_account_that_gets_it() {
    let world = World::new().await;
    for _ in 0..5 {
        assert!(world.log_in("ada@example.com", "wrong").await.is_err());
    }
    let locked = Some(AccountError::AccountLocked { retry_after: Duration::from_secs(900) });
    assert_eq!(world.log_in("ada@example.com", PASSWORD).await.err(), locked);
    world.register("ada@example.com").await;
    assert!(world.log_in("ada@example.com", PASSWORD).await.is_ok());
    let stats = world.identity.users().stats(&world.system()).await.unwrap();
    assert_eq!((stats.active, stats.locked), (1, 0));
}

/// The state that the log-in leaves is never removed, and its guesses are forgotten all the same.
#[tokio::test]
async fn guesses_are_forgotten_after_a_day_without_one() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for _ in 0..2 {
        world.log_in("ada@example.com", PASSWORD).await.unwrap();
        for _ in 0..4 {
            assert_eq!(world.log_in("ada@example.com", "wrong").await, Err(AccountError::InvalidCredentials));
        }
        world.days_pass(1);
        assert_eq!(world.log_in("ada@example.com", "wrong").await, Err(AccountError::InvalidCredentials));
    }
    assert!(world.log_in("ada@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn users_cannot_unlock_themselves() {
    let world = World::new().await;
    let (id, admin) = world.admin().await;
    let users = world.identity.users();
    let refused = users.unlock(&admin, id).await;
    assert_eq!(refused.err(), Some(Refused::Forbidden.into()));
    assert_eq!(world.denials_of(id).await, 1);
    assert!(users.unlock(&world.system(), id).await.is_ok());
}
