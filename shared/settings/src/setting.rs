use std::fmt::Display;
use std::str::FromStr;

use crate::Environment;

/// A setting that is about to be read. [`Environment::setting`] declares it.
///
/// The methods that read it return `None` if they record a fault. [`read`](Environment::read) then fails with all faults, so
/// the missing value is never needed.
#[derive(Debug)]
#[must_use]
pub struct Setting<'a> {
    pub(crate) environment: &'a mut Environment,
    pub(crate) declared: ListedSetting,
    pub(crate) is_verbatim: bool,
    pub(crate) mask: Option<fn(&str) -> String>,
}

/// A setting as it is declared, and its present value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSetting {
    /// The name of the variable.
    pub name: String,
    /// What it may be, as in `a number from 0 to 65535`.
    pub form: &'static str,
    /// What it means, as in `the port of the server`.
    pub meaning: &'static str,
    /// What happens if it is not set.
    pub default: SettingDefault,
    /// Whether its value must not be shown.
    pub is_secret: bool,
    /// The value of the variable, or what may be shown of it.
    pub value: Option<String>,
}

/// What happens if a setting is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingDefault {
    /// The start is refused.
    Required,
    /// There is none of it.
    Nothing,
    /// It has this value.
    Value(String),
}

impl Setting<'_> {
    /// Never shows the value.
    pub fn secret(mut self) -> Self {
        self.declared.is_secret = true;
        self.masked(|_| "…".to_owned())
    }

    /// Shows only what `mask` leaves of the value.
    pub fn masked(mut self, mask: fn(&str) -> String) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Keeps spaces at the start and the end of the value.
    pub fn verbatim(mut self) -> Self {
        self.is_verbatim = true;
        self
    }

    /// Lists the default in these words, because it depends on the machine.
    pub fn with_default_listed_as(mut self, default: &str) -> Self {
        self.declared.default = SettingDefault::Value(default.to_owned());
        self
    }

    /// Reads a setting that must be set.
    pub fn required<T: FromStr<Err: Display>>(self) -> Option<T> {
        self.required_with(str::parse)
    }

    /// Reads a setting that must be set, with `parse`. The fault is the variable's name followed by the error, as
    /// in `PORT must be a number`.
    pub fn required_with<T, E: Display>(self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let (environment, name, parsed) = self.parse(SettingDefault::Required, parse);
        let parsed = parsed?;
        if parsed.is_none() {
            environment.fault(&name, "is not set");
        }
        parsed
    }

    /// Reads a setting that may be left out.
    pub fn optional<T: FromStr<Err: Display>>(self) -> Option<Option<T>> {
        self.optional_with(str::parse)
    }

    /// Reads a setting that may be left out, with `parse`.
    pub fn optional_with<T, E: Display>(self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<Option<T>> {
        self.parse(SettingDefault::Nothing, parse).2
    }

    /// Reads a setting that has a default.
    pub fn or<T: FromStr<Err: Display> + Display>(self, default: T) -> Option<T> {
        self.or_with(default, str::parse)
    }

    /// Reads a setting that has a default, with `parse`.
    pub fn or_with<T: Display, E: Display>(
        self,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let shown = match default.to_string() {
            shown if shown.is_empty() => SettingDefault::Nothing,
            shown => SettingDefault::Value(shown),
        };
        Some(self.parse(shown, parse).2?.unwrap_or(default))
    }
}

impl<'a> Setting<'a> {
    /// Lists the setting, and parses its value if it has one.
    fn parse<T, E: Display>(
        mut self,
        default: SettingDefault,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> (&'a mut Environment, String, Option<Option<T>>) {
        let name = self.declared.name.clone();
        let text = self.environment.text(&name).map(ToOwned::to_owned);
        if self.declared.default == SettingDefault::Nothing {
            self.declared.default = default;
        }
        let shown = text.as_deref().map(self.mask.unwrap_or(str::to_owned));
        self.environment.list(self.declared, shown);
        let parsed = match text.map(|text| parse(if self.is_verbatim { &text } else { text.trim() })) {
            None => Some(None),
            Some(Ok(value)) => Some(Some(value)),
            Some(Err(fault)) => {
                self.environment.fault(&name, fault);
                None
            }
        };
        (self.environment, name, parsed)
    }
}
