//! Two ways to do one thing, measured in turns.

use std::time::{Duration, Instant};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(1_500);

/// A comparison of ours with a yardstick.
pub(crate) struct Comparison {
    name: &'static str,
    yardstick: &'static str,
    budget: f64,
}

impl Comparison {
    /// `name` is to reach `budget` times the throughput of `yardstick`.
    pub(crate) fn new(name: &'static str, yardstick: &'static str, budget: f64) -> Self {
        Self { name, yardstick, budget }
    }

    /// Runs both sides in turns and prints the medians. Each side returns how many operations it did in how long.
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
        let ratio = median(ratios);
        println!(
            "{}: {:.0}/s; {}: {:.0}/s; ratio {ratio:.2}, budget {:.2}{}",
            self.name,
            median(our_rates),
            self.yardstick,
            median(yardstick_rates),
            self.budget,
            if ratio < self.budget { " (SHORT)" } else { "" }
        );
        Ok(())
    }
}

/// What one side did.
pub(crate) struct Round {
    operations: u64,
    took: Duration,
}

impl Round {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn rate(&self) -> f64 {
        self.operations as f64 / self.took.as_secs_f64()
    }
}

/// Repeats `operation` in `count` tasks at once for one round.
pub(crate) async fn tasks<F>(count: usize, operation: impl Fn(usize) -> F) -> anyhow::Result<Round>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let start = Instant::now();
    let operation = &operation;
    let workers = (0..count).map(|task| async move {
        let mut operations = 0;
        while start.elapsed() < ROUND {
            operation(task).await?;
            operations += 1;
        }
        anyhow::Ok(operations)
    });
    let operations: Vec<u64> = futures::future::try_join_all(workers).await?;
    Ok(Round { operations: operations.iter().sum(), took: start.elapsed() })
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
