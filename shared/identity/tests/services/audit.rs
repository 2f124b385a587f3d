//! The entries of the audit log, and that it detects changes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use switchyard_database::{Document, Error, Key, Operation, Scan};
use switchyard_identity::{Identity, InstallError, UserFields, testing};
use switchyard_kernel::{
    Action, AnchorError, AuditBreak, AuditEvent, AuditFilter, AuditVerification, BreakReason, CommonError,
    Context, KernelSettings, KeyRing, Outcome, PageRequest, Precondition, Refused,
};
use switchyard_program::assemble;

use crate::world::{World, collection};

on_every_backend! {
    chains_stay_whole_under_many_writers,
    a_log_of_several_processes_stays_whole_while_they_write,
    a_chain_that_is_set_back_with_its_entries_contradicts_another_chain,
    a_log_that_is_set_back_as_a_whole_contradicts_its_anchor,
    a_changed_or_removed_entry_is_reported,
}

/// Verifies the whole log at once, and checks that verifying it in parts gives the same result.
async fn verify(world: &World) -> AuditVerification {
    let whole = verify_in_parts_of(u32::MAX, world).await;
    assert_eq!(verify_in_parts_of(30, world).await, whole);
    whole
}

async fn verify_in_parts_of(limit: u32, world: &World) -> AuditVerification {
    let (mut entries, mut request) = (0, PageRequest::first(limit));
    loop {
        let part = world.identity.kernel().audit_log().verify(&world.system(), &request).await.unwrap();
        assert!(part.entries <= limit.into());
        entries += part.entries;
        match part.next_cursor {
            Some(next) => {
                assert_eq!((part.valid, part.first_break), (true, None));
                request = PageRequest::after(limit, next);
            }
            None => return AuditVerification { entries, ..part },
        }
    }
}

/// The result for an intact log with this number of entries.
fn whole(entries: u64) -> AuditVerification {
    AuditVerification { valid: true, entries, first_break: None, next_cursor: None }
}

/// All stored entries, chain by chain.
async fn stored(world: &World) -> Vec<Document> {
    let page = world.db.backend().scan(&Scan::new(collection("audit_entries"))).await.unwrap();
    let mut entries = page.documents;
    entries.sort_by_key(place);
    entries
}

/// Writes at least `count` entries, spread over the chains.
async fn write(world: &World, count: usize) {
    for _ in 0..count.div_ceil(40) {
        let records = (0..40).map(|n| async move {
            let event = AuditEvent::new(Action::new("test.done")).subject("s").detail("n", n);
            world.identity.kernel().record(&world.system(), &[event]).await.unwrap();
        });
        join_all(records).await;
    }
}

/// The ends of all chains that have one.
async fn ends(world: &World) -> Vec<Document> {
    world.db.backend().scan(&Scan::new(collection("audit_chains"))).await.unwrap().documents
}

/// Sets a chain back to an earlier end of it, with the entries that it had then.
async fn set_back(world: &World, earlier: &Document) {
    let chain = u8::from_str_radix(earlier.key.id(), 16).unwrap();
    let last = earlier.body["sequence"].as_i64().unwrap();
    let previous = world.document("audit_chains", earlier.key.id()).await;
    world.tamper(Operation::Replace { previous, body: earlier.body.clone(), expires_at: None }).await;
    for entry in stored(world).await {
        if place(&entry).0 == chain && place(&entry).1 > last {
            world.tamper(Operation::Delete { previous: entry }).await;
        }
    }
}

/// An end that an entry of another chain names, and how the chain ended before.
async fn named_end(world: &World, before: &[Document]) -> ((u8, i64), Document) {
    let number = |value: &serde_json::Value| value.as_i64().unwrap();
    stored(world)
        .await
        .iter()
        .filter_map(|entry| entry.body.get("seen"))
        .find_map(|seen| {
            let (chain, sequence) = (u8::try_from(number(&seen["c"])).unwrap(), number(&seen["n"]));
            let earlier = before.iter().find(|end| end.key.id() == format!("{chain:02x}"))?;
            let is_later = sequence > number(&earlier.body["sequence"]);
            is_later.then(|| ((chain, sequence), earlier.clone()))
        })
        .unwrap()
}

