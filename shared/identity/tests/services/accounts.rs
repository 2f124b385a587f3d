//! Registration, sign-in, passwords, and the own account.

use std::time::Duration;

use crate::world::{PASSWORD, World, registration};
use futures::future::join_all;
use switchyard_identity::{
    AccountError, NewImportedUser, PasswordHash, Registration, Secret, SessionError, UserError, UserFields,
    UserStatus,
};
use switchyard_kernel::{Context, Precondition, Refused, STEP_UP_WINDOW};

on_every_backend! {
    of_a_hundred_registrations_of_one_address_one_succeeds,
    an_address_changes_soon_after_a_sign_in_and_ends_the_other_sessions,
    an_edit_is_not_disturbed_by_what_the_user_does_meanwhile,
    of_log_ins_and_password_changes_at_once_none_keeps_the_old_password,
    spellings_of_one_address_are_one_account,
    spellings_of_one_password_are_one_password,
}

async fn spellings_of_one_address_are_one_account(world: World) {
    const SPELLINGS: [&str; 5] = [
        "Zoë@exämple.de",
        "zoe\u{308}@exa\u{308}mple.de",
        "ZOË@xn--exmple-cua.de",
        "ｚｏë＠exämple.de",
        "zoë@XN--EXMPLE-CUA.DE",
    ];
    let user = world.register(SPELLINGS[0]).await.user;
    assert_eq!(user.email.as_str(), SPELLINGS[0]);
    for spelling in SPELLINGS {
        let again = world.identity.accounts().register(&world.anyone(), &registration(spelling)).await;
        assert_eq!(again, Err(AccountError::EmailTaken), "{spelling}");
        assert_eq!(world.log_in(spelling, PASSWORD).await.unwrap().user.id, user.id, "{spelling}");
    }
    for spelling in SPELLINGS {
        assert_eq!(world.log_in(spelling, "wrong").await, Err(AccountError::InvalidCredentials));
    }
    let locked = Err(AccountError::AccountLocked { retry_after: Duration::from_secs(900) });
    for spelling in SPELLINGS {
        assert_eq!(world.log_in(spelling, PASSWORD).await, locked, "{spelling}");
    }
    // A domain with `ss` is another one.
    world.register("a@straße.de").await;
    world.register("a@strasse.de").await;
}

async fn spellings_of_one_password_are_one_password(world: World) {
    const COMPOSED: &str = "sieben grüne Kühe träumen";
    const DECOMPOSED: &str = "sieben gru\u{308}ne Ku\u{308}he\u{a0}tra\u{308}umen";
    let registration =
        Registration { password: DECOMPOSED.parse().unwrap(), ..registration("ada@example.com") };
    let signed_in = world.identity.accounts().register(&world.anyone(), &registration).await.unwrap();
    for spelling in [COMPOSED, DECOMPOSED] {
        assert!(world.log_in("ada@example.com", spelling).await.is_ok(), "{spelling}");
    }
    let other = world.log_in("ada@example.com", "sieben grune Kuhe traumen").await;
    assert_eq!(other, Err(AccountError::InvalidCredentials));
    let context = world.as_user(&signed_in).await;
    let accounts = world.identity.accounts();
    let new = "acht blaue Ma\u{308}use\u{3000}singen";
    accounts.change_password(&context, &Secret::new(COMPOSED), &new.parse().unwrap(), None).await.unwrap();
    assert!(world.log_in("ada@example.com", "acht blaue Mäuse singen").await.is_ok());
    let stored = world.document("credentials", &signed_in.user.id.to_string()).await.body;
    assert!(stored["password"].as_str().unwrap().starts_with("opaque-hmac-bcrypt:"));
}

async fn of_a_hundred_registrations_of_one_address_one_succeeds(world: World) {
    let context = &world.anyone();
    let results = join_all((0..100).map(|n| {
        let email = if n % 2 == 0 { "ada@example.com" } else { "ADA@Example.Com" };
        let identity = world.identity.clone();
        async move { identity.accounts().register(context, &registration(email)).await }
    }))
    .await;
    let taken = results.iter().filter(|result| **result == Err(AccountError::EmailTaken)).count();
    assert_eq!((results.iter().filter(|result| result.is_ok()).count(), taken), (1, 99));
    let stats = world.identity.users().stats(&world.system()).await.unwrap();
    assert_eq!((stats.total, stats.by_role["customer"], stats.registered_last_7_days), (1, 1, 1));
    assert!(world.audit_is_intact().await);
}

