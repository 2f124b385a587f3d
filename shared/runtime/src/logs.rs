//! Logs: one line per event, on standard output, as JSON or as text.

use std::fmt;
use std::io::IsTerminal;
use std::panic;
use std::str::FromStr;

use switchyard_settings::Environment;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt as lines, registry};

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

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}

/// Parses a filter: levels, alone or each for a module.
///
/// `Targets` alone would take any word for the name of a module, so that with `inof` nothing would be logged.
fn filter(text: &str) -> Result<Targets, &'static str> {
    let is_level = |text: &str| !text.is_empty() && text.parse::<LevelFilter>().is_ok();
    let is_module =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
    let is_directive = |text: &str| match text.split_once('=') {
        Some((module, level)) => !module.is_empty() && is_module(module) && is_level(level),
        None => is_level(text),
    };
    let filter = text.parse().ok().filter(|_| text.split(',').all(is_directive));
    filter.ok_or(
        "must be a filter of trace, debug, info, warn, error and off, as in info,switchyard_identity=debug",
    )
}

impl LogSettings {
    /// Reads `LOG` and `LOG_FORMAT`.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let on_lambda = lambda::is_here(environment);
        let filter = environment
            .setting(
                "LOG",
                "levels, also for modules, as in info,switchyard_identity=debug",
                "what is logged",
            )
            .or_with(Targets::new().with_default(LevelFilter::INFO), filter);
        let format = environment
            .setting("LOG_FORMAT", "json or text", "the format of log lines; json on Lambda by default")
            .or(if on_lambda { LogFormat::Json } else { LogFormat::Text });
        Some(Self { filter: filter?, format: format? })
    }

    /// The format of the lines.
    pub fn format(&self) -> LogFormat {
        self.format
    }
}

/// Starts logging. If the program has set its own subscriber, that one stays.
pub(crate) fn start(settings: &LogSettings) {
    let (events, lines) = (registry().with(settings.filter.clone()), lines::layer());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_consists_of_levels() {
        for text in ["info", "warn,switchyard_identity=debug", "off,access=info", "error,a::b=trace"] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in ["", "inof", "loud=?", "switchyard-identity=debug", "=info", "info;access=off", "access"]
        {
            let expected = "must be a filter of trace, debug, info, warn, error and off, as in \
                            info,switchyard_identity=debug";
            assert_eq!(filter(text), Err(expected), "{text}");
        }
    }
}