fn place(document: &Document) -> (u8, i64) {
    let (chain, sequence) = document.key.id().split_once('-').unwrap();
    (u8::from_str_radix(chain, 16).unwrap(), sequence.parse().unwrap())
}

async fn chains_stay_whole_under_many_writers(world: World) {
    write(&world, 200).await;
    assert_eq!(verify(&world).await, whole(200));
}

/// Two processes, of which one has a new key, and a third that verifies while they write.
async fn a_log_of_several_processes_stays_whole_while_they_write(world: World) {
    let system = &world.system();
    let keys = format!("another audit key that is no secret,{}", testing::AUDIT_KEY);
    let settings = |keys: &str| KernelSettings::with_audit_keys(KeyRing::parse(keys).unwrap());
    let process = |keys: &str| assemble(world.db.clone(), settings(keys), testing::settings());
    let [one, other, verifier] = [testing::AUDIT_KEY, &keys, &keys].map(process);
    let write = async |identity: &Identity| {
        for n in 0..60 {
            let event = AuditEvent::new(Action::new("test.done")).subject("s").detail("n", n);
            identity.kernel().record(system, &[event]).await.unwrap();
        }
    };
    let whole = &PageRequest::first(u32::MAX);
    let verify = async || {
        for _ in 0..5 {
            let log = verifier.kernel().audit_log();
            let anchor = log.anchor(system).await.unwrap();
            assert!(log.verify(system, whole).await.unwrap().valid);
            assert_eq!(log.verify_anchor(system, &anchor).await, Ok(None));
        }
    };
    tokio::join!(write(&one), write(&one), write(&other), write(&other), verify());
    let verified = verifier.kernel().audit_log().verify(system, whole).await.unwrap();
    assert_eq!((verified.valid, verified.entries), (true, 240));
}

async fn a_chain_that_is_set_back_with_its_entries_contradicts_another_chain(world: World) {
    write(&world, 40).await;
    let before = ends(&world).await;
    write(&world, 200).await;
    let ((chain, sequence), earlier) = named_end(&world, &before).await;
    set_back(&world, &earlier).await;
    world.listings_catch_up().await;
    let found = verify(&world).await.first_break.unwrap();
    assert_eq!((found.chain, found.entry_id, found.reason), (chain, None, BreakReason::SetBack));
    assert!(found.sequence > earlier.body["sequence"].as_i64().unwrap(), "{} {sequence}", found.sequence);
}

async fn a_log_that_is_set_back_as_a_whole_contradicts_its_anchor(world: World) {
    let log = world.identity.kernel().audit_log();
    write(&world, 40).await;
    let (before, early) = (ends(&world).await, log.anchor(&world.system()).await.unwrap());
    write(&world, 40).await;
    let anchor = log.anchor(&world.system()).await.unwrap();
    assert_eq!(anchor.follows(&early), Ok(()));
    assert_eq!(early.follows(&anchor), Err(AnchorError::SetBack));
    write(&world, 40).await;
    assert_eq!(log.verify_anchor(&world.system(), &anchor).await, Ok(None));

    for end in ends(&world).await {
        match before.iter().find(|earlier| earlier.key == end.key) {
            Some(earlier) => set_back(&world, earlier).await,
            None => {
                let chain = u8::from_str_radix(end.key.id(), 16).unwrap();
                for entry in stored(&world).await.into_iter().filter(|entry| place(entry).0 == chain) {
                    world.tamper(Operation::Delete { previous: entry }).await;
                }
                world.tamper(Operation::Delete { previous: end }).await;
            }
        }
    }
    world.listings_catch_up().await;
    assert_eq!(verify(&world).await, whole(40), "nothing in the database shows it");
    assert_eq!(log.verify_anchor(&world.system(), &early).await, Ok(None));
    let found = log.verify_anchor(&world.system(), &anchor).await.unwrap().unwrap();
    assert_eq!((found.entry_id, found.reason), (None, BreakReason::SetBack));
}

