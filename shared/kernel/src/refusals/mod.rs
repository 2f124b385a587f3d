//! Refused attempts in the audit log: the first of a kind, by the same actor in a while, has an entry, and the others are
//! counted.
//!
//! Someone who tries fifty ids would else write fifty entries, which are kept for six years, and who floods a service with bad
//! tokens would fill the log for it. So the first attempt opens a window of [`WINDOW`], in the transaction that writes its entry.
//! Those within the window add to its count, which is outside of the log and expires. The first attempt after it opens the next
//! window, and its entry says how many had none: the detail `suppressed`. One kind is an action, and for denied access also the
//! kind of resource.
//!
//! - **Denied access of users** ([`Kernel::check`]) is answered only after it is written or counted, exactly.
//! - **Other signs of an attack** ([`Kernel::note`]), such as bad tokens, come from anyone and in any number. Recording them
//!   must not fail an answer nor hold it up: what cannot be written within [`PATIENCE`] is only logged. Each process counts for
//!   itself, and reports to the database when its count has grown by an eighth. It remembers up to 1,000 subjects in a window, and so
//!   writes no more entries than that, from however many addresses the attempts come.

mod local;
mod window;

use std::net::IpAddr;
use std::time::Duration;

use switchyard_database::{Error as DatabaseError, retry};
use tokio::time::{Instant, timeout_at};

use crate::access::denial;
use crate::{Actor, AuditEvent, Context, Kernel};

pub(crate) use local::LocalCounts;
use local::Step;
pub(crate) use window::RefusalWindow;

/// How long attempts are counted after one that has an entry.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);

/// How long an answer waits at most for [`Kernel::note`].
const PATIENCE: Duration = Duration::from_secs(1);

impl Kernel {
    /// Records or counts that access to `resource` was denied.
    pub(crate) async fn record_denial(&self, context: &Context, resource: &str) -> Result<(), DatabaseError> {
        let event = denial(resource);
        let kind_of_resource = resource.split('/').next().unwrap_or_default();
        let id = format!("{}:{kind_of_resource}:{}", event.action().as_str(), subject(context));
        // Between the two a window can only disappear, because it has expired.
        for _ in 0..3 {
            if self.open_window(context, &event, &id, 0).await? {
                return Ok(());
            }
            match self.count_refusals(&id, 1).await {
                Err(DatabaseError::Rejected(_)) => {}
                counted => return counted,
            }
        }
        self.record(context, &[event]).await
    }

    /// Records or counts a sign of an attack, as far as that is possible in a short time. An event that changes something, or
    /// that must be recorded, is recorded in its transaction instead.
    pub async fn note(&self, context: &Context, event: &AuditEvent) {
        let id = format!("{}:{}", event.action().as_str(), subject(context));
        let step = self.local_counts().step(&id, context.now);
        let deadline = Instant::now() + PATIENCE;
        let recording = async {
            match step {
                Step::Nothing => Ok(()),
                Step::Open { earlier } => {
                    if !self.open_window(context, event, &id, earlier).await? {
                        self.count_refusals(&id, earlier + 1).await?; // another process has opened it
                    }
                    Ok(())
                }
                Step::Count(attempts) => self.count_refusals(&id, attempts).await,
            }
        };
        let recorded = timeout_at(deadline, retry::within(deadline, recording)).await;
        let cause = match recorded {
            Ok(Ok(()) | Err(DatabaseError::Rejected(_))) => return, // rejected: the window has expired
            Ok(Err(fault)) => fault.to_string(),
            Err(_elapsed) => "the database takes too long".to_owned(),
        };
        self.local_counts().pause(context.now);
        let action = event.action().as_str();
        tracing::warn!(cause, action, "refused attempts are missing from the audit log");
    }

    /// Writes the entry of an attempt, if no window is open for it. `earlier` attempts before it had none. Returns whether it
    /// did.
    async fn open_window(
        &self,
        context: &Context,
        event: &AuditEvent,
        id: &str,
        earlier: i64,
    ) -> Result<bool, DatabaseError> {
        let appender = self.appender();
        let opened = self
            .db()
            .transact(|tx| async move {
                let stored = tx.get::<RefusalWindow>(id).await?;
                if stored.as_ref().is_some_and(|window| context.now < window.ends_at()) {
                    return Ok(None);
                }
                let suppressed = earlier + stored.as_ref().map_or(0, |window| window.count());
                let event = match suppressed {
                    0 => event.clone(),
                    _ => event.clone().detail("suppressed", suppressed),
                };
                let window = RefusalWindow::new(id, context.now);
                match &stored {
                    Some(stored) => tx.replace(stored, &window)?,
                    None => tx.insert(&window)?,
                };
                appender.append(&tx, context, &[event]).await.map(Some)
            })
            .await?;
        Ok(opened.map(|appended| appender.committed(appended)).is_some())
    }

    /// Adds attempts to the count of an open window.
    async fn count_refusals(&self, id: &str, attempts: i64) -> Result<(), DatabaseError> {
        let counting = |tx: switchyard_database::Transaction| async move {
            tx.increment::<RefusalWindow>(id, RefusalWindow::COUNT, attempts).unbounded()
        };
        self.db().transact(counting).await
    }
}

/// Whose attempts are counted together: those of a user, or those from an address.
fn subject(context: &Context) -> String {
    match &context.actor {
        Actor::User(user) => user.user_id.to_string(),
        Actor::Anonymous | Actor::System => network_of(context.address),
    }
}

/// The network whose clients are counted together. An IPv6 client usually has a whole /64 and can use a new address for each
/// request.
pub fn network_of(address: Option<IpAddr>) -> String {
    match address {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses_are_counted_by_their_network() {
        assert_eq!(network_of("203.0.113.9".parse().ok()), "203.0.113.9");
        assert_eq!(network_of("2001:db8:1:2:3:4:5:6".parse().ok()), "2001:db8:1:2::/64");
        assert_eq!(network_of(None), "unknown");
    }
}
