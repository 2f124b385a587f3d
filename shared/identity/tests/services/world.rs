//! The environment of a test: a new store, a clock that stands still, and identity on both.

use std::time::Duration;

use switchyard_ambient::{Ambient, ManualClock, SystemRandomness, Timestamp};
use switchyard_database::{Batch, Collection, Db, Document, Key, Operation, Scan, Schema};
use switchyard_harness::store::{Backend, Store};
use switchyard_identity::{
    FirstAdmin, Identity, IdentitySettings, LoginOutcome, LoginRequest, Registration, Secret, SignIn, testing,
};
use switchyard_kernel::{Actor, AuditEntry, AuditFilter, Authenticator as _, Context, PageRequest, UserId};
use switchyard_program::assemble;

pub(crate) const PASSWORD: &str = "moss lantern crooked tuba";
pub(crate) const ADMIN_PASSWORD: &str = "nine violet anchors hum";

pub(crate) struct World {
    pub(crate) identity: Identity,
    pub(crate) db: Db,
    pub(crate) clock: ManualClock,
    _store: Option<Store>,
}

impl World {
    /// A world on the store of this suite.
    pub(crate) async fn new() -> Self {
        Self::on(Backend::Sqlite).await
    }

    pub(crate) async fn on(backend: Backend) -> Self {
        // Far in the future, so that DynamoDB's own expiry, which uses the real time, removes nothing.
        let clock = ManualClock::at("2033-03-01T08:30:00Z".parse().unwrap());
        let ambient = Ambient::new(clock.clone(), SystemRandomness);
        let (db, store) = match backend {
            Backend::Sqlite => {
                let db = Db::new(crate::database(ambient.clone()), ambient);
                db.backend().migrate(&Schema::new(switchyard_program::collections()).unwrap()).await.unwrap();
                (db, None)
            }
            Backend::Postgres | Backend::DynamoDb => {
                let store = Store::migrated(backend).await.unwrap();
                (Db::new(store.open(ambient.clone()).await.unwrap(), ambient), Some(store))
            }
        };
        let identity = assemble(db.clone(), testing::kernel_settings(), testing::settings());
        identity.install(clock_now(&clock)).await.unwrap();
        Self { identity, db, clock, _store: store }
    }

    /// Another process on the same store, with other settings.
    pub(crate) fn again_with(&self, settings: IdentitySettings) -> Identity {
        assemble(self.db.clone(), testing::kernel_settings(), settings)
    }

    pub(crate) fn now(&self) -> Timestamp {
        clock_now(&self.clock)
    }