async fn a_changed_or_removed_entry_is_reported(world: World) {
    write(&world, 400).await;
    let entries = stored(&world).await;
    // An entry with one before it and one after it in its chain.
    let middle =
        entries.windows(3).find(|three| three.iter().all(|e| place(e).0 == place(&three[0]).0)).unwrap()[1]
            .clone();
    let (chain, sequence) = place(&middle);
    let entry_id = Some(middle.body["entry"].as_str().unwrap().to_owned());
    let broken = |entry_id: &Option<String>, reason| {
        Some(AuditBreak { chain, sequence, entry_id: entry_id.clone(), reason })
    };

    let mut altered = middle.body.clone();
    altered["details"]["n"] = "another".into();
    let replace = |previous: &Document, body| Operation::Replace {
        previous: previous.clone(),
        body,
        expires_at: previous.expires_at,
    };
    world.tamper(replace(&middle, altered)).await;
    assert_eq!(verify(&world).await.first_break, broken(&entry_id, BreakReason::Altered));

    let altered = world.document("audit_entries", middle.key.id()).await;
    world.tamper(Operation::Delete { previous: altered }).await;
    assert_eq!(verify(&world).await.first_break, broken(&None, BreakReason::Missing));

    let restored =
        Operation::Create { key: middle.key.clone(), body: middle.body, expires_at: middle.expires_at };
    world.tamper(restored).await;
    assert!(verify(&world).await.valid);
}

#[tokio::test]
async fn a_chain_end_that_is_set_back_or_removed_is_reported() {
    let world = World::new().await;
    write(&world, 40).await;
    let before = ends(&world).await;
    write(&world, 400).await;
    let after = ends(&world).await;
    let end = before.into_iter().find(|end| !after.contains(end)).unwrap();
    let chain = u8::from_str_radix(end.key.id(), 16).unwrap();
    let earlier = end.body["sequence"].as_i64().unwrap();
    let current = world.document("audit_chains", end.key.id()).await;
    assert_ne!(current.body, end.body);

    // Set back to an earlier value: it is genuine, but there are entries after it.
    let set_back = Operation::Replace { previous: current.clone(), body: end.body.clone(), expires_at: None };
    world.tamper(set_back).await;
    let found = verify(&world).await.first_break.unwrap();
    assert_eq!((found.chain, found.reason), (chain, BreakReason::BeyondEnd));
    assert!(found.sequence > earlier);

    // Set to another value: its authentication code no longer matches.
    let mut forged = end.body.clone();
    forged["sequence"] = (earlier - 1).into();
    let previous = world.document("audit_chains", end.key.id()).await;
    world.tamper(Operation::Replace { previous, body: forged, expires_at: None }).await;
    let found = verify(&world).await.first_break.unwrap();
    assert_eq!((found.chain, found.reason), (chain, BreakReason::EndAltered));

    let previous = world.document("audit_chains", end.key.id()).await;
    world.tamper(Operation::Delete { previous }).await;
    let found = verify(&world).await.first_break.unwrap();
    assert_eq!((found.chain, found.reason), (chain, BreakReason::BeyondEnd));

    let key = Key::new(collection("audit_chains"), current.key.id()).unwrap();
    world.tamper(Operation::Create { key, body: current.body, expires_at: None }).await;
    assert!(verify(&world).await.valid);
}

