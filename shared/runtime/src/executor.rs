use std::future::Future;
use std::io;

use switchyard_settings::Environment;
use tokio::runtime::Builder;

use crate::lambda;

/// Runs a program's future to completion.
///
/// A Lambda function gets one request at a time and less than one processor, so it runs on one thread, which
/// also starts sooner. If Lambda sends several requests at once (`AWS_LAMBDA_MAX_CONCURRENCY`), it has several
/// threads. A server has one thread per processor.
///
/// # Errors
///
/// The error of the future, or an error if the threads cannot be started.
pub fn block_on<T, E: From<io::Error>>(program: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let environment = Environment::of_process();
    let concurrency =
        environment.text("AWS_LAMBDA_MAX_CONCURRENCY").and_then(|text| text.parse::<u32>().ok());
    let mut builder = match (lambda::is_here(&environment), concurrency) {
        (true, None | Some(0 | 1)) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.enable_all().build()?.block_on(program)
}
