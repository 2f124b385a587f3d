//! Which keys seal, and what a start without them leads to.

use switchyard_ambient::Ambient;
use switchyard_database::{Db, Schema};
use switchyard_harness::store::{Backend, Store};
use switchyard_kernel::{
    Keys as _, OtherSecret, ReplaceableSecret, Rotating, SECRET_CHECKS, other_secret, record_secrets,
    replace_secrets,
};
use switchyard_sealing::{SealError, SealRing, Sealer, key_id_of};
use switchyard_settings::{Environment, Secret};

use super::{NEW, OLD, PLACE};

const THIRD: &str = "third-key-third-key-third-key-third-key";

/// A program that has just read its settings.
struct Program {
    keys: Rotating<SealRing>,
    sealer: Sealer,
}

impl Program {
    fn with(keys: &str) -> Self {
        let environment = Environment::of([(SealRing::SETTING, keys)]);
        let keys = environment.read(|environment| SealRing::read(environment, &[SealRing::SETTING])).unwrap();
        Self { sealer: Sealer::new(keys.clone(), Ambient::system()), keys }
    }

    fn secrets(&self) -> [&dyn ReplaceableSecret; 1] {
        [&self.keys]
    }

    /// Starts as a server, or as the deployment.
    async fn records(&self, db: &Db) -> Option<OtherSecret> {
        record_secrets(db, self.secrets(), db.ambient().now()).await.unwrap()
    }

    /// Starts as a function.
    async fn compares(&self, db: &Db) -> Option<OtherSecret> {
        other_secret(db, self.secrets()).await.unwrap()
    }

    /// Finds other keys in Secrets Manager.
    async fn reads_again(&self, db: &Db, keys: &str, records: bool) -> Vec<String> {
        let new = |_: &str| Some(Secret::new(keys));
        replace_secrets(db, self.secrets(), new, records, db.ambient().now()).await.unwrap()
    }

    /// The id of the key that seals.
    fn seals_with(&self) -> Result<String, SealError> {
        let sealed = self.sealer.seal(PLACE, b"text")?;
        assert_eq!(self.sealer.open(PLACE, &sealed).unwrap(), b"text");
        Ok(key_id_of(&sealed).unwrap().to_owned())
    }
}

fn id(key: &str) -> String {
    SealRing::parse(key).unwrap().ids().remove(0)
}

fn lack_of(key: &str) -> OtherSecret {
    OtherSecret { setting: "ENCRYPTION_KEY", key_id: id(key) }
}

async fn new_database(store: &Store) -> Db {
    let ambient = Ambient::system();
    let database = store.open(ambient.clone()).await.unwrap();
    database.migrate(&Schema::new([SECRET_CHECKS]).unwrap()).await.unwrap();
    Db::new(database, ambient)
}

async fn no_key_seals_before_it_is_recorded_on(backend: Backend) {
    let store = Store::fresh(backend).await.unwrap();
    let db = new_database(&store).await;
    let function = Program::with(OLD);
    assert_eq!(function.seals_with(), Err(SealError::NotRecorded));
    assert_eq!(function.compares(&db).await, None);
    assert_eq!(function.seals_with(), Err(SealError::NotRecorded), "nothing is recorded");
    assert!(function.keys.awaits_record());
    let deployment = Program::with(OLD);
    assert_eq!(deployment.records(&db).await, None);
    assert_eq!(deployment.seals_with(), Ok(id(OLD)));
    assert_eq!(function.compares(&db).await, None);
    assert_eq!(function.seals_with(), Ok(id(OLD)));
    assert!(!function.keys.awaits_record());

    // The keys are rotated, and the functions have them first.
    let both = format!("{NEW},{OLD}");
    let started = Program::with(&both);
    assert_eq!(started.compares(&db).await, None);
    assert_eq!(function.reads_again(&db, &both, false).await, Vec::<String>::new());
    for function in [&started, &function] {
        assert_eq!(function.seals_with(), Ok(id(OLD)));
        assert!(function.keys.awaits_record());
    }
    assert_eq!(Program::with(&both).records(&db).await, None);
    for function in [&started, &function] {
        assert_eq!(function.compares(&db).await, None);
        assert_eq!(function.seals_with(), Ok(id(NEW)));
        assert!(!function.keys.awaits_record());
    }
}

async fn every_key_that_has_sealed_is_needed_on(backend: Backend) {
    let store = Store::fresh(backend).await.unwrap();
    let db = new_database(&store).await;
    let both = format!("{NEW},{OLD}");
    assert_eq!(Program::with(&format!("{OLD},{THIRD}")).records(&db).await, None);
    assert_eq!(Program::with(NEW).records(&db).await, Some(lack_of(OLD)));
    let server = Program::with(OLD);
    assert_eq!(server.records(&db).await, None, "the third key has sealed nothing");
    assert_eq!(server.reads_again(&db, &both, true).await, Vec::<String>::new());
    assert_eq!(server.seals_with(), Ok(id(NEW)));

    for (keys, missing) in [(NEW, OLD), (OLD, NEW), (THIRD, NEW)] {
        let program = Program::with(keys);
        assert_eq!(program.compares(&db).await, Some(lack_of(missing)));
        assert_eq!(program.records(&db).await, Some(lack_of(missing)));
        assert_eq!(program.seals_with(), Err(SealError::NotRecorded));
        let fault = format!(
            "the new ENCRYPTION_KEY lacks the key with the id {}, which the database was used with",
            id(missing)
        );
        for records in [true, false] {
            assert_eq!(server.reads_again(&db, keys, records).await, std::slice::from_ref(&fault));
        }
    }
    assert_eq!(server.seals_with(), Ok(id(NEW)), "the present keys serve on");

    // Whatever their order, as in a rotation that is taken back.
    for keys in [&format!("{OLD},{NEW}"), &format!("{THIRD},{NEW},{OLD}"), &format!("{OLD},{NEW},{THIRD}")] {
        assert_eq!(Program::with(keys).records(&db).await, None);
    }
    assert_eq!(Program::with(&both).records(&db).await, Some(lack_of(THIRD)));
}

#[tokio::test]
async fn no_key_seals_before_it_is_recorded_on_sqlite() {
    no_key_seals_before_it_is_recorded_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn no_key_seals_before_it_is_recorded_on_postgres() {
    no_key_seals_before_it_is_recorded_on(Backend::Postgres).await;
}

#[tokio::test]
async fn no_key_seals_before_it_is_recorded_on_dynamodb() {
    no_key_seals_before_it_is_recorded_on(Backend::DynamoDb).await;
}

#[tokio::test]
async fn every_key_that_has_sealed_is_needed_on_sqlite() {
    every_key_that_has_sealed_is_needed_on(Backend::Sqlite).await;
}

#[tokio::test]
async fn every_key_that_has_sealed_is_needed_on_postgres() {
    every_key_that_has_sealed_is_needed_on(Backend::Postgres).await;
}

#[tokio::test]
async fn every_key_that_has_sealed_is_needed_on_dynamodb() {
    every_key_that_has_sealed_is_needed_on(Backend::DynamoDb).await;
}
