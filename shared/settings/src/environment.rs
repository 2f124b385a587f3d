use std::collections::BTreeMap;
use std::fmt::{self, Display};

use crate::setting::{ListedSetting, Setting, SettingDefault};
use crate::spelling;

/// The environment variables, and the settings that were read from them with their faults.
///
/// A blank variable counts as not set, because templates and compose files leave variables out that way. Values that may be
/// secrets are never repeated in messages.
pub struct Environment {
    variables: BTreeMap<String, String>,
    defaults: BTreeMap<String, String>,
    listed: Vec<ListedSetting>,
    families: Vec<&'static str>,
    faults: Vec<String>,
}

/// The settings that a program reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The settings, in the order in which they are read.
    pub settings: Vec<ListedSetting>,
    /// What is wrong with their values.
    pub faults: Vec<String>,
    /// The variables that are probably misspelt settings, each in a sentence.
    pub warnings: Vec<String>,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        Self::of(variables)
    }

    /// An environment with exactly these variables.
    pub fn of(variables: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let (defaults, listed, families, faults) = Default::default();
        Self { variables: variables.collect(), defaults, listed, families, faults }
    }

    /// Sets a variable if it is not set.
    #[must_use]
    pub fn with_default(mut self, name: &str, value: &str) -> Self {
        if self.text(name).is_none() {
            self.defaults.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// The text of a variable, if it is set and not blank.
    pub fn text(&self, name: &str) -> Option<&str> {
        let is_set = |text: &&String| !text.trim().is_empty();
        let text = self.variables.get(name).filter(is_set).or_else(|| self.defaults.get(name));
        text.map(String::as_str)
    }

    /// Declares a setting, to read it: what it may be, as in `a number from 0 to 65535`, and what it means, as in
    /// `the port of the server`. The same declaration lists it.
    pub fn setting(
        &mut self,
        name: impl Into<String>,
        form: &'static str,
        meaning: &'static str,
    ) -> Setting<'_> {
        let (name, default) = (name.into(), SettingDefault::Nothing);
        let declared = ListedSetting { name, form, meaning, default, is_secret: false, value: None };
        Setting { environment: self, declared, is_verbatim: false, mask: None }
    }

    /// Declares that the program reads all settings with this prefix, so that others with it are misspelt.
    pub fn family(&mut self, prefix: &'static str) {
        self.families.push(prefix);
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
    pub fn read<T>(self, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, SettingsError> {
        self.read_with_warnings(read).map(|(settings, _)| settings)
    }

    /// Like [`read`](Self::read), and returns a sentence for each variable that is probably a misspelt setting.
    ///
    /// # Errors
    ///
    /// Fails with all recorded faults and these sentences in one message.
    pub fn read_with_warnings<T>(
        mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<(T, Vec<String>), SettingsError> {
        let settings = read(&mut self);
        let warnings = self.misspelt();
        match settings {
            Some(settings) if self.faults.is_empty() => Ok((settings, warnings)),
            _ => Err(SettingsError([self.faults, warnings].concat())),
        }
    }

    /// Lists the settings that `read` reads.
    pub fn into_listing<T>(mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Listing {
        read(&mut self);
        let warnings = self.misspelt();
        Listing { settings: self.listed, faults: self.faults, warnings }
    }

    /// Lists a setting whose present value is `shown`.
    pub(crate) fn list(&mut self, mut setting: ListedSetting, shown: Option<String>) {
        match shown {
            Some(shown) if self.defaults.contains_key(&setting.name) => {
                setting.default = SettingDefault::Value(shown);
            }
            shown => setting.value = shown,
        }
        self.listed.push(setting);
    }

    fn misspelt(&self) -> Vec<String> {
        let names: Vec<&str> = self.listed.iter().map(|setting| setting.name.as_str()).collect();
        let sentence = |variable: &String| {
            if let Some(name) = spelling::meant(variable, &names) {
                return Some(format!("{variable} is set, but is not a setting; is {name} meant?"));
            }
            let is_ours = self.families.iter().any(|prefix| variable.starts_with(prefix));
            let is_unknown = is_ours && !names.contains(&variable.as_str());
            is_unknown.then(|| format!("{variable} is set, but is not a setting"))
        };
        self.variables.keys().filter_map(sentence).collect()
    }
}

/// Shows only the names of the variables, because the values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.variables.keys().chain(self.defaults.keys()).collect();
        f.debug_struct("Environment")
            .field("variables", &names)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// Settings are missing or malformed; the message names each of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these settings are missing or malformed:\n- {}", .0.join("\n- "))]
pub struct SettingsError(Vec<String>);

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<u16, &'static str> {
        text.parse().map_err(|_| "must be a number")
    }

    #[test]
    fn every_fault_is_in_one_message() {
        let environment = Environment::of([("PORT", "http"), ("EMPTY", "  "), ("MISING", "x")]);
        let read = environment.read(|environment| {
            let port = environment.setting("PORT", "a number", "the port").or_with(80, number);
            let empty: Option<String> = environment.setting("EMPTY", "a text", "a text").required();
            let missing: Option<String> = environment.setting("MISSING", "a text", "a text").required();
            Some((port?, empty?, missing?))
        });
        assert_eq!(
            read.map_err(|faults| faults.to_string()),
            Err("these settings are missing or malformed:\n\
                 - PORT must be a number\n- EMPTY is not set\n- MISSING is not set\n\
                 - MISING is set, but is not a setting; is MISSING meant?"
                .to_owned())
        );
    }

    #[test]
    fn the_values_of_variables_are_not_printed() {
        let environment = Environment::of([("KEY", "hunter2"), ("HOST", "example.com")]);
        assert_eq!(
            format!("{environment:?}"),
            r#"Environment { variables: ["HOST", "KEY"], faults: [], .. }"#
        );
    }

    #[test]
    fn spaces_at_the_ends_are_not_part_of_a_value_unless_it_is_read_verbatim() {
        let read = Environment::of([("A", " a "), ("EMPTY", " ")]).read(|environment| {
            let trimmed: Option<Option<String>> = environment.setting("A", "a text", "a").optional();
            let verbatim: Option<Option<String>> =
                environment.setting("A", "a text", "a").verbatim().optional();
            let empty: Option<Option<String>> =
                environment.setting("EMPTY", "a text", "b").verbatim().optional();
            Some((trimmed?, verbatim?, empty?))
        });
        assert_eq!(read, Ok((Some("a".to_owned()), Some(" a ".to_owned()), None)));
    }

    #[test]
    fn a_default_is_used_if_a_variable_is_not_set() {
        let environment =
            Environment::of([("B", "2"), ("C", "")]).with_default("C", "3").with_default("B", "9");
        let read = environment.read(|environment| {
            let a = environment.setting("A", "a number", "a").or_with(1, number);
            let b = environment.setting("B", "a number", "b").or_with(1, number);
            let c = environment.setting("C", "a number", "c").optional_with(number);
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

    #[test]
    fn a_listing_has_every_setting_with_its_value_and_no_secret() {
        let variables = [
            ("PORT", "http"),
            ("KEY", "hunter2"),
            ("POTR_OF_CALL", "x"),
            ("LIMIT_A", "1"),
            ("LIMIT_OTHER", "1"),
        ];
        let listing = Environment::of(variables).with_default("URL", "file:x").into_listing(|environment| {
            let port = environment.setting("PORT", "a number", "the port").or_with(80, number);
            let key: Option<String> = environment.setting("KEY", "a text", "the key").secret().required();
            let url: Option<String> = environment.setting("URL", "a URL", "the database").required();
            environment.family("LIMIT_");
            let limit = environment.setting("LIMIT_A", "a number", "a limit").optional_with(number);
            Some((port?, key?, url?, limit?))
        });
        let listed = |name: &str, form, meaning, default, value: Option<&str>| ListedSetting {
            name: name.to_owned(),
            form,
            meaning,
            default,
            is_secret: name == "KEY",
            value: value.map(str::to_owned),
        };
        let value = |text: &str| SettingDefault::Value(text.to_owned());
        assert_eq!(
            listing.settings,
            [
                listed("PORT", "a number", "the port", value("80"), Some("http")),
                listed("KEY", "a text", "the key", SettingDefault::Required, Some("…")),
                listed("URL", "a URL", "the database", value("file:x"), None),
                listed("LIMIT_A", "a number", "a limit", SettingDefault::Nothing, Some("1")),
            ]
        );
        assert_eq!(listing.faults, ["PORT must be a number"]);
        assert_eq!(listing.warnings, ["LIMIT_OTHER is set, but is not a setting"]);
    }
}
