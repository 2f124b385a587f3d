//! The first admin, and what operators do for admins.

use crate::world::{ADMIN_PASSWORD, PASSWORD, World};
use futures::future::join_all;
use switchyard_identity::{
    AccountError, EmailAddress, FirstAdmin, FirstAdminOutcome, NewUser, Password, Secret, SessionError,
    UserStatus, testing,
};
use switchyard_kernel::{Permissions, Refused};

on_every_backend! {
    several_processes_create_one_first_admin,
}

async fn several_processes_create_one_first_admin(world: World) {
    let context = &world.system();
    let results = join_all(["one@example.com", "two@example.com", "one@example.com"].map(|email| {
        let identity = world.again_with(testing::settings());
        let admin = FirstAdmin {
            email: email.parse().unwrap(),
            password: ADMIN_PASSWORD.parse().unwrap(),
            password_change_required: false,
        };
        async move { identity.accounts().ensure_first_admin(context, &admin).await.unwrap() }
    }))
    .await;
    let made = results.iter().filter(|outcome| matches!(outcome, FirstAdminOutcome::Created(_))).count();
    assert_eq!(made, 1);
    assert_eq!(world.identity.users().stats(context).await.unwrap().by_role["admin"], 1);
}

#[tokio::test]
async fn the_first_admin_is_created_once_and_no_user_is_promoted() {
    let world = World::new().await;
    let accounts = world.identity.accounts();
    world.register("ada@example.com").await;
    let email = |text: &str| text.parse().unwrap();
    let admin = |text| FirstAdmin {
        email: email(text),
        password: ADMIN_PASSWORD.parse().unwrap(),
        password_change_required: false,
    };
    let taken = accounts.ensure_first_admin(&world.system(), &admin("ADA@example.com")).await;
    assert_eq!(taken, Err(AccountError::EmailTaken));
    let (id, password) =
        accounts.create_first_admin(&world.system(), &email("root@localhost")).await.unwrap().unwrap();
    let signed_in = world.log_in("root@localhost", password.expose()).await.unwrap();
    assert_eq!(signed_in.user.id, id);
    assert_eq!(signed_in.user.role.unwrap().as_str(), "admin");
    assert_eq!(accounts.create_first_admin(&world.system(), &email("two@localhost")).await, Ok(None));
    let again = accounts.ensure_first_admin(&world.system(), &admin("root2@example.com")).await;
    assert_eq!(again, Ok(FirstAdminOutcome::AnotherThere));
    let again = accounts.ensure_first_admin(&world.system(), &admin("ROOT@localhost")).await;
    assert_eq!(again, Ok(FirstAdminOutcome::AlreadyThere));
}

#[tokio::test]
async fn a_password_that_was_given_must_be_changed() {
    let world = World::new().await;
    let accounts = world.identity.accounts();
    let root: EmailAddress = "root@localhost".parse().unwrap();
    let (id, given) = accounts.create_first_admin(&world.system(), &root).await.unwrap().unwrap();
    let signed_in = world.log_in("root@localhost", given.expose()).await.unwrap();
    let context = world.as_user(&signed_in).await;
    assert!(context.principal().unwrap().password_change_required);
    let same = accounts.change_password(&context, &given, &given.expose().parse().unwrap(), None).await;
    let reason = "must not be the current one".to_owned();
    assert_eq!(same, Err(AccountError::WeakPassword { field: "new_password", reason }));
    accounts.change_password(&context, &given, &ADMIN_PASSWORD.parse().unwrap(), None).await.unwrap();
    let token = signed_in.tokens.refresh_token.expose();
    let refreshed = world.identity.sessions().refresh(&world.anyone(), token).await.unwrap();
    assert!(!world.as_user(&refreshed).await.principal().unwrap().password_change_required);
    let again = world.log_in("root@localhost", ADMIN_PASSWORD).await.unwrap();
    assert!(!world.as_user(&again).await.principal().unwrap().password_change_required);
    assert_eq!(world.audited(id).await.iter().filter(|entry| entry.contains("password_changed")).count(), 1);
}

