//! The command-line arguments of a benchmark.

use anyhow::Context as _;
use switchyard_harness::store::Backend;

/// Returns the databases named on the command line, or all of `offered` if none is named, and the number if there
/// is one.
///
/// # Errors
///
/// If an argument is neither a number nor one of `offered`.
pub(crate) fn read(offered: &[Backend]) -> anyhow::Result<(Vec<Backend>, Option<u64>)> {
    let (mut chosen, mut number) = (Vec::new(), None);
    for argument in std::env::args().skip(1).filter(|argument| !argument.starts_with('-')) {
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
