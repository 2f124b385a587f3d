//! Transactions and permission checks, with what they leave in the audit log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use switchyard_ambient::{Ambient, Timestamp, Uuid};
use switchyard_database::{Collection, Db, Entity, Error, Field, Schema, Stored, Transaction};
use switchyard_kernel::{
    Action, Actor, Attack, AuditEvent, AuditFilter, Authority, CommonError, Context, Effect, EffectRecord,
    Kernel, KernelSettings, KeyRing, Manifest, Outcome, PageRequest, Permission, Permissions, Principal,
    Refused, RequestKey, UserId,
};
use switchyard_sqlite::Sqlite;

const NOTES_WRITE: Permission = Permission::new("notes:write", "Write notes.");
const NOTE_WRITTEN: Action = Action::new("note.written");

/// When the effects of the test are forgotten: in the year 2100.
const NEVER: Timestamp = Timestamp::from_seconds(4_102_444_800);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    id: String,
    revision: i64,
}

impl Entity for Note {
    const COLLECTION: &'static Collection = &Collection::new("notes").fields(&[Field::integer("revision")]);

    fn id(&self) -> &str {
        &self.id
    }
}

const MANIFEST: Manifest =
    Manifest::new("notes").collections(&[Note::COLLECTION]).permissions(&[NOTES_WRITE]);

/// The epoch of the sessions that have not ended.
const LIVE_EPOCH: i64 = 7;

/// Lets users keep what their token permits, unless they were demoted or their session has ended.
#[derive(Debug)]
struct Users {
    demoted: Permissions,
}

#[async_trait]
impl Authority for Users {
    async fn current_permissions(
        &self,
        user: &Principal,
        _: Timestamp,
    ) -> Result<Option<Permissions>, Error> {
        let is_live = user.session_epoch == LIVE_EPOCH;
        Ok(is_live.then(|| user.permissions.clone().intersection(self.demoted.clone())))
    }

    async fn is_session_live(&self, _: &Transaction, user: &Principal) -> Result<bool, Error> {
        Ok(user.session_epoch == LIVE_EPOCH)
    }
}

async fn kernel(demoted: Permissions) -> Kernel {
    const MANIFESTS: switchyard_kernel::Manifests = &[&MANIFEST, &switchyard_kernel::MANIFEST];
    let ambient = Ambient::system();
    let db = Db::new(Arc::new(Sqlite::in_memory(ambient.clone()).unwrap()), ambient);
    let audit_keys = KeyRing::parse("audit key for tests and in no way secret").unwrap();
    let kernel =
        Kernel::new(db, KernelSettings::with_audit_keys(audit_keys), MANIFESTS, Arc::new(Users { demoted }));
    let collections = kernel.collections().chain([EffectRecord::COLLECTION]);
    kernel.db().backend().migrate(&Schema::new(collections).unwrap()).await.unwrap();
    kernel
}

fn user(kernel: &Kernel, permissions: &[Permission]) -> Context {
    kernel.context("request-1").by(Actor::User(Principal {
        user_id: Uuid::from_u128(1).into(),
        session_id: Uuid::from_u128(2).into(),
        session_epoch: LIVE_EPOCH,
        roles: Vec::new(),
        permissions: permissions.iter().copied().collect(),
        auth_time: kernel.ambient().now(),
        password_change_required: false,
    }))
}

/// The actions in the audit log with their resources, sorted.
async fn audited(kernel: &Kernel) -> Vec<(String, Option<String>)> {
    let system = kernel.context("audit").by(Actor::System);
    let all = (AuditFilter::default(), PageRequest::first(100));
    let entries = kernel.audit_log().list(&system, &all.0, &all.1).await.unwrap();
    let mut actions: Vec<_> = entries.data.into_iter().map(|entry| (entry.action, entry.resource)).collect();
    actions.sort();
    actions
}

fn entry(action: &str, resource: Option<&str>) -> (String, Option<String>) {
    (action.to_owned(), resource.map(str::to_owned))
}

/// The note as a transaction reads it. In the first run another writer replaces it afterwards, so that this run cannot commit.
async fn overtaken_note(
    kernel: &Kernel,
    tx: &Transaction,
    runs: &AtomicU32,
) -> Result<Stored<Note>, CommonError> {
    let note = tx.get::<Note>("n").await?.ok_or(Refused::NotFound)?;
    if runs.fetch_add(1, Ordering::SeqCst) == 0 {
        let other = Note { revision: 2, ..(*note).clone() };
        kernel.db().collection::<Note>().replace(&note, &other).await?;
    }
    Ok(note)
}