#[tokio::test]
async fn another_spelling_of_a_password_that_must_be_changed_is_not_another_password() {
    let world = World::new().await;
    let accounts = world.identity.accounts();
    let given: Password = "correct horse battery".parse().unwrap();
    let email = "root@example.com".parse().unwrap();
    let admin = FirstAdmin { email, password: given.clone(), password_change_required: true };
    accounts.ensure_first_admin(&world.system(), &admin).await.unwrap();
    let signed_in = world.log_in("root@example.com", "correct horse battery").await.unwrap();
    let context = world.as_user(&signed_in).await;
    let current = Secret::new("correct\u{a0}horse battery");
    let reason = "must not be the current one".to_owned();
    assert_eq!(
        accounts.change_password(&context, &current, &given, None).await,
        Err(AccountError::WeakPassword { field: "new_password", reason })
    );
}

#[tokio::test]
async fn an_operator_creates_admins_and_resets_passwords() {
    let world = World::new().await;
    let (accounts, users) = (world.identity.accounts(), world.identity.users());
    let email = |text: &str| -> EmailAddress { text.parse().unwrap() };
    let (_, as_admin) = world.admin().await;
    let (second, given) = accounts.create_admin(&world.system(), &email("two@example.com")).await.unwrap();
    let signed_in = world.log_in("two@example.com", given.expose()).await.unwrap();
    assert_eq!(signed_in.user.id, second);
    let principal = world.as_user(&signed_in).await.principal().unwrap().clone();
    assert!(principal.password_change_required);
    assert_eq!(principal.permissions, Permissions::EVERY);
    let taken = accounts.create_admin(&world.system(), &email("TWO@example.com")).await;
    assert_eq!(taken, Err(AccountError::EmailTaken));

    let ada = world.register("ada@example.com").await;
    for _ in 0..5 {
        let wrong = world.log_in("ada@example.com", "wrong").await;
        assert_eq!(wrong.unwrap_err(), AccountError::InvalidCredentials);
    }
    let id = users.id_of(&world.system(), &email("ADA@example.com")).await.unwrap();
    assert_eq!(id, ada.user.id);
    let given = accounts.reset_password(&world.system(), id).await.unwrap();
    let token = ada.tokens.refresh_token.expose();
    let ended = world.identity.sessions().refresh(&world.anyone(), token).await;
    assert_eq!(ended, Err(SessionError::RefreshTokenInvalid));
    let old = world.log_in("ada@example.com", PASSWORD).await;
    assert_eq!(old.unwrap_err(), AccountError::InvalidCredentials);
    let signed_in = world.log_in("ada@example.com", given.expose()).await.unwrap();
    assert_eq!(signed_in.user.status, UserStatus::Active);
    assert!(world.as_user(&signed_in).await.principal().unwrap().password_change_required);
    assert!(world.audited(id).await.contains(&"account.password_reset Success".to_owned()));

    // An invited user has no password yet.
    let invited = NewUser { email: email("eve@example.com"), name: "Eve".parse().unwrap(), roles: None };
    let invited = users.create(&world.system(), &invited).await.unwrap().value.id;
    let given = accounts.reset_password(&world.system(), invited).await.unwrap();
    assert!(world.log_in("eve@example.com", given.expose()).await.is_ok());

    // Nobody else may.
    assert_eq!(accounts.reset_password(&as_admin, id).await, Err(Refused::Forbidden.into()));
    assert_eq!(accounts.reset_password(&world.anyone(), id).await, Err(Refused::Unauthenticated.into()));
    let created = accounts.create_admin(&as_admin, &email("three@example.com")).await;
    assert_eq!(created, Err(Refused::Forbidden.into()));
    let nobody = users.id_of(&world.system(), &email("nobody@example.com")).await;
    assert_eq!(nobody, Err(Refused::NotFound.into()));
}