    pub(crate) fn minutes_pass(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(60 * minutes));
    }

    pub(crate) fn days_pass(&self, days: u64) {
        self.minutes_pass(days * 24 * 60);
    }

    /// Waits until lists show all earlier writes. A test calls it before it lists what it wrote.
    pub(crate) async fn listings_catch_up(&self) {
        tokio::time::sleep(crate::LAG).await;
    }

    pub(crate) fn anyone(&self) -> Context {
        Context { address: Some([192, 0, 2, 1].into()), ..self.identity.context("request-1") }
    }

    pub(crate) fn system(&self) -> Context {
        self.anyone().by(Actor::System)
    }

    pub(crate) async fn as_user(&self, signed_in: &SignIn) -> Context {
        let token = signed_in.tokens.access_token.expose();
        self.anyone().by(Actor::User(self.identity.authenticate(token, self.now()).await.unwrap()))
    }

    pub(crate) async fn register(&self, email: &str) -> SignIn {
        self.identity.accounts().register(&self.anyone(), &registration(email)).await.unwrap()
    }

    /// A customer, and the context of their requests.
    pub(crate) async fn customer(&self, email: &str) -> (UserId, Context) {
        let signed_in = self.register(email).await;
        (signed_in.user.id, self.as_user(&signed_in).await)
    }

    /// The first admin, and the context of their requests.
    pub(crate) async fn admin(&self) -> (UserId, Context) {
        let admin = FirstAdmin {
            email: "root@example.com".parse().unwrap(),
            password: ADMIN_PASSWORD.parse().unwrap(),
            password_change_required: false,
        };
        self.identity.accounts().ensure_first_admin(&self.system(), &admin).await.unwrap();
        let signed_in = self.log_in("root@example.com", ADMIN_PASSWORD).await.unwrap();
        (signed_in.user.id, self.as_user(&signed_in).await)
    }

    pub(crate) async fn log_in(
        &self,
        email: &str,
        password: &str,
    ) -> Result<SignIn, switchyard_identity::AccountError> {
        match self.identity.accounts().login(&self.anyone(), &login(email, password)).await? {
            LoginOutcome::SignedIn(signed_in) => Ok(*signed_in),
            #[expect(
                unreachable_patterns,
                reason = "a second factor would be another outcome, which no test here has"
            )]
            other => panic!("{other:?}"),
        }
    }

    /// The action and outcome of each audit entry about a subject, the latest first.
    pub(crate) async fn audited(&self, subject: impl ToString) -> Vec<String> {
        let filter = AuditFilter { subject: Some(subject.to_string()), ..AuditFilter::default() };
        self.entries(&filter)
            .await
            .iter()
            .map(|entry| format!("{} {:?}", entry.action, entry.outcome))
            .collect()
    }

    pub(crate) async fn entries(&self, filter: &AuditFilter) -> Vec<AuditEntry> {
        self.listings_catch_up().await;
        self.identity
            .kernel()
            .audit_log()
            .list(&self.system(), filter, &PageRequest::first(1000))
            .await
            .unwrap()
            .data
    }

    /// The number of a user's refused attempts: those with entries, and those that were counted.
    pub(crate) async fn denials_of(&self, actor: UserId) -> usize {
        let action = Some("access.denied".to_owned());
        let filter = AuditFilter { actor: Some(actor.to_string()), action, ..AuditFilter::default() };
        let entries = self.entries(&filter).await;
        let suppressed = entries.iter().filter_map(|entry| entry.details.get("suppressed"));
        let suppressed: usize = suppressed.map(|count| count.parse::<usize>().unwrap()).sum();
        let windows =
            self.db.backend().scan(&Scan::new(collection("audit_refusals"))).await.unwrap().documents;
        let of_actor = windows.iter().filter(|window| window.key.id().ends_with(&format!(":{actor}")));
        let counted: u64 = of_actor.map(|window| window.body["count"].as_u64().unwrap()).sum();
        entries.len() + suppressed + usize::try_from(counted).unwrap()
    }

    /// Whether the audit log is unchanged.
    pub(crate) async fn audit_is_intact(&self) -> bool {
        self.identity
            .kernel()
            .audit_log()
            .verify(&self.system(), &PageRequest::first(u32::MAX))
            .await
            .unwrap()
            .valid
    }

    pub(crate) async fn document(&self, collection: &str, id: &str) -> Document {
        self.db.backend().get(&Key::new(self::collection(collection), id).unwrap()).await.unwrap().unwrap()
    }

    /// Writes to the database directly, as an intruder would: also to what is append-only.
    pub(crate) async fn tamper(&self, operation: Operation) {
        let (removed, written) = match operation {
            Operation::Delete { previous } => (Some(previous), None),
            Operation::Replace { previous, body, expires_at } => {
                let key = previous.key.clone();
                (Some(previous), Some(Operation::Create { key, body, expires_at }))
            }
            other => (None, Some(other)),
        };
        if let Some(previous) = removed {
            self.db.backend().commit(&Batch::of_expired(previous).unwrap()).await.unwrap();
        }
        if let Some(operation) = written {
            self.db.commit(vec![operation]).await.unwrap();
        }
    }
}

fn clock_now(clock: &ManualClock) -> Timestamp {
    use switchyard_ambient::Clock as _;
    clock.now()
}

pub(crate) fn collection(name: &str) -> &'static Collection {
    switchyard_program::collections().find(|collection| collection.name == name).unwrap()
}

pub(crate) fn registration(email: &str) -> Registration {
    Registration {
        email: email.parse().unwrap(),
        password: PASSWORD.parse().unwrap(),
        name: "Ada Lovelace".parse().unwrap(),
        device_name: None,
    }
}

pub(crate) fn login(email: &str, password: &str) -> LoginRequest {
    LoginRequest {
        email: email.parse().unwrap(),
        password: Secret::new(password),
        device_name: None,
        device_token: None,
    }
}
