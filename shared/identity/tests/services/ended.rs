//! Sessions that have ended. Until they expire, their access tokens serve to read, and never to write.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::world::{PASSWORD, World};
use futures::future::join_all;
use switchyard_identity::{
    AccountError, ProfileFields, RoleError, RoleFields, RoleList, Secret, SessionError, User, UserError,
    UserFields,
};
use switchyard_kernel::{Context, Precondition, Refused, UserId, Versioned};

on_every_backend! {
    a_session_that_has_ended_writes_nothing,
    a_session_that_changes_the_password_continues_to_write,
    of_writes_at_the_time_of_a_log_out_none_begins_after_it,
    of_writes_at_the_time_of_a_log_out_everywhere_none_begins_after_it,
    of_writes_at_the_time_of_a_disabling_none_begins_after_it,
}

const NEW: &str = "copper whistle under nine moons";

/// What ends the session of a user.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    LogOut,
    LogOutEverywhere,
    Disabled,
    Deleted,
    PasswordChangedElsewhere,
    RefreshTokenReused,
}

/// Two sessions of one user.
struct Sessions {
    id: UserId,
    this: Context,
    other: Context,
    /// The first refresh token of `this`.
    refresh_token: Secret,
}

/// Two new sessions of a user who is registered.
async fn two_sessions(world: &World, email: &str) -> Sessions {
    let [this, other] = [world.log_in(email, PASSWORD).await, world.log_in(email, PASSWORD).await];
    let (this, other) = (this.unwrap(), other.unwrap());
    Sessions {
        id: this.user.id,
        other: world.as_user(&other).await,
        refresh_token: this.tokens.refresh_token.clone(),
        this: world.as_user(&this).await,
    }
}

/// Ends the session `this`.
async fn end(world: &World, sessions: &Sessions, end: End) {
    let Sessions { id, this, other, refresh_token } = sessions;
    let (users, ending) = (world.identity.users(), world.identity.sessions());
    match end {
        End::LogOut => ending.log_out(this, None).await.unwrap(),
        End::LogOutEverywhere => ending.log_out_everywhere(other).await.unwrap(),
        End::Disabled => drop(users.disable(&world.system(), *id).await.unwrap()),
        End::Deleted => users.delete(other, *id, &Precondition::None).await.unwrap(),
        End::PasswordChangedElsewhere => {
            let new = NEW.parse().unwrap();
            world
                .identity
                .accounts()
                .change_password(other, &Secret::new(PASSWORD), &new, None)
                .await
                .unwrap();
        }
        End::RefreshTokenReused => {
            let next = ending.refresh(&world.anyone(), refresh_token.expose()).await.unwrap();
            ending.refresh(&world.anyone(), next.tokens.refresh_token.expose()).await.unwrap();
            let reused = ending.refresh(&world.anyone(), refresh_token.expose()).await;
            assert_eq!(reused, Err(SessionError::RefreshTokenReused));
        }
    }
}

async fn rename(world: &World, context: &Context, name: &str) -> Result<Versioned<User>, UserError> {
    let name = name.parse().unwrap();
    let edit = |fields: &UserFields| Ok(UserFields { name: Clone::clone(&name), ..fields.clone() });
    world.identity.accounts().edit_me(context, &Precondition::None, edit).await
}

async fn a_session_that_has_ended_writes_nothing(world: World) {
    let ends = [
        End::LogOut,
        End::LogOutEverywhere,
        End::Disabled,
        End::Deleted,
        End::PasswordChangedElsewhere,
        End::RefreshTokenReused,
    ];
    let (_, root) = world.admin().await;
    let (users, accounts) = (world.identity.users(), world.identity.accounts());
    let admins = RoleList::try_from(vec!["admin".parse().unwrap()]).unwrap();
    for (n, way) in ends.into_iter().enumerate() {
        let email = format!("ada{n}@example.com");
        let id = world.register(&email).await.user.id;
        users.set_roles(&root, id, &admins, &Precondition::None).await.unwrap();
        // As an admin, so that the tokens permit everything.
        let sessions = two_sessions(&world, &email).await;
        rename(&world, &sessions.this, "Ada King").await.unwrap();
        end(&world, &sessions, way).await;

        let (this, refused) = (&sessions.this, Refused::Unauthenticated);
        assert_eq!(rename(&world, this, "Late").await.err(), Some(refused.into()), "{way:?}");
        let profile = |fields: &ProfileFields| Ok(fields.clone());
        let edited = users.edit_profile(this, id, &Precondition::None, profile).await;
        // A deleted user has no profile to anyone.
        let gone = if way == End::Deleted { Refused::NotFound } else { refused };
        assert_eq!(edited.err(), Some(gone.into()), "{way:?}");
        assert_eq!(users.delete(this, id, &Precondition::None).await.err(), Some(gone.into()), "{way:?}");
        let password = if way == End::PasswordChangedElsewhere { NEW } else { PASSWORD };
        let changed =
            accounts.change_password(this, &Secret::new(password), &NEW.parse().unwrap(), None).await;
        assert_eq!(changed, Err(AccountError::from(refused)), "{way:?}");
        let everywhere = world.identity.sessions().log_out_everywhere(this).await;
        assert_eq!(everywhere, Err(SessionError::from(refused)), "{way:?}");
        let fields = RoleFields { description: "Helps.".parse().unwrap(), permissions: Vec::new() };
        let name = format!("late-{n}").parse().unwrap();
        let created = world.identity.roles().create(this, &name, &fields).await;
        assert_eq!(created.err(), Some(RoleError::from(refused)), "{way:?}");
        assert_eq!(users.disable(this, id).await.err(), Some(refused.into()), "{way:?}");

        let others = rename(&world, &sessions.other, "Other").await;
        let continues = [End::LogOut, End::PasswordChangedElsewhere, End::RefreshTokenReused].contains(&way);
        assert_eq!(others.is_ok(), continues, "{way:?}: {others:?}");
    }
}

