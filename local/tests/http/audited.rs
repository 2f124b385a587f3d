//! Every operation that changes something leaves an entry in the audit log.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Method;
use switchyard_ambient::Timestamp;
use switchyard_harness::app::App;
use switchyard_kernel::{Action, Actor, AuditEntry, AuditFilter, Outcome, PageRequest};

use crate::requests::{Permitted, requests};

crate::on_every_backend!(every_change_leaves_an_audit_entry);

/// Operations that succeed without an entry. The list should only shrink.
const UNRECORDED: [&str; 1] = [
    // It changes nothing but the token of a session, and every client does so four times an hour.
    "refresh",
];

async fn every_change_leaves_an_audit_entry(app: App) {
    let mut permitted = Permitted::default();
    let mut unrecorded = BTreeSet::new();
    for request in requests(&app, &app.register("Ada").await).await {
        let id = request.operation.id.clone();
        if request.operation.method == Method::GET {
            continue;
        }
        let owner = app.register(&id).await;
        let request = request.for_owner(&app, &owner).await;
        let person = permitted.person(&app, &request, &owner).await;
        app.wait(Duration::from_secs(1)); // so that the entries of this request are those from now on
        let answer = request.call(&app).by(&person).await;
        assert!((200..300).contains(&answer.status), "{id}: {answer:?}");
        let entries = entries(&app, Some(app.db().ambient().now())).await;
        if !entries.iter().any(|entry| entry.outcome == Outcome::Success) {
            unrecorded.insert(id);
        }
    }
    assert_eq!(unrecorded, UNRECORDED.map(str::to_owned).into(), "operations that leave no entry");

    let manifests = switchyard_domains::ALL.iter();
    let declared: BTreeSet<_> =
        manifests.flat_map(|manifest| manifest.actions).copied().map(Action::as_str).collect();
    for entry in entries(&app, None).await {
        assert!(declared.contains(entry.action.as_str()), "no manifest declares {}", entry.action);
    }
}

/// Returns the entries of the audit log from this time on, or all of them.
pub(crate) async fn entries(app: &App, from: Option<Timestamp>) -> Vec<AuditEntry> {
    let system = app.identity.context("audited").by(Actor::System);
    let filter = AuditFilter { from, ..AuditFilter::default() };
    let (mut entries, mut request) = (Vec::new(), PageRequest::first(1000));
    loop {
        let page = app.identity.kernel().audit_log().list(&system, &filter, &request).await.unwrap();
        entries.extend(page.data);
        match page.pagination.next_cursor {
            Some(next) => request = PageRequest::after(1000, next),
            None => return entries,
        }
    }
}