#[tokio::test]
async fn what_a_transaction_records_is_written_with_it() {
    let kernel = kernel(Permissions::EVERY).await;
    let context = user(&kernel, &[]);
    let note = Note { id: "n".to_owned(), revision: 1 };
    let written: Result<(), CommonError> = kernel
        .transact(&context, |tx| {
            let note = note.clone();
            async move {
                tx.insert(&note)?;
                tx.record(AuditEvent::new(NOTE_WRITTEN).resource("notes/n"));
                Ok(())
            }
        })
        .await;
    assert_eq!(written, Ok(()));
    assert_eq!(audited(&kernel).await, [entry("note.written", Some("notes/n"))]);
}

#[tokio::test]
async fn a_closure_that_runs_again_records_once() {
    let kernel = kernel(Permissions::EVERY).await;
    let context = user(&kernel, &[]);
    let notes = kernel.db().collection::<Note>();
    notes.insert(&Note { id: "n".to_owned(), revision: 1 }).await.unwrap();
    let runs = &AtomicU32::new(0);
    let written: Result<(), CommonError> = kernel
        .transact(&context, |tx| {
            let kernel = &kernel;
            async move {
                let note = overtaken_note(kernel, &tx, runs).await?;
                tx.record(AuditEvent::new(NOTE_WRITTEN));
                tx.replace(&note, &Note { revision: note.revision + 10, ..(*note).clone() })?;
                Ok(())
            }
        })
        .await;
    assert_eq!((written, runs.load(Ordering::SeqCst)), (Ok(()), 2));
    assert_eq!(notes.get("n").await.unwrap().unwrap().revision, 12);
    assert_eq!(audited(&kernel).await, [entry("note.written", None)]);
}

#[tokio::test]
async fn a_denial_within_a_transaction_is_recorded_though_the_transaction_is_not() {
    let kernel = kernel(Permissions::EVERY).await;
    let context = user(&kernel, &[]);
    let denied: Result<(), CommonError> = kernel
        .transact(&context, |tx| async move {
            tx.record(AuditEvent::new(NOTE_WRITTEN));
            tx.insert(&Note { id: "n".to_owned(), revision: 1 })?;
            Err(tx.deny("notes/n").into())
        })
        .await;
    assert_eq!(denied, Err(Refused::Forbidden.into()));
    assert!(kernel.db().collection::<Note>().get("n").await.unwrap().is_none());
    assert_eq!(audited(&kernel).await, [entry("access.denied", Some("notes/n"))]);
}

#[tokio::test]
async fn a_transaction_records_the_refusals_that_the_kernel_records() {
    let kernel = kernel(Permissions::EVERY).await;
    let context = user(&kernel, &[]);
    let check = async |verdict| -> Result<(), CommonError> {
        kernel.transact(&context, |tx| async move { Ok(tx.check(verdict, "notes/n")?) }).await
    };
    assert_eq!(check(Ok(())).await, Ok(()));
    for refused in [Refused::Unauthenticated, Refused::StepUpRequired, Refused::PreconditionFailed] {
        assert_eq!(check(Err(refused)).await, Err(refused.into()));
    }
    assert_eq!(audited(&kernel).await, []);
    for refused in [Refused::Forbidden, Refused::NotFound] {
        assert_eq!(check(Err(refused)).await, Err(refused.into()));
    }
    let denied = entry("access.denied", Some("notes/n"));
    assert_eq!(audited(&kernel).await, [denied], "the second is counted");
}

/// The first run sees two notes of different revisions, which they never had at one moment.
#[tokio::test]
async fn a_denial_that_rests_on_two_moments_is_not_recorded() {
    let kernel = kernel(Permissions::EVERY).await;
    let context = user(&kernel, &[]);
    let notes = kernel.db().collection::<Note>();
    for id in ["m", "n"] {
        notes.insert(&Note { id: id.to_owned(), revision: 1 }).await.unwrap();
    }
    let (runs, notes) = (&AtomicU32::new(0), &notes);
    let agreed: Result<i64, CommonError> = kernel
        .transact(&context, |tx| async move {
            let first = tx.get::<Note>("m").await?.ok_or(Refused::NotFound)?;
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                for id in ["m", "n"] {
                    notes.update(id, |note| note.revision = 2).await?;
                }
            }
            let second = tx.get::<Note>("n").await?.ok_or(Refused::NotFound)?;
            if first.revision == second.revision {
                Ok(first.revision)
            } else {
                Err(tx.deny("notes/n").into())
            }
        })
        .await;
    assert_eq!((agreed, runs.load(Ordering::SeqCst)), (Ok(2), 2));
    assert_eq!(audited(&kernel).await, []);
}

