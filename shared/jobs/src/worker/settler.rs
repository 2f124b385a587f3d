//! Ends of jobs that come at the same time share a commit.

use switchyard_database::{Db, Error};
use tokio::sync::{mpsc, oneshot};

use super::write::{Change, Written, write};

/// Stores ends of jobs. Cheap to clone. It ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Settler {
    db: Db,
    queue: Option<mpsc::UnboundedSender<Waiting>>,
}

type Waiting = (Change, oneshot::Sender<Written>);

impl Settler {
    /// A settler that stores up to `batch` ends in one commit. While one is on its way, the next ones gather.
    pub(crate) fn start(db: Db, batch: usize) -> Self {
        if batch <= 1 {
            return Self { db, queue: None };
        }
        let (queue, mut waiting) = mpsc::unbounded_channel::<Waiting>();
        let of_task = db.clone();
        tokio::spawn(async move {
            let mut gathered = Vec::new();
            while waiting.recv_many(&mut gathered, batch).await > 0 {
                let (changes, senders): (Vec<_>, Vec<_>) = gathered.drain(..).unzip();
                for (sender, written) in senders.into_iter().zip(write(&of_task, &changes, batch).await) {
                    let _ = sender.send(written);
                }
            }
        });
        Self { db, queue: Some(queue) }
    }

    /// Stores the end of a job.
    pub(crate) async fn store(&self, change: Change) -> Written {
        let Some(queue) = &self.queue else {
            let written = write(&self.db, &[change], 1).await.pop();
            return written.unwrap_or(Written::Refused);
        };
        let (sender, written) = oneshot::channel();
        let is_queued = queue.send((change, sender)).is_ok();
        match written.await {
            Ok(written) if is_queued => written,
            _ => Written::Failed(Error::Unavailable("the worker has ended".to_owned())),
        }
    }
}
