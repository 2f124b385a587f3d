//! Tests of migrations that include documents written by instances of the previous program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use serde_json::json;
use switchyard_ambient::{Ambient, ManualClock, SystemRandomness, Timestamp};
use switchyard_database::{
    Batch, Body, Cause, Collection, Database as _, Document, Error, Field, Key, Operation, Schema, Unique,
    UniqueKey,
};
use switchyard_postgres::Postgres;

use common::TestSchema;

/// The declaration of the previous program.
const BEFORE: &Collection = &Collection::new("people").expiring();
const PEOPLE: &Collection = &Collection::new("people")
    .fields(&[Field::string("email"), Field::integer("visits")])
    .counters(&["visits"])
    .uniques(&[Unique::new("email", &["email"])])
    .expiring();

const NOW: Timestamp = Timestamp::from_seconds(4_102_444_800);
const SOON: Duration = Duration::from_secs(60);

struct Setting {
    schema: TestSchema,
    database: Postgres,
    ambient: Ambient,
    clock: ManualClock,
}

impl Setting {
    /// Creates the tables with the unique attribute and its index.
    async fn new() -> Self {
        let schema = TestSchema::create().await;
        let clock = ManualClock::at(NOW);
        let ambient = Ambient::new(clock.clone(), SystemRandomness);
        let database = schema.open(ambient.clone()).await;
        let setting = Self { schema, database, ambient, clock };
        setting.migrate().await.unwrap();
        setting
    }

    async fn migrate(&self) -> Result<(), Error> {
        self.database.migrate(&Schema::new([PEOPLE]).unwrap()).await
    }

    async fn try_commit(&self, operations: Vec<Operation>) -> Result<(), Error> {
        self.database.commit(&Batch::new(operations, &self.ambient).unwrap()).await.map(drop)
    }

    async fn commit(&self, operation: Operation) {
        self.try_commit(vec![operation]).await.unwrap();
    }

    /// Changes a document as this program does.
    async fn try_change(&self, id: &str, body: Body) -> Result<(), Error> {
        let previous = self.database.get(&Key::new(PEOPLE, id).unwrap()).await.unwrap().unwrap();
        self.try_commit(vec![Operation::Replace { previous, body, expires_at: None }]).await
    }

    async fn create(&self, collection: &'static Collection, id: &str, email: &str) {
        self.create_until(collection, id, email, None).await;
    }

    async fn create_until(
        &self,
        collection: &'static Collection,
        id: &str,
        email: &str,
        expires_at: Option<Timestamp>,
    ) {
        let (key, body) = (Key::new(collection, id).unwrap(), person(email, 0));
        self.commit(Operation::Create { key, body, expires_at }).await;
    }

    /// Changes a document as the previous program does, which does not update the column of the attribute.
    async fn change_before(&self, id: &str, email: &str) {
        let previous = self.database.get(&Key::new(BEFORE, id).unwrap()).await.unwrap().unwrap();
        let body = person(email, 0);
        self.commit(Operation::Replace { previous, body, expires_at: None }).await;
    }

    async fn holder(&self, email: &str) -> Option<String> {
        let unique = UniqueKey::new(PEOPLE, "email", [email]).unwrap();
        let found: Option<Document> = self.database.lookup(&unique).await.unwrap();
        found.map(|document| document.key.id().to_owned())
    }
}

fn person(email: &str, visits: i64) -> Body {
    json!({"email": email, "visits": visits}).as_object().unwrap().clone()
}

#[tokio::test]
async fn a_value_of_an_expired_document_is_free_for_a_migrated_document() {
    let setting = Setting::new().await;
    setting.create_until(PEOPLE, "short", "shared", Some(NOW + SOON)).await;
    setting.clock.advance(SOON);
    setting.create(BEFORE, "lasting", "shared").await;
    assert_eq!(setting.migrate().await, Ok(()));
    assert_eq!(setting.holder("shared").await.as_deref(), Some("lasting"));
    setting.schema.drop().await;
}

#[tokio::test]
async fn a_value_that_the_previous_program_released_is_free() {
    let setting = Setting::new().await;
    setting.create(PEOPLE, "a", "1").await;
    setting.change_before("a", "2").await;
    setting.create(PEOPLE, "b", "1").await;
    assert_eq!(setting.holder("1").await.as_deref(), Some("b"));
    assert_eq!(setting.migrate().await, Ok(()));
    assert_eq!(setting.holder("1").await.as_deref(), Some("b"));
    assert_eq!(setting.holder("2").await.as_deref(), Some("a"));
    setting.schema.drop().await;
}

