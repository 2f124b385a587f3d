//! Measures two ways to do one thing in turns.

use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::statistics::percentile;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(1_500);

/// A comparison of our code with a yardstick.
pub(crate) struct Comparison {
    name: &'static str,
    yardstick: &'static str,
    budget: f64,
}

impl Comparison {
    /// `name` should reach at least `budget` times the throughput of `yardstick`.
    pub(crate) fn new(name: &'static str, yardstick: &'static str, budget: f64) -> Self {
        Self { name, yardstick, budget }
    }

    /// Runs both sides in turns and prints the medians.
    pub(crate) async fn run<A, B>(self, ours: impl Fn() -> A, yardstick: impl Fn() -> B) -> anyhow::Result<()>
    where
        A: Future<Output = anyhow::Result<Round>>,
        B: Future<Output = anyhow::Result<Round>>,
    {
        let (mut our_rates, mut yardstick_rates) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let (our, other) = (ours().await?.rate(), yardstick().await?.rate());
            if round > 0 {
                // The first round warms the caches of both.
                our_rates.push(our);
                yardstick_rates.push(other);
            }
        }
        let ratios = our_rates.iter().zip(&yardstick_rates).map(|(our, other)| our / other).collect();
        let ratio = percentile(ratios, 0.5);
        println!(
            "{}: {:.0}/s; {}: {:.0}/s; ratio {ratio:.2}, budget {:.2}{}",
            self.name,
            percentile(our_rates, 0.5),
            self.yardstick,
            percentile(yardstick_rates, 0.5),
            self.budget,
            if ratio < self.budget { " (SHORT)" } else { "" }
        );
        Ok(())
    }
}

/// The result of one round of one side.
pub(crate) struct Round {
    pub(crate) operations: u64,
    took: Duration,
}

impl Round {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn rate(&self) -> f64 {
        self.operations as f64 / self.took.as_secs_f64()
    }
}

/// Repeats `operation` in `count` concurrent tasks for one round, on as many threads as there are cores.
pub(crate) async fn tasks<F>(count: usize, operation: impl Fn(usize) -> F + Sync) -> anyhow::Result<Round>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let start = Instant::now();
    let (runtime, operation) = (&Handle::current(), &operation);
    let repeat = |task| async move {
        let mut operations = 0_u64;
        while start.elapsed() < ROUND {
            operation(task).await?;
            operations += 1;
        }
        anyhow::Ok(operations)
    };
    let threads = thread::available_parallelism()?.get().min(count);
    let operations = thread::scope(|scope| {
        let share = |thread| {
            let tasks = (thread..count).step_by(threads).map(repeat);
            runtime.block_on(futures::future::try_join_all(tasks))
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        let joined = running.into_iter().map(|thread| thread.join().expect("no operation panics"));
        joined.collect::<anyhow::Result<Vec<Vec<u64>>>>()
    })?;
    Ok(Round { operations: operations.iter().flatten().sum(), took: start.elapsed() })
}