async fn a_session_that_changes_the_password_continues_to_write(world: World) {
    world.register("ada@example.com").await;
    let Sessions { this, other, refresh_token, .. } = two_sessions(&world, "ada@example.com").await;
    let accounts = world.identity.accounts();
    let mut current = PASSWORD;
    for new in [NEW, "eleven grey lanterns drift", NEW] {
        accounts.change_password(&this, &Secret::new(current), &new.parse().unwrap(), None).await.unwrap();
        rename(&world, &this, "Ada King").await.unwrap();
        assert!(rename(&world, &other, "Late").await.is_err());
        current = new;
    }
    let refreshed = world.identity.sessions().refresh(&world.anyone(), refresh_token.expose()).await.unwrap();
    let refreshed = world.as_user(&refreshed).await;
    for context in [&refreshed, &this] {
        rename(&world, context, "Ada Lovelace").await.unwrap();
    }
    // Another session changes it, so these end in turn.
    let third = world.log_in("ada@example.com", current).await.unwrap();
    let third = world.as_user(&third).await;
    let new = "seven copper kites in fog".parse().unwrap();
    accounts.change_password(&third, &Secret::new(current), &new, None).await.unwrap();
    for context in [&refreshed, &this] {
        assert_eq!(rename(&world, context, "Late").await.err(), Some(Refused::Unauthenticated.into()));
    }
    rename(&world, &third, "Ada King").await.unwrap();
}

/// Clients that write as fast as they can while their session ends.
async fn writes_at_the_time_of(world: World, way: End) {
    world.register("ada@example.com").await;
    let sessions = two_sessions(&world, "ada@example.com").await;
    let has_ended = AtomicBool::new(false);
    let (world, sessions, has_ended) = (&world, &sessions, &has_ended);
    let writers = join_all((0..2).map(|writer| async move {
        let mut refused = 0;
        for n in 0.. {
            let begins_late = has_ended.load(Ordering::SeqCst);
            match rename(world, &sessions.this, &format!("Ada {writer} {n}")).await {
                Ok(_) => assert!(!begins_late, "a write began after the session had ended"),
                Err(error) => {
                    assert_eq!(error, Refused::Unauthenticated.into());
                    refused += 1;
                }
            }
            if refused > 2 {
                break;
            }
        }
        refused
    }));
    let ending = async {
        // Some writes come before.
        while world.identity.accounts().me(&sessions.this).await.unwrap().value.name.as_str()
            == "Ada Lovelace"
        {
            tokio::task::yield_now().await;
        }
        end(world, sessions, way).await;
        has_ended.store(true, Ordering::SeqCst);
    };
    let (refused, ()) = futures::future::join(writers, ending).await;
    assert_eq!(refused, [3; 2]);
    assert!(world.audit_is_intact().await);
}

async fn of_writes_at_the_time_of_a_log_out_none_begins_after_it(world: World) {
    writes_at_the_time_of(world, End::LogOut).await;
}

async fn of_writes_at_the_time_of_a_log_out_everywhere_none_begins_after_it(world: World) {
    writes_at_the_time_of(world, End::LogOutEverywhere).await;
}

async fn of_writes_at_the_time_of_a_disabling_none_begins_after_it(world: World) {
    writes_at_the_time_of(world, End::Disabled).await;
}
