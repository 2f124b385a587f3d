use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

/// The environment variables, and the faults of those that were read.
///
/// The methods that read a variable return `None` if they record a fault. [`read`](Environment::read) then fails
/// with all faults, so the missing value is never needed. A blank variable counts as not set, because templates
/// and compose files leave variables out that way. Values that may be secrets are never repeated in messages.
pub struct Environment {
    variables: BTreeMap<String, String>,
    faults: Vec<String>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        Self { variables: variables.collect(), faults: Vec::new() }
    }

    /// An environment with exactly these variables.
    pub fn of(variables: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: variables.collect(), faults: Vec::new() }
    }

    /// Sets a variable if it is not set.
    #[must_use]
    pub fn with_default(mut self, name: &str, value: &str) -> Self {
        if self.text(name).is_none() {
            self.variables.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// The text of a variable, if it is set and not blank.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|text| !text.trim().is_empty())
    }

    /// Reads a variable that must be set.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        self.required_with(name, str::parse)
    }

    /// Reads a variable that must be set, with `parse`. The fault is the variable's name followed by the error, as
    /// in `PORT must be a number`.
    pub fn required_with<T, E: Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.optional_with(name, parse)? {
            Some(value) => Some(value),
            None => {
                self.faults.push(format!("{name} is not set"));
                None
            }
        }
    }

    /// Reads a variable that may be left out.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<Option<T>> {
        self.optional_with(name, str::parse)
    }

    /// Reads a variable that may be left out, with `parse`.
    pub fn optional_with<T, E: Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        let parsed = self.text(name).map(|text| parse(text.trim()));
        self.noted(name, parsed)
    }

    /// Returns the parsed value, or records its fault.
    fn noted<T, E: Display>(&mut self, name: &str, parsed: Option<Result<T, E>>) -> Option<Option<T>> {
        match parsed {
            None => Some(None),
            Some(Ok(value)) => Some(Some(value)),
            Some(Err(fault)) => {
                self.fault(name, fault);
                None
            }
        }
    }

    /// Reads a variable that may be left out, and keeps spaces at its start and end.
    pub fn optional_verbatim<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<Option<T>> {
        let parsed = self.text(name).map(str::parse);
        self.noted(name, parsed)
    }

    /// Reads a variable that has a default.
    pub fn or<T: FromStr<Err: Display>>(&mut self, name: &str, default: T) -> Option<T> {
        self.or_with(name, default, str::parse)
    }

    /// Reads a variable that has a default, with `parse`.
    pub fn or_with<T, E: Display>(
        &mut self,
        name: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        Some(self.optional_with(name, parse)?.unwrap_or(default))
    }

    /// Records a fault of a variable. The message is the variable's name followed by `fault`, as in `must be …`.
    pub fn fault(&mut self, name: &str, fault: impl Display) {
        self.faults.push(format!("{name} {fault}"));
    }

    /// Reads settings with `read`.
    ///
    /// # Errors
    ///
    /// Fails with all recorded faults in one message.
    pub fn read<T>(mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, SettingsError> {
        let settings = read(&mut self);
        match settings {
            Some(settings) if self.faults.is_empty() => Ok(settings),
            _ => Err(SettingsError(self.faults)),
        }
    }
}

/// Shows only the names of the variables, because the values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.variables.keys().collect();
        f.debug_struct("Environment").field("variables", &names).field("faults", &self.faults).finish()
    }
}

/// Settings are missing or malformed; the message names each of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these settings are missing or malformed:\n- {}", .0.join("\n- "))]
pub struct SettingsError(Vec<String>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_in_one_message() {
        let environment = Environment::of([("PORT", "http"), ("EMPTY", "  ")]);
        let read = environment.read(|environment| {
            let port =
                environment.or_with("PORT", 80_u16, |text| text.parse().map_err(|_| "must be a number"));
            let empty: Option<String> = environment.required("EMPTY");
            let missing: Option<String> = environment.required("MISSING");
            Some((port?, empty?, missing?))
        });
        assert_eq!(
            read.map_err(|faults| faults.to_string()),
            Err("these settings are missing or malformed:\n\
                 - PORT must be a number\n- EMPTY is not set\n- MISSING is not set"
                .to_owned())
        );
    }

    #[test]
    fn the_values_of_variables_are_not_printed() {
        let environment = Environment::of([("KEY", "hunter2"), ("HOST", "example.com")]);
        assert_eq!(format!("{environment:?}"), r#"Environment { variables: ["HOST", "KEY"], faults: [] }"#);
    }

    #[test]
    fn spaces_at_the_ends_are_not_part_of_a_value_unless_it_is_read_verbatim() {
        let read = Environment::of([("A", " a "), ("EMPTY", " ")]).read(|environment| {
            let (trimmed, verbatim) = (environment.optional("A"), environment.optional_verbatim("A"));
            let empty: Option<Option<String>> = environment.optional_verbatim("EMPTY");
            Some((trimmed?, verbatim?, empty?))
        });
        assert_eq!(read, Ok((Some("a".to_owned()), Some(" a ".to_owned()), None)));
    }

    #[test]
    fn a_default_is_used_if_a_variable_is_not_set() {
        let environment =
            Environment::of([("B", "2"), ("C", "")]).with_default("C", "3").with_default("B", "9");
        let read = environment.read(|environment| {
            let (a, b, c) = (environment.or("A", 1), environment.or("B", 1), environment.optional("C"));
            Some((a?, b?, c?))
        });
        assert_eq!(read, Ok((1, 2, Some(3))));
    }

    #[test]
    fn a_fault_recorded_by_the_caller_counts_even_if_everything_was_read() {
        let read = Environment::of([("A", "1"), ("B", "1")]).read(|environment| {
            environment.fault("B", "must be greater than A");
            Some(())
        });
        let expected = "these settings are missing or malformed:\n- B must be greater than A";
        assert_eq!(read.map_err(|faults| faults.to_string()), Err(expected.to_owned()));
    }
}