#[tokio::test]
async fn a_denial_of_a_run_that_is_repeated_is_not_recorded() {
    let kernel = kernel(Permissions::EVERY).await;
    let context = user(&kernel, &[]);
    let notes = kernel.db().collection::<Note>();
    notes.insert(&Note { id: "n".to_owned(), revision: 1 }).await.unwrap();
    let runs = &AtomicU32::new(0);
    let refused: Result<(), CommonError> = kernel
        .transact(&context, |tx| {
            let kernel = &kernel;
            async move {
                let note = overtaken_note(kernel, &tx, runs).await?;
                if runs.load(Ordering::SeqCst) == 1 {
                    let _ = tx.deny("notes/n");
                    tx.replace(&note, &Note { revision: 3, ..(*note).clone() })?;
                    return Ok(());
                }
                Err(Refused::NotFound.into())
            }
        })
        .await;
    assert_eq!((refused, runs.load(Ordering::SeqCst)), (Err(Refused::NotFound.into()), 2));
    assert_eq!(audited(&kernel).await, []);
}

#[tokio::test]
async fn a_refused_attempt_is_recorded_and_an_anonymous_one_is_not() {
    let kernel = kernel(Permissions::EVERY).await;
    let other = UserId::from(Uuid::from_u128(9));
    let (nobody, ada) = (kernel.context("request-1"), user(&kernel, &[]));
    let require = async |context: &Context| kernel.require(context, NOTES_WRITE, "notes/1").await;
    assert_eq!(require(&nobody).await, Err(Refused::Unauthenticated.into()));
    assert_eq!(require(&ada).await, Err(Refused::Forbidden.into()));
    assert_eq!(require(&user(&kernel, &[NOTES_WRITE])).await, Ok(()));
    let require_owner = async |owner| kernel.require_owner_or(&ada, owner, NOTES_WRITE, "notes/2").await;
    assert_eq!(require_owner(other).await, Err(Refused::NotFound.into()));
    assert_eq!(require_owner(Uuid::from_u128(1).into()).await, Ok(()));
    let denied = |resource| entry("access.denied", Some(resource));
    assert_eq!(audited(&kernel).await, [denied("notes/1")], "the second is counted");
    assert!(kernel.require(&ada, NOTES_WRITE, "drawers/1").await.is_err());
    assert_eq!(audited(&kernel).await, [denied("drawers/1"), denied("notes/1")]);
}

/// The first is part of what is promised to users, the other must not hold up an answer.
#[tokio::test]
async fn a_denial_that_cannot_be_recorded_is_an_error_and_a_sign_of_an_attack_is_not() {
    let ambient = Ambient::system();
    let db = Db::new(Arc::new(Sqlite::in_memory(ambient.clone()).unwrap()), ambient); // without any table
    let settings =
        KernelSettings::with_audit_keys(KeyRing::parse("audit key for tests and in no way secret").unwrap());
    let users = Arc::new(Users { demoted: Permissions::EVERY });
    let kernel = Kernel::new(db, settings, &[&MANIFEST, &switchyard_kernel::MANIFEST], users);
    let denied = kernel.require(&user(&kernel, &[]), NOTES_WRITE, "notes/1").await;
    assert!(matches!(denied, Err(CommonError::Database(_))), "{denied:?}");
    kernel.note(&kernel.context("request-1"), &Attack::TokenRefused.event()).await;
}

#[tokio::test]
async fn a_permission_that_the_token_has_and_the_user_lost_is_refused() {
    let context = |kernel: &Kernel| user(kernel, &[NOTES_WRITE]);
    let kernel = kernel(Permissions::NONE).await;
    assert_eq!(kernel.require(&context(&kernel), NOTES_WRITE, "notes").await, Ok(()));
    let current = kernel.require_current(&context(&kernel), NOTES_WRITE, "notes").await;
    assert_eq!(current.err(), Some(Refused::Forbidden.into()));
    assert_eq!(audited(&kernel).await, [entry("access.denied", Some("notes"))]);
}

/// Writes a note under the request's key, and records it with this outcome.
async fn write(kernel: &Kernel, key: &RequestKey, id: &str, outcome: Outcome) -> Result<(), CommonError> {
    let context = Context { request_key: Some(key.clone()), ..user(kernel, &[]) };
    kernel
        .transact(&context, |tx| async move {
            tx.insert(&Note { id: id.to_owned(), revision: 1 })?;
            let event = AuditEvent::new(NOTE_WRITTEN).subject("ada").resource(format_args!("notes/{id}"));
            tx.record(event.outcome(outcome));
            Ok(())
        })
        .await
}

