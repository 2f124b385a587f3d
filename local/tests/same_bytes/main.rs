//! The same requests, everywhere, are answered with the same bytes: on each database by the server, and on those of AWS
//! by the functions under the Lambda emulator.
//!
//! One trace of requests goes everywhere at once, request by request, with the same clock, ids and randomness; status,
//! headers and body of all answers are compared before the next request is made. What transport alone decides is left
//! out of the comparison: see [`place::OF_THE_TRANSPORT`].
//!
//! The functions also record how they use collections, which must be what they declare: see [`recording`]. On DynamoDB
//! they may do no more than the template permits: see [`policy`].
//!
//! The programs that answer are this executable, started again with the variable [`program::ROLE`]: they run what the real
//! ones do, except for the clock and the randomness ([`steering`]) and the recording, which no setting of the real ones
//! changes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod everywhere;
mod place;
mod policy;
mod program;
mod recording;
mod steering;
mod trace;

use everywhere::Everywhere;

/// The only test of this executable: one of its programs, which are started without arguments, runs whatever there is.
#[test]
fn the_same_requests_are_answered_with_the_same_bytes_everywhere() {
    if let Some(role) = std::env::var_os(program::ROLE) {
        return program::run(role.to_str().unwrap()).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let everywhere = Everywhere::start().await.unwrap();
        trace::replay(&everywhere).await;
        everywhere.run_schedules().await;
        everywhere.conclude();
    });
}
