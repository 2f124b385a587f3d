//! What a benchmark is asked for on its command line.

use anyhow::Context as _;
use switchyard_harness::store::Backend;

/// The databases that are named, of those `offered`, all of them where none is; and a number.
pub(crate) fn read(offered: &[Backend]) -> anyhow::Result<(Vec<Backend>, Option<u64>)> {
    let (mut chosen, mut number) = (Vec::new(), None);
    for argument in std::env::args().skip(1).filter(|argument| !argument.starts_with('-')) {
        if let Ok(given) = argument.parse() {
            number = Some(given);
        } else {
            let backend = offered.iter().find(|backend| backend.name() == argument);
            let names = || offered.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", ");
            chosen.push(*backend.with_context(|| format!("say one of {}, not `{argument}`", names()))?);
        }
    }
    if chosen.is_empty() {
        chosen = offered.to_vec();
    }
    Ok((chosen, number))
}