/// Until the migration includes it, a document of the previous program holds none of its values.
#[tokio::test]
async fn a_document_of_the_previous_program_can_be_written_unless_another_one_holds_its_value() {
    let setting = Setting::new().await;
    setting.create(BEFORE, "a", "1").await;
    setting.create(PEOPLE, "b", "1").await;
    // Writes that do not change the value succeed, also in a batch with other documents.
    let visit = || Operation::Increment {
        key: Key::new(PEOPLE, "a").unwrap(),
        field: "visits",
        by: 1,
        at_least: None,
    };
    setting.commit(visit()).await;
    let key = Key::new(PEOPLE, "c").unwrap();
    let beside = Operation::Create { key, body: person("3", 0), expires_at: None };
    assert_eq!(setting.try_commit(vec![visit(), beside]).await, Ok(()));
    let taken = setting.try_change("a", person("1", 7)).await.unwrap_err();
    let Error::Rejected(rejections) = taken else { panic!("{taken:?}") };
    let [rejection] = &rejections[..] else { panic!("{rejections:?}") };
    assert_eq!((rejection.operation, rejection.key.id()), (0, "a"));
    assert_eq!(rejection.cause, Cause::UniqueTaken { attribute: "email" });
    let stored = setting.database.get(&Key::new(PEOPLE, "a").unwrap()).await.unwrap().unwrap();
    assert_eq!(stored.body, person("1", 2));
    // The row of the other document still stores the value, but the document no longer holds it.
    setting.change_before("b", "2").await;
    assert_eq!(setting.try_change("a", person("1", 7)).await, Ok(()));
    assert_eq!(setting.holder("1").await.as_deref(), Some("a"));
    assert_eq!(setting.migrate().await, Ok(()));
    assert_eq!(setting.holder("2").await.as_deref(), Some("b"));
    setting.schema.drop().await;
}

#[tokio::test]
async fn a_migration_waits_for_locked_rows() {
    let setting = Setting::new().await;
    setting.create(BEFORE, "a", "1").await;
    setting.create(BEFORE, "b", "2").await;
    let holder = setting.schema.client().await;
    holder.batch_execute("begin; select from people where id = 'a' for share").await.unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_millis(1500)).await; // longer than one attempt waits
        holder.batch_execute("commit").await.unwrap();
    };
    let (migrated, ()) = tokio::join!(setting.migrate(), release);
    assert_eq!(migrated, Ok(()));
    assert_eq!(setting.holder("1").await.as_deref(), Some("a"));
    assert_eq!(setting.holder("2").await.as_deref(), Some("b"));
    setting.schema.drop().await;
}

#[tokio::test]
async fn values_that_the_previous_program_moved_are_migrated_in_their_current_state() {
    let setting = Setting::new().await;
    for (id, email) in [("a", "1"), ("b", "2"), ("c", "3")] {
        setting.create(PEOPLE, id, email).await;
    }
    for (id, email) in [("a", "2"), ("b", "1"), ("c", "4")] {
        setting.change_before(id, email).await;
    }
    setting.create(BEFORE, "d", "3").await;
    assert_eq!(setting.migrate().await, Ok(()));
    for (email, id) in [("1", "b"), ("2", "a"), ("3", "d"), ("4", "c")] {
        assert_eq!(setting.holder(email).await.as_deref(), Some(id), "{email}");
    }
    setting.schema.drop().await;
}

#[tokio::test]
async fn a_value_of_a_live_document_is_refused_to_a_migrated_document() {
    let setting = Setting::new().await;
    setting.create(PEOPLE, "a", "shared").await;
    setting.create(BEFORE, "b", "shared").await;
    assert_eq!(setting.migrate().await, Err(Error::not_unique(PEOPLE, "email", "a", "b")));
    assert_eq!(setting.holder("shared").await.as_deref(), Some("a"));
    // Both documents are migrated in one step, together with an expired one, which does not count.
    setting.create(BEFORE, "c", "other").await;
    setting.create_until(BEFORE, "d", "other", Some(NOW + SOON)).await;
    setting.create(BEFORE, "e", "other").await;
    setting.change_before("b", "free").await;
    setting.clock.advance(SOON);
    assert_eq!(setting.migrate().await, Err(Error::not_unique(PEOPLE, "email", "c", "e")));
    setting.schema.drop().await;
}

/// The server reports a duplicate value, but when the migration looks for its holder, there is none.
#[tokio::test]
async fn a_holder_that_has_gone_meanwhile_does_not_end_a_migration() {
    let setting = Setting::new().await;
    setting.create(BEFORE, "a", "mine").await;
    // A sequence is not rolled back, so the trigger raises the error only once.
    let once = "create sequence times; \
                create function refuse_once() returns trigger language plpgsql as $$ begin \
                if nextval('times') = 1 then raise unique_violation; end if; return new; end $$; \
                create trigger refuse_once before update on people for each row execute function refuse_once()";
    setting.schema.client().await.batch_execute(once).await.unwrap();
    assert_eq!(setting.migrate().await, Ok(()));
    assert_eq!(setting.holder("mine").await.as_deref(), Some("a"));
    setting.schema.drop().await;
}
