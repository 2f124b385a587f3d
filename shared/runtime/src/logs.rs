//! Logs: one line per event, on standard output, as JSON or as text.

use std::io::IsTerminal;
use std::panic;
use std::str::FromStr;

use switchyard_settings::Environment;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

use crate::lambda;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    filter: Targets,
    format: LogFormat,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object with the fields of the event and of its request.
    Json,
    /// Text for people.
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
        let filter = environment.or_with("LOG", Targets::new().with_default(LevelFilter::INFO), |text| {
            text.parse().map_err(|_| "must be a filter, as in info,switchyard_identity=debug")
        });
        let format = environment.or("LOG_FORMAT", if on_lambda { LogFormat::Json } else { LogFormat::Text });
        Some(Self { filter: filter?, format: format? })
    }

    /// The format of the lines.
    pub fn format(&self) -> LogFormat {
        self.format
    }
}

/// Starts logging. If the program has set its own subscriber, that one stays.
pub(crate) fn start(settings: &LogSettings) {
    let (events, lines) = (registry().with(settings.filter.clone()), fmt::layer());
    let started = match settings.format {
        // Each line contains only the fields of the innermost span, so that those of the request appear once.
        LogFormat::Json => events.with(lines.json().flatten_event(true).with_span_list(false)).try_init(),
        LogFormat::Text => events.with(lines.with_ansi(std::io::stdout().is_terminal())).try_init(),
    };
    if started.is_ok() {
        log_panics();
    }
}

/// Logs each panic with its place, inside the span of its request.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let panic = panic.payload_as_str().unwrap_or("without a message");
        tracing::error!(place, panic, "a thread panicked");
    }));
}
