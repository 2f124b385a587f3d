//! Logs: one line an event, on standard output, as JSON or as text.

use std::io::IsTerminal;
use std::panic;
use std::str::FromStr;

use switchyard_settings::Environment;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::lambda;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    filter: String,
    format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// An object with the event's and its request's fields.
    Json,
    /// For people.
    Text,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("must be json or text"),
        }
    }
}

impl LogSettings {
    /// Reads `LOG` and `LOG_FORMAT`.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let on_lambda = lambda::is_here(environment);
        let filter = environment.or_with("LOG", "info".to_owned(), |text| match EnvFilter::try_new(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err("must be a filter, as in info,switchyard_identity=debug"),
        });
        let format = environment.or("LOG_FORMAT", if on_lambda { LogFormat::Json } else { LogFormat::Text });
        Some(Self { filter: filter?, format: format? })
    }
}

/// Starts to log. A program that has its own subscriber keeps it.
pub(crate) fn start(settings: &LogSettings) {
    let builder = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&settings.filter));
    let started = match settings.format {
        // The request's fields stand in the line once: those of the innermost span.
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).finish().try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stdout().is_terminal()).finish().try_init(),
    };
    if started.is_ok() {
        log_panics();
    }
}

/// A panic in a handler becomes a log line under its request's id, with the place where it happened.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let said = panic.payload_as_str().unwrap_or("without a message");
        tracing::error!(place, said, "a panic");
    }));
}