async fn an_address_changes_soon_after_a_sign_in_and_ends_the_other_sessions(world: World) {
    let other = world.register("ada@example.com").await;
    let id = other.user.id;
    let this = world.log_in("ada@example.com", PASSWORD).await.unwrap();
    let [as_this, as_other] = [world.as_user(&this).await, world.as_user(&other).await];
    let move_to = async |context: &Context, address: &str| {
        let edit = |fields: &UserFields| Ok(UserFields { email: address.parse().unwrap(), ..fields.clone() });
        let moved = world.identity.users().edit(context, id, &Precondition::None, edit).await;
        moved.map(|user| user.value.email.to_string())
    };
    let refused = |refusal: Refused| Err(UserError::from(refusal));
    world.clock.advance(STEP_UP_WINDOW + Duration::from_secs(1));
    let later = |context: &Context| Context { now: world.now(), ..context.clone() };
    for address in ["new@example.com", "ADA@example.com"] {
        assert_eq!(move_to(&later(&as_this), address).await, refused(Refused::StepUpRequired));
    }
    let rename = |fields: &UserFields| Ok(UserFields { name: "Ada King".parse().unwrap(), ..fields.clone() });
    world.identity.accounts().edit_me(&later(&as_this), &Precondition::None, rename).await.unwrap();
    // An admin can have a password sent to an address, too.
    let (_, admin) = world.admin().await;
    world.clock.advance(STEP_UP_WINDOW + Duration::from_secs(1));
    assert_eq!(move_to(&later(&admin), "new@example.com").await, refused(Refused::StepUpRequired));

    let again = world.log_in("ada@example.com", PASSWORD).await.unwrap();
    let as_again = world.as_user(&again).await;
    assert_eq!(move_to(&as_again, "new@example.com").await, Ok("new@example.com".to_owned()));
    let refresh =
        async |token: &Secret| world.identity.sessions().refresh(&world.anyone(), token.expose()).await;
    for (ended, tokens) in [(&as_this, &this.tokens), (&as_other, &other.tokens)] {
        assert_eq!(move_to(ended, "third@example.com").await, refused(Refused::Unauthenticated));
        assert_eq!(refresh(&tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
    }
    assert_eq!(move_to(&as_again, "third@example.com").await, Ok("third@example.com".to_owned()));
    assert!(refresh(&again.tokens.refresh_token).await.is_ok());
    // A change by someone else ends all sessions.
    let system = &world.system();
    assert_eq!(move_to(system, "fourth@example.com").await, Ok("fourth@example.com".to_owned()));
    assert_eq!(move_to(&as_again, "fifth@example.com").await, refused(Refused::Unauthenticated));
    assert!(world.log_in("fourth@example.com", PASSWORD).await.is_ok());
}

async fn an_edit_is_not_disturbed_by_what_the_user_does_meanwhile(world: World) {
    let id = world.register("ada@example.com").await.user.id;
    let users = world.identity.users();
    let read = users.get(&world.system(), id).await.unwrap();
    let mut tags = vec![read.tag.clone()];
    let see = async || users.get(&world.system(), id).await.unwrap();

    world.minutes_pass(1);
    let signed_in = world.log_in("ada@example.com", PASSWORD).await.unwrap();
    let seen = see().await;
    assert_eq!(seen.value.last_login_at, Some(world.now()));
    tags.push(seen.tag);
    let context = world.as_user(&signed_in).await;
    world.identity.sessions().log_out(&context, None).await.unwrap();
    assert_eq!(see().await.tag, tags[1], "nothing that is shown has changed");
    for _ in 0..5 {
        world.log_in("ada@example.com", "wrong").await.unwrap_err();
    }
    let seen = see().await;
    assert_eq!(seen.value.status, UserStatus::Locked);
    tags.push(seen.tag);
    // A copy is outdated once anything that it shows has changed.
    assert!(tags[0] != tags[1] && tags[1] != tags[2]);

    // An edit of the first state applies nevertheless, and only once.
    let rename = |fields: &UserFields| Ok(UserFields { name: "Ada King".parse().unwrap(), ..fields.clone() });
    let unchanged = &Precondition::Matches(vec![tags[0].clone()]);
    let edited = users.edit(&world.system(), id, unchanged, rename).await.unwrap();
    assert_eq!(edited.value.name.as_str(), "Ada King");
    assert_eq!(edited, see().await);
    for tag in tags {
        let stale = &Precondition::Matches(vec![tag]);
        let late = users.edit(&world.system(), id, stale, rename).await;
        assert_eq!(late.err(), Some(Refused::PreconditionFailed.into()));
    }
    world.minutes_pass(15);
    let after = see().await;
    assert_eq!(after.value.status, UserStatus::Active);
    assert_ne!(after.tag, edited.tag, "a lock ends without a write");
    // The roles are a part of the same state, of which they show nothing else.
    let roles = users.roles(&world.system(), id).await.unwrap();
    assert_eq!(Precondition::Matches(vec![roles.tag]).check(&after.tag), Ok(()));
}

/// A log-in verifies the password before its transaction, which does not read the credential again.
async fn of_log_ins_and_password_changes_at_once_none_keeps_the_old_password(world: World) {
    let signed_in = world.register("ada@example.com").await;
    let context = &world.as_user(&signed_in).await;
    let new = "copper whistle under nine moons";
    let (world, accounts) = (&world, world.identity.accounts());
    // No more of them, since five guesses at once lock the account.
    let log_ins = join_all((0..3).map(|_| world.log_in("ada@example.com", PASSWORD)));
    let (current, parsed) = (Secret::new(PASSWORD), new.parse().unwrap());
    let change = accounts.change_password(context, &current, &parsed, None);
    let (log_ins, changed) = futures::future::join(log_ins, change).await;
    changed.unwrap();
    for outcome in log_ins {
        match outcome {
            // It came before the change, which ended its session.
            Ok(signed_in) => {
                let token = signed_in.tokens.refresh_token;
                let refreshed = world.identity.sessions().refresh(&world.anyone(), token.expose()).await;
                assert_eq!(refreshed, Err(SessionError::RefreshTokenInvalid));
            }
            Err(error) => assert_eq!(error, AccountError::InvalidCredentials),
        }
    }
    assert!(world.log_in("ada@example.com", new).await.is_ok());
}

#[tokio::test]
async fn registering_creates_a_customer_who_is_signed_in() {
    let world = World::new().await;
    let signed_in = world.register("Ada@Example.com").await;
    let user = &signed_in.user;
    assert_eq!(user.email.as_str(), "Ada@Example.com");
    assert_eq!(user.role.as_ref().map(|role| role.as_str()), Some("customer"));
    assert_eq!(user.status, UserStatus::Active);
    assert!(!user.email_verified && !user.mfa_enabled);
    assert_eq!(user.created_at, world.now());
    assert_eq!(user.last_login_at, Some(world.now()));
    assert_eq!(signed_in.tokens.expires_in, Duration::from_secs(900));
    let context = world.as_user(&signed_in).await;
    assert_eq!(world.identity.accounts().me(&context).await.unwrap().value, signed_in.user);
    assert_eq!(world.audited(user.id).await, ["account.registered Success"]);
}

#[tokio::test]
async fn an_address_is_taken_in_any_case_and_after_its_user_was_deleted() {
    let world = World::new().await;
    let (id, context) = world.customer("ada@example.com").await;
    world.identity.users().delete(&context, id, &Precondition::None).await.unwrap();
    let again = world.identity.accounts().register(&world.anyone(), &registration("ADA@example.com")).await;
    assert_eq!(again, Err(AccountError::EmailTaken));
}

#[tokio::test]
async fn a_password_that_is_easy_to_guess_is_refused_with_the_reason() {
    let world = World::new().await;
    let weak = switchyard_identity::Registration {
        password: "password123".parse().unwrap(),
        ..registration("ada@example.com")
    };
    let reason = "must not be one of the most common passwords".to_owned();
    let refused = world.identity.accounts().register(&world.anyone(), &weak).await;
    assert_eq!(refused, Err(AccountError::WeakPassword { field: "password", reason }));
}

#[tokio::test]
async fn the_address_is_found_in_any_case_and_the_login_is_recorded() {
    let world = World::new().await;
    let id = world.register("ada@example.com").await.user.id;
    world.minutes_pass(60);
    let signed_in = world.log_in("ADA@EXAMPLE.COM", PASSWORD).await.unwrap();
    assert_eq!((signed_in.user.id, signed_in.user.last_login_at), (id, Some(world.now())));
    assert_eq!(world.audited(id).await, ["account.signed_in Success", "account.registered Success"]);
}

#[tokio::test]
async fn an_imported_hash_is_upgraded_at_the_first_login() {
    let world = World::new().await;
    let hash = PasswordHash::import(&bcrypt::hash("short", 5).unwrap()).unwrap();
    let imported = NewImportedUser {
        email: "ada@example.com".parse().unwrap(),
        name: "Ada".parse().unwrap(),
        roles: None,
        password_hash: Some(hash),
        email_verified: true,
        created_at: None,
    };
    world.identity.users().import(&world.system(), &[imported]).await.unwrap();
    let stored = |id: String| {
        let world = &world;
        async move { world.document("credentials", &id).await.body["password"].as_str().unwrap().to_owned() }
    };
    let signed_in = world.log_in("ada@example.com", "short").await.unwrap();
    let after = stored(signed_in.user.id.to_string()).await;
    assert!(after.starts_with("opaque-hmac-bcrypt:") && after.contains(":$2b$04$"), "{after}");
    assert!(world.log_in("ada@example.com", "short").await.is_ok());
    assert_eq!(stored(signed_in.user.id.to_string()).await, after);
}

#[tokio::test]
async fn changing_the_password_ends_the_other_sessions_and_keeps_this_one() {
    let world = World::new().await;
    let other = world.register("ada@example.com").await;
    let this = world.log_in("ada@example.com", PASSWORD).await.unwrap();
    let context = world.as_user(&this).await;
    let new = "copper whistle under nine moons";
    let accounts = world.identity.accounts();
    accounts.change_password(&context, &Secret::new(PASSWORD), &new.parse().unwrap(), None).await.unwrap();
    let refresh = |token: Secret| {
        let world = &world;
        async move { world.identity.sessions().refresh(&world.anyone(), token.expose()).await }
    };
    assert_eq!(refresh(other.tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
    assert!(refresh(this.tokens.refresh_token).await.is_ok());
    assert_eq!(world.log_in("ada@example.com", PASSWORD).await, Err(AccountError::InvalidCredentials));
    assert!(world.log_in("ada@example.com", new).await.is_ok());
}

/// Otherwise the time of an answer would reveal which addresses are taken, and testing them would be cheap.
#[tokio::test]
async fn the_password_is_checked_before_the_address() {
    let world = World::new().await;
    world.customer("ada@example.com").await;
    let weak = switchyard_identity::Registration {
        password: "password123".parse().unwrap(),
        ..registration("ada@example.com")
    };
    let refused = world.identity.accounts().register(&world.anyone(), &weak).await;
    assert!(matches!(refused, Err(AccountError::WeakPassword { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_new_password_that_is_easy_to_guess_changes_nothing() {
    let world = World::new().await;
    let (_, context) = world.customer("ada@example.com").await;
    let weak = "lovelace1".parse().unwrap();
    let refused =
        world.identity.accounts().change_password(&context, &Secret::new(PASSWORD), &weak, None).await;
    assert!(matches!(refused, Err(AccountError::WeakPassword { .. })), "{refused:?}");
    assert!(world.log_in("ada@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_user_changes_their_own_name_and_address() {
    let world = World::new().await;
    world.register("eve@example.com").await;
    let (_, context) = world.customer("ada@example.com").await;
    let accounts = world.identity.accounts();
    let me = accounts.me(&context).await.unwrap();
    let rename = |fields: &UserFields| Ok(UserFields { name: "Ada King".parse().unwrap(), ..fields.clone() });
    let unchanged = &Precondition::Matches(vec![me.tag.clone()]);
    let changed = accounts.edit_me(&context, unchanged, rename).await.unwrap();
    assert_eq!(changed.value.name.as_str(), "Ada King");
    assert_ne!(changed.tag, me.tag);
    let late = accounts.edit_me(&context, unchanged, rename).await;
    assert_eq!(late, Err(Refused::PreconditionFailed.into()));
    let take =
        |fields: &UserFields| Ok(UserFields { email: "EVE@example.com".parse().unwrap(), ..fields.clone() });
    assert_eq!(accounts.edit_me(&context, &Precondition::None, take).await, Err(UserError::EmailTaken));
}

#[tokio::test]
async fn anonymous_callers_and_deleted_users_have_no_account() {
    let world = World::new().await;
    let (id, context) = world.customer("ada@example.com").await;
    world.identity.users().delete(&world.system(), id, &Precondition::None).await.unwrap();
    for context in [context, world.anyone()] {
        let refused = world.identity.accounts().me(&context).await;
        assert_eq!(refused, Err(Refused::Unauthenticated.into()));
    }
}
