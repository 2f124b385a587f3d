//! Connections whose caller has gone before the answer.
//!
//! The server does not notice that nobody waits for a statement. It continues, with its locks, and everything
//! that is sent on the connection waits for it.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::session::Session;

/// How long the answer may still take. Most callers that go have been about to get it.
const GRACE: Duration = Duration::from_millis(100);
/// How long cancelling a statement may take.
const CANCELLING: Duration = Duration::from_secs(1);
/// How long to wait for a cancelled statement to end if others were sent after it. A request to cancel ends one
/// statement, and the next one may wait for the same lock.
const NEXT: Duration = Duration::from_millis(20);
/// How often to try again if the statements do not end.
const RETRIES: usize = 2;

/// Waits until the server has ended what the session requested, and cancels that if it takes long. Returns the
/// session if it can be used again. If not, the connection is closed.
pub(super) async fn finish(session: Session, tls: &MakeRustlsConnect) -> Option<Session> {
    if session.client().is_closed() {
        return None;
    }
    if has_answered(&session, GRACE).await {
        session.note_answered();
        return session.is_clean().then_some(session);
    }
    cancel(&session, tls).await;
    // A request to cancel may arrive late. The next statement on the connection would be cancelled instead.
    None
}

async fn cancel(session: &Session, tls: &MakeRustlsConnect) {
    let token = session.client().cancel_token();
    let mut answered = pin!(session.client().check_connection());
    let others = std::iter::repeat_n(NEXT, session.unanswered());
    for patience in others.chain([CANCELLING; RETRIES]) {
        let cancelled = timeout(CANCELLING, token.cancel_query(tls.clone())).await;
        if !matches!(cancelled, Ok(Ok(()))) {
            break;
        }
        if timeout(patience, &mut answered).await.is_ok() {
            session.note_answered();
            return;
        }
    }
    tracing::warn!(
        "a statement that nobody waits for could not be cancelled; PostgreSQL ends it after its time limit"
    );
}

/// Whether the server answers a request that comes after all others.
async fn has_answered(session: &Session, patience: Duration) -> bool {
    matches!(timeout(patience, session.client().check_connection()).await, Ok(Ok(())))
}
