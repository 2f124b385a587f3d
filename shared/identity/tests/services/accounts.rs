//! Registration, sign-in, locks, passwords, the first admin.

use std::time::Duration;

use crate::world::{ADMIN_PASSWORD, PASSWORD, World, login, registration};
use futures::future::join_all;
use switchyard_identity::{
    AccountError, EmailAddress, FirstAdmin, FirstAdminOutcome, IdentitySettings, NewImportedUser, NewUser,
    PasswordHash, Registration, Secret, SessionError, UserError, UserFields, UserFilter, UserStatus, testing,
};
use switchyard_kernel::{AuditFilter, Context, Permissions, Precondition, Refused, STEP_UP_WINDOW};

on_every_backend! {
    of_a_hundred_registrations_of_one_address_one_succeeds,
    of_a_hundred_wrong_passwords_at_once_five_are_verified,
    several_processes_create_one_first_admin,
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
    assert_eq!(
        world.audited(id).await.iter().filter(|entry| *entry == "account.signed_in Failure").count(),
        5
    );
    assert_eq!(world.audited(id).await.iter().filter(|entry| *entry == "account.locked Success").count(), 1);
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
    assert_eq!(
        world.audited(id).await.iter().filter(|e| *e == "account.password_changed Failure").count(),
        5
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
