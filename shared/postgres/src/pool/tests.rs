use std::pin::pin;

use futures::FutureExt as _;
use futures::future::join_all;

use super::*;
use crate::sql::Sql;

fn pool(settings: &str) -> Pool {
    let url = std::env::var("TEST_POSTGRES_URL").expect("see local/servers");
    Pool::new(Settings::parse(&format!("{url}?{settings}")).unwrap(), Ambient::system()).unwrap()
}

/// Returns a pool with `connections` idle connections, and stops the clock.
async fn idle(connections: usize) -> Pool {
    let pool = pool(&format!("max_connections={connections}"));
    let opened = join_all((0..connections).map(|_| pool.session(None))).await;
    drop(opened);
    tokio::time::pause();
    pool
}

/// Returns the server process that serves a caller that need not wait.
fn process(reader: impl Future<Output = Outcome<Reading>>) -> Option<(i32, Reading)> {
    let reader = reader.now_or_never()?.unwrap();
    Some((reader.backend.as_ref().unwrap().pid, reader))
}

async fn answer(reader: &Session) {
    reader.query(&Sql::new("select 1", &[]), &[]).await.unwrap();
}

#[tokio::test]
async fn reads_of_rows_share_a_promptly_answering_connection_up_to_a_limit() {
    let pool = idle(2).await;
    let (first, reader) = process(pool.reader(None)).unwrap();
    answer(&reader).await;
    let joined: Vec<_> = (1..READERS).map(|_| process(pool.reader(None)).unwrap()).collect();
    assert!(joined.iter().all(|(process, _)| *process == first));
    let (second, own) = process(pool.reader(None)).unwrap();
    assert_ne!(second, first);
    drop((joined, own));
    assert_eq!(process(pool.reader(None)).unwrap().0, first);
    tokio::time::advance(PROMPT).await;
    assert_eq!(process(pool.reader(None)).unwrap().0, second);
}

#[tokio::test]
async fn if_no_connection_is_free_reads_share_one_that_still_answers() {
    let pool = idle(1).await;
    let (_, reader) = process(pool.reader(None)).unwrap();
    answer(&reader).await;
    tokio::time::advance(PROMPT).await;
    let more: Vec<_> = (0..2 * READERS).map(|_| process(pool.reader(None)).unwrap()).collect();
    drop(more);
    tokio::time::advance(LONGEST_SILENCE).await;
    assert!(process(pool.reader(None)).is_none());
    answer(&reader).await;
    assert!(process(pool.reader(None)).is_some());
}

#[tokio::test]
async fn callers_that_wait_for_a_connection_have_priority_over_reads_of_rows() {
    let pool = idle(1).await;
    let (_, reader) = process(pool.reader(None)).unwrap();
    answer(&reader).await;
    let mut alone = pin!(pool.session(None));
    assert!(alone.as_mut().now_or_never().is_none());
    let mut late = pin!(pool.reader(None));
    assert!(late.as_mut().now_or_never().is_none());
    drop(reader);
    let alone = alone.now_or_never().unwrap().unwrap();
    assert!(late.as_mut().now_or_never().is_none());
    drop(alone);
    assert!(late.now_or_never().unwrap().is_ok());
}

#[tokio::test]
async fn connections_to_a_server_that_became_read_only_are_discarded() {
    let pool = pool("");
    let sessions = [pool.session(None).await.unwrap(), pool.session(None).await.unwrap()];
    for session in &sessions {
        session.client().batch_execute("set default_transaction_read_only = on").await.unwrap();
    }
    drop(sessions);
    let write = Sql::new("create table test_not_written ()", &[]);
    let refused = pool.session(None).await.unwrap().execute(&write, &[]).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "25006");
    let next = pool.session(None).await.unwrap();
    let shown = next.client().query_one("show default_transaction_read_only", &[]).await.unwrap();
    assert_eq!(shown.get::<_, &str>(0), "off");
}
