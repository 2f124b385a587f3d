//! The settings of the functions in the template: a parameter for each, and a variable of the functions that read it.
//!
//! What the template declares by hand stays as it is, such as a parameter with a pattern, or a variable with a fixed value.

use std::fmt::Write as _;

use switchyard_local::NOT_ON_LAMBDA;
use switchyard_program::{read_secrets_ttl, read_settings};
use switchyard_runtime::{Environment, ListedSetting, SettingDefault, Settings};

use crate::tables::logical_id;

/// The settings that functions read.
pub(super) struct FunctionSettings {
    /// Of all functions.
    pub(super) of_all: Vec<ListedSetting>,
    /// Only of the functions that know users.
    pub(super) of_users: Vec<ListedSetting>,
}

impl FunctionSettings {
    /// Those that the programs declare, without secrets, which come from Secrets Manager (`SECRETS`).
    pub(super) fn declared() -> Self {
        let nothing = || Environment::of([("", ""); 0]);
        let of_all = nothing().into_listing(Settings::read).settings;
        let mut of_users = nothing()
            .into_listing(|environment| (read_secrets_ttl(environment), read_settings(environment, &[])).1)
            .settings;
        of_users.retain(|setting| of_all.iter().all(|other| other.name != setting.name));
        let applies = |setting: &ListedSetting| {
            !setting.is_secret && NOT_ON_LAMBDA.iter().all(|(name, _)| *name != setting.name)
        };
        let applying = |mut settings: Vec<ListedSetting>| {
            settings.retain(applies);
            settings
        };
        Self { of_all: applying(of_all), of_users: applying(of_users) }
    }

    /// The parameters. `by_hand` is the part of the template above its resources, without what is written here.
    pub(super) fn parameters(&self, by_hand: &str) -> String {
        let mut text = String::new();
        for setting in self.of_all.iter().chain(&self.of_users) {
            let parameter = parameter_of(setting);
            // A variable that is declared by hand needs no parameter, or has one by hand.
            if declares(by_hand, &parameter) || declares(by_hand, &setting.name) {
                continue;
            }
            let _ = write!(
                text,
                "  {parameter}:\n    Type: String\n    Default: \"\"\n    Description: {:?}\n",
                description_of(setting)
            );
        }
        text
    }

    /// The variables of all functions.
    pub(super) fn variables_of_all(&self, by_hand: &str) -> String {
        let missing = self.of_all.iter().filter(|setting| !declares(by_hand, &setting.name));
        variables(missing, "        ")
    }

    /// The variables of the functions that know users.
    pub(super) fn variables_of_users(&self) -> String {
        variables(self.of_users.iter(), "          ")
    }
}

fn variables<'a>(settings: impl Iterator<Item = &'a ListedSetting>, indent: &str) -> String {
    settings.map(|setting| format!("{indent}{}: !Ref {}\n", setting.name, parameter_of(setting))).collect()
}

/// The name of the parameter: `RateLimitUser` for `RATE_LIMIT_USER`.
fn parameter_of(setting: &ListedSetting) -> String {
    logical_id(&setting.name.to_ascii_lowercase())
}

/// Whether a part of the template has a line for this name.
fn declares(part: &str, name: &str) -> bool {
    part.lines().any(|line| line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))
}

fn description_of(setting: &ListedSetting) -> String {
    let meaning = setting.meaning.trim_end_matches('.');
    let (first, rest) = meaning.split_at(meaning.chars().next().map_or(0, char::len_utf8));
    let default = match &setting.default {
        SettingDefault::Value(default) => format!(" If it is empty: {default}."),
        SettingDefault::Required | SettingDefault::Nothing => String::new(),
    };
    format!("{}{rest}: {}.{default}", first.to_uppercase(), setting.form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_by_hand_is_not_declared_again() {
        let settings = FunctionSettings::declared();
        let has = |text: &str, name: &str| declares(text, name);
        assert!(has(&settings.parameters(""), "RateLimit"));
        assert!(!has(&settings.parameters("  RateLimit:\n"), "RateLimit"));
        assert!(has(&settings.parameters("  RateLimit:\n"), "RateLimitUser"));
        assert!(!has(&settings.parameters("        RATE_LIMIT: off\n"), "RateLimit"));
        assert!(has(&settings.variables_of_all("        LOG_FORMAT: json\n"), "LOG"));
        assert!(!has(&settings.variables_of_all("        LOG: !Ref Log\n"), "LOG"));
    }
}