#[tokio::test]
async fn a_chain_that_was_set_back_and_has_grown_again_is_reported() {
    let world = World::new().await;
    write(&world, 40).await;
    let before = ends(&world).await;
    write(&world, 200).await;
    let ((chain, sequence), earlier) = named_end(&world, &before).await;
    set_back(&world, &earlier).await;
    let id = format!("{chain:02x}");
    while world.document("audit_chains", &id).await.body["sequence"].as_i64().unwrap() <= sequence {
        write(&world, 40).await;
    }
    let verified = verify(&world).await;
    for limit in [1, 2, 3, 7] {
        assert_eq!(verify_in_parts_of(limit, &world).await, verified, "{limit}");
    }
    let found = verified.first_break.unwrap();
    assert_eq!((found.chain, found.reason), (chain, BreakReason::SetBack));
    assert!(found.entry_id.is_some());
}

#[tokio::test]
async fn an_anchor_is_one_line_that_only_the_key_can_write() {
    let world = World::new().await;
    write(&world, 40).await;
    let log = world.identity.kernel().audit_log();
    let anchor = log.anchor(&world.system()).await.unwrap();
    let line = anchor.to_line();
    assert!(!line.contains('\n'));
    assert_eq!(log.read_anchor(&line), Ok(anchor.clone()));
    assert_eq!(anchor.at(), world.now());
    let altered = line.replacen(r#""n":1"#, r#""n":2"#, 1);
    assert_ne!(altered, line);
    assert_eq!(log.read_anchor(&altered), Err(AnchorError::Altered));
    assert_eq!(log.read_anchor(&line[..line.len() - 1]), Err(AnchorError::Malformed));
    let settings =
        KernelSettings::with_audit_keys(KeyRing::parse("another audit key that is no secret").unwrap());
    let other = assemble(world.db.clone(), settings, testing::settings());
    assert_eq!(other.kernel().audit_log().read_anchor(&line), Err(AnchorError::UnknownKey));
}

#[tokio::test]
async fn an_action_that_nothing_records_is_no_filter() {
    let world = World::new().await;
    let (log, page) = (world.identity.kernel().audit_log(), PageRequest::first(10));
    let filter = AuditFilter { action: Some("user.dissabled".to_owned()), ..AuditFilter::default() };
    let refused = log.list(&world.system(), &filter, &page).await;
    assert!(matches!(refused, Err(CommonError::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn a_removed_last_entry_of_a_chain_is_reported_too() {
    let world = World::new().await;
    write(&world, 200).await;
    let entries = stored(&world).await;
    let chain = place(&entries[0]).0;
    let last = entries.iter().rfind(|entry| place(entry).0 == chain).unwrap().clone();
    let sequence = place(&last).1;
    world.tamper(Operation::Delete { previous: last }).await;
    let found = verify(&world).await.first_break;
    assert_eq!(found, Some(AuditBreak { chain, sequence, entry_id: None, reason: BreakReason::Missing }));
}

#[tokio::test]
async fn a_gap_is_reported_at_its_first_entry_wherever_a_part_ends() {
    let world = World::new().await;
    write(&world, 800).await;
    let entries = stored(&world).await;
    let mut runs = entries.windows(5).filter(|five| place(&five[0]).0 == place(&five[4]).0);
    let five = runs.next().unwrap().to_vec();
    for removed in &five[1..4] {
        world.tamper(Operation::Delete { previous: removed.clone() }).await;
    }
    let (chain, sequence) = place(&five[1]);
    let missing = AuditBreak { chain, sequence, entry_id: None, reason: BreakReason::Missing };
    for limit in [1, 2, 3, u32::MAX] {
        assert_eq!(verify_in_parts_of(limit, &world).await.first_break, Some(missing.clone()), "{limit}");
    }
}

#[tokio::test]
async fn a_copy_of_an_entry_under_another_id_is_reported() {
    let world = World::new().await;
    write(&world, 40).await;
    let entry = stored(&world).await.swap_remove(0);
    let entry_id = Some(entry.body["entry"].as_str().unwrap().to_owned());
    let key = Key::new(collection("audit_entries"), "elsewhere").unwrap();
    world.tamper(Operation::Create { key, body: entry.body, expires_at: entry.expires_at }).await;
    let found = AuditBreak { chain: 0, sequence: 0, entry_id, reason: BreakReason::Altered };
    world.listings_catch_up().await;
    assert_eq!(verify(&world).await.first_break, Some(found));
}

#[tokio::test]
async fn entries_that_are_written_between_two_parts_break_nothing() {
    let world = World::new().await;
    write(&world, 80).await;
    let (mut entries, mut request) = (0, PageRequest::first(20));
    let audit = world.identity.kernel().audit_log();
    for _ in 0..4 {
        let part = audit.verify(&world.system(), &request).await.unwrap();
        entries += part.entries;
        request = PageRequest::after(20, part.next_cursor.unwrap());
        write(&world, 40).await;
    }
    request.limit = u32::MAX;
    let rest = audit.verify(&world.system(), &request).await.unwrap();
    assert_eq!((rest.valid, rest.next_cursor), (true, None));
    assert!((80..=240).contains(&(entries + rest.entries)), "{entries} and {}", rest.entries);
    assert_eq!(verify(&world).await, whole(240));
}

#[tokio::test]
async fn a_cursor_that_verification_did_not_return_is_refused() {
    let world = World::new().await;
    write(&world, 40).await;
    let one = PageRequest::first(1);
    let list = world
        .identity
        .kernel()
        .audit_log()
        .list(&world.system(), &AuditFilter::default(), &one)
        .await
        .unwrap();
    let of_list = list.pagination.next_cursor.unwrap();
    let made_up = [
        r#"{"Entry":{"chain":256,"sequence":1,"gap":null}}"#,
        r#"{"Entry":{"chain":0,"sequence":0,"gap":null}}"#,
        r#"{"Entry":{"chain":0,"sequence":1,"gap":null,"more":1}}"#,
        r#"{"Stray":{"after":"none"}}"#,
        "Stray",
    ];
    let made_up = made_up.map(|text| URL_SAFE_NO_PAD.encode(text));
    for cursor in made_up.into_iter().chain([of_list, String::new(), "%".to_owned()]) {
        let request = PageRequest::after(10, cursor.clone());
        let outcome = world.identity.kernel().audit_log().verify(&world.system(), &request).await;
        assert_eq!(outcome, Err(Error::BadCursor.into()), "{cursor}");
    }
    // A cursor beyond the end of a chain, as after the end was set back, continues with the next chain.
    let far =
        URL_SAFE_NO_PAD.encode(format!(r#"{{"Entry":{{"chain":0,"sequence":{},"gap":null}}}}"#, i64::MAX));
    let rest = world
        .identity
        .kernel()
        .audit_log()
        .verify(&world.system(), &PageRequest::after(1000, far))
        .await
        .unwrap();
    assert_eq!((rest.valid, rest.next_cursor), (true, None));
}

#[tokio::test]
async fn entries_expire_after_six_years_without_breaking_a_chain() {
    let world = World::new().await;
    write(&world, 200).await;
    world.days_pass(3 * 365);
    write(&world, 200).await;
    let earlier_context = world.system();
    world.days_pass(3 * 365 + 3);
    assert_eq!(verify(&world).await, whole(200));
    let all = PageRequest::first(u32::MAX);
    assert_eq!(world.identity.kernel().audit_log().verify(&earlier_context, &all).await, Ok(whole(200)));
    world.days_pass(3 * 365);
    assert_eq!(verify(&world).await, whole(0));
}

#[tokio::test]
async fn an_entry_records_who_did_what_to_whom_from_where() {
    let world = World::new().await;
    let (admin_id, admin) = world.admin().await;
    let (id, _) = world.customer("ada@example.com").await;
    let context = Context { request_id: "r-17".to_owned(), user_agent: Some("curl/8\n".to_owned()), ..admin };
    world.identity.users().disable(&context, id).await.unwrap();
    let filter = AuditFilter { action: Some("user.disabled".to_owned()), ..AuditFilter::default() };
    let [entry] = &world.entries(&filter).await[..] else { panic!("expected one entry") };
    assert_eq!(entry.actor, admin_id.to_string());
    assert_eq!(entry.roles, ["admin", "customer"]);
    assert_eq!(entry.subject, Some(id.to_string()));
    assert_eq!(entry.resource, Some(format!("users/{id}")));
    assert_eq!(entry.outcome, Outcome::Success);
    assert_eq!(entry.address.as_deref(), Some("192.0.2.1"));
    assert_eq!(entry.user_agent.as_deref(), Some("curl/8"));
    assert_eq!(entry.request_id, "r-17");
    assert_eq!(entry.time, world.now());
}

/// DynamoDB counts writes in kilobytes. Besides the body it stores 300 bytes: the id, the version, the keys of three indexes.
#[tokio::test]
async fn an_entry_with_the_user_agent_of_a_browser_stays_below_a_kilobyte() {
    let world = World::new().await;
    let (id, admin) = world.admin().await;
    let context = Context {
        user_agent: Some("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ".repeat(10)),
        address: Some("2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap()),
        request_id: id.to_string(),
        ..admin
    };
    let event = || AuditEvent::new(Action::new("account.password_changed")).subject(id);
    for _ in 0..3 {
        let event = event().resource(format_args!("sessions/{id}"));
        world.identity.kernel().record(&context, &[event]).await.unwrap();
    }
    let entries = stored(&world).await;
    let largest =
        entries.iter().map(|entry| serde_json::to_string(&entry.body).unwrap().len()).max().unwrap();
    assert!((600..700).contains(&largest), "{largest}");
}

#[tokio::test]
async fn entries_are_found_by_actor_subject_action_and_time_the_latest_first() {
    let world = World::new().await;
    let (ada, adas) = world.customer("ada@example.com").await;
    let (eve, _) = world.customer("eve@example.com").await;
    world.minutes_pass(10);
    let rename = |fields: &UserFields| Ok(UserFields { name: "N".parse().unwrap(), ..fields.clone() });
    let context = Context { now: world.now(), ..adas };
    world.identity.accounts().edit_me(&context, &Precondition::None, rename).await.unwrap();
    world.identity.users().delete(&world.system(), eve, &Precondition::None).await.unwrap();
    let actions = |filter: AuditFilter| {
        let world = &world;
        async move { world.entries(&filter).await.into_iter().map(|entry| entry.action).collect::<Vec<_>>() }
    };
    let none = AuditFilter::default;
    let (a, e) = (Some(ada.to_string()), Some(eve.to_string()));
    assert_eq!(actions(AuditFilter { actor: a.clone(), ..none() }).await, ["user.changed"]);
    assert_eq!(
        actions(AuditFilter { subject: e.clone(), ..none() }).await,
        ["user.deleted", "account.registered"]
    );
    let registered = Some("account.registered".to_owned());
    assert_eq!(actions(AuditFilter { action: registered.clone(), ..none() }).await.len(), 2);
    assert_eq!(actions(AuditFilter { action: registered, subject: a, ..none() }).await.len(), 1);
    assert_eq!(actions(AuditFilter { from: Some(world.now()), ..none() }).await.len(), 2);
    let earlier = world.now() - std::time::Duration::from_secs(1);
    assert_eq!(
        actions(AuditFilter { to: Some(earlier), subject: e, ..none() }).await,
        ["account.registered"]
    );
    world.listings_catch_up().await;
    let page = world
        .identity
        .kernel()
        .audit_log()
        .list(&world.system(), &none(), &PageRequest::first(3))
        .await
        .unwrap();
    let rest = PageRequest::after(3, page.pagination.next_cursor.unwrap());
    let rest = world.identity.kernel().audit_log().list(&world.system(), &none(), &rest).await.unwrap();
    assert_eq!((page.data.len(), rest.data.len(), rest.next_cursor()), (3, 1, None));
}

#[tokio::test]
async fn users_read_only_the_entries_about_themselves() {
    let world = World::new().await;
    let (ada, adas) = world.customer("ada@example.com").await;
    let (eve, _) = world.customer("eve@example.com").await;
    let (audit, page) = (world.identity.kernel().audit_log(), PageRequest::first(10));
    world.listings_catch_up().await;
    assert_eq!(audit.list_of_user(&adas, ada, &page).await.unwrap().data.len(), 1);
    let not_found = CommonError::from(Refused::NotFound);
    assert_eq!(audit.list_of_user(&adas, eve, &page).await.err(), Some(not_found));
    let forbidden = || Some(CommonError::from(Refused::Forbidden));
    assert_eq!(audit.list(&adas, &AuditFilter::default(), &page).await.err(), forbidden());
    assert_eq!(audit.verify(&adas, &page).await.err(), forbidden());
}

#[tokio::test]
async fn users_do_not_see_the_address_from_which_an_admin_changed_their_account() {
    let world = World::new().await;
    let (ada, adas) = world.customer("ada@example.com").await;
    let (admin, admins) = world.admin().await;
    let event = || AuditEvent::new(Action::new("test.done")).subject(ada);
    for context in [&adas, &admins, &world.anyone()] {
        let context = Context { user_agent: Some("curl".to_owned()), ..context.clone() };
        world.identity.kernel().record(&context, &[event()]).await.unwrap();
    }
    world.listings_catch_up().await;
    let seen_by = async |context: &Context| {
        let page = PageRequest::first(10);
        let entries =
            world.identity.kernel().audit_log().list_of_user(context, ada, &page).await.unwrap().data;
        let done = entries.into_iter().filter(|entry| entry.action == "test.done");
        let mut seen: Vec<_> = done.map(|entry| (entry.actor, entry.address, entry.user_agent)).collect();
        seen.sort();
        seen
    };
    let of = |actor: String| (actor, Some("192.0.2.1".to_owned()), Some("curl".to_owned()));
    let mut all = [of(ada.to_string()), of(admin.to_string()), of("anonymous".to_owned())];
    all.sort();
    assert_eq!(seen_by(&admins).await, all);
    let mut without = all.map(|(actor, address, agent)| {
        let is_admin = actor == admin.to_string();
        (actor, address.filter(|_| !is_admin), agent.filter(|_| !is_admin))
    });
    without.sort();
    assert_eq!(seen_by(&adas).await, without);
}

#[tokio::test]
async fn a_failed_transaction_leaves_no_entries() {
    let world = World::new().await;
    let context = world.system();
    let failed: Result<(), CommonError> = world
        .identity
        .kernel()
        .transact(&context, |tx| async move {
            tx.record(AuditEvent::new(Action::new("test.done")));
            Err(Refused::NotFound.into())
        })
        .await;
    assert_eq!(failed, Err(Refused::NotFound.into()));
    assert_eq!(world.entries(&AuditFilter::default()).await, []);
}

#[tokio::test]
async fn a_program_with_the_secrets_of_another_database_does_not_start() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let with = |audit_key: &str| {
        let settings = KernelSettings::with_audit_keys(KeyRing::parse(audit_key).unwrap());
        assemble(world.db.clone(), settings, testing::settings())
    };
    let (own, other) = (testing::AUDIT_KEY, "another audit key that is no secret");
    let fault = with(other).install(world.now()).await.unwrap_err();
    assert!(matches!(fault, InstallError::OtherSecret { setting: "AUDIT_KEY", .. }), "{fault}");
    assert_eq!(with(&format!("{other},{own}")).install(world.now()).await, Ok(()), "after a rotation");
}
