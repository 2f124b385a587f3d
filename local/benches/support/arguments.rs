//! The command-line arguments of a benchmark.

use anyhow::Context as _;
use switchyard_harness::store::Backend;

/// The end of an argument that is a rate, as in `2260/s`.
const RATE: &str = "/s";

/// Returns the rate on the command line, in requests per second, if there is one.
#[expect(clippy::allow_attributes, reason = "only some benchmarks have dead code here")]
#[allow(dead_code, reason = "not every benchmark takes a rate")]
pub(crate) fn rate() -> Option<f64> {
    std::env::args().find_map(|argument| argument.strip_suffix(RATE)?.parse().ok())
}

/// The arguments without options and rates.
fn arguments() -> impl Iterator<Item = String> {
    let arguments = std::env::args().skip(1);
    arguments.filter(|argument| !argument.starts_with('-') && !argument.ends_with(RATE))
}

/// Returns the databases named on the command line, or all of `offered` if none is named, and the number if there
/// is one.
///
/// # Errors
///
/// If an argument is neither a number nor one of `offered`.
pub(crate) fn read(offered: &[Backend]) -> anyhow::Result<(Vec<Backend>, Option<u64>)> {
    let (mut chosen, mut number) = (Vec::new(), None);
    for argument in arguments() {
        if let Ok(given) = argument.parse() {
            number = Some(given);
        } else {
            let backend = offered.iter().find(|backend| backend.name() == argument);
            let names = || offered.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", ");
            chosen.push(
                *backend
                    .with_context(|| format!("the database must be one of {}, not `{argument}`", names()))?,
            );
        }
    }
    if chosen.is_empty() {
        chosen = offered.to_vec();
    }
    Ok((chosen, number))
}