async fn repeated(kernel: &Kernel) -> RequestKey {
    RequestKey::repeated(kernel.db(), "request", b"seed", NEVER).await.unwrap()
}

#[tokio::test]
async fn a_request_takes_effect_once_and_its_repetition_learns_what_it_did() {
    let kernel = kernel(Permissions::EVERY).await;
    let first = RequestKey::new("request", b"seed", NEVER);
    assert!(!first.may_have_taken_effect());
    assert_eq!(write(&kernel, &first, "a", Outcome::Success).await, Ok(()));
    assert!(first.may_have_taken_effect() && !first.is_repeated());

    let again = repeated(&kernel).await;
    let effect = again.earlier_effect().unwrap();
    let expected = Effect {
        action: "note.written".to_owned(),
        subject: Some("ada".to_owned()),
        resource: Some("notes/a".to_owned()),
    };
    assert_eq!((effect, effect.resource_id::<String>().as_deref()), (&expected, Some("a")));
    assert!(matches!(write(&kernel, &again, "b", Outcome::Success).await, Err(CommonError::Database(_))));
    assert!(kernel.db().collection::<Note>().get("b").await.unwrap().is_none());
    assert_eq!(audited(&kernel).await, [entry("note.written", Some("notes/a"))]);
}

#[tokio::test]
async fn of_two_runs_of_a_request_only_one_takes_effect() {
    let kernel = kernel(Permissions::EVERY).await;
    let first = RequestKey::new("request", b"seed", NEVER);
    let second = repeated(&kernel).await; // before the first has committed
    let (one, other) = tokio::join!(
        write(&kernel, &first, "a", Outcome::Success),
        write(&kernel, &second, "b", Outcome::Success)
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?}, {other:?}");
    assert_eq!(first.may_have_taken_effect(), one.is_ok());
    assert_eq!(second.may_have_taken_effect(), other.is_ok());
    assert_eq!(audited(&kernel).await.len(), 1);
}

#[tokio::test]
async fn a_failure_on_record_is_no_effect() {
    let kernel = kernel(Permissions::EVERY).await;
    let key = RequestKey::new("request", b"seed", NEVER);
    assert_eq!(write(&kernel, &key, "a", Outcome::Failure).await, Ok(()));
    assert!(!key.may_have_taken_effect());
    assert_eq!(write(&kernel, &key, "b", Outcome::Success).await, Ok(()));
    // Later transactions of the same run belong to the effect that is on record.
    assert_eq!(write(&kernel, &key, "c", Outcome::Success).await, Ok(()));
    assert_eq!(repeated(&kernel).await.earlier_effect().unwrap().resource.as_deref(), Some("notes/b"));
}

#[test]
fn a_request_has_a_secret_for_each_purpose() {
    let key = |seed: &[u8]| RequestKey::new("request", seed, NEVER);
    assert_eq!(key(b"seed").secret("token"), key(b"seed").secret("token"));
    assert_ne!(key(b"seed").secret("token"), key(b"seed").secret("family"));
    assert_ne!(key(b"seed").secret("token"), key(b"other").secret("token"));
    assert!(!format!("{:?}", key(b"seed")).contains("seed"));
}

#[tokio::test]
async fn a_token_whose_session_has_ended_does_not_serve_to_write() {
    let kernel = &kernel(Permissions::EVERY).await;
    let live = user(kernel, &[NOTES_WRITE]);
    let Actor::User(principal) = live.actor.clone() else { panic!("the actor is a user") };
    let ended = live.clone().by(Actor::User(Principal { session_epoch: LIVE_EPOCH - 1, ..principal }));
    let require_live = async |context: &Context| {
        kernel.transact(context, |tx| async move { kernel.require_live_session(&tx, context).await }).await
    };
    assert_eq!(require_live(&live).await, Ok(Uuid::from_u128(1).into()));
    let refused = CommonError::from(Refused::Unauthenticated);
    for context in [&ended, &kernel.context("request-1"), &Context::system("request-1", live.now)] {
        assert_eq!(require_live(context).await, Err(refused.clone()));
    }
    assert_eq!(kernel.require_current(&ended, NOTES_WRITE, "notes").await.err(), Some(refused.clone()));
    assert_eq!(kernel.with_current_permissions(&ended).await.err(), Some(refused));
    assert_eq!(audited(kernel).await, []);
}
