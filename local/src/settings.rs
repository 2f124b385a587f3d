//! Lists every setting of the server.

use std::fmt::Write as _;

use switchyard_program::{ALL_SECRETS, read_settings};
use switchyard_runtime::{ListedSetting, Listing, SettingDefault};

use crate::audit::AnchorSettings;
use crate::secrets;

/// Every setting, with its value in this environment.
pub(crate) fn listing() -> Listing {
    crate::serve::environment().into_listing(|environment| {
        secrets::read_source(environment);
        let _ = AnchorSettings::read(environment);
        let settings = read_settings(environment, &ALL_SECRETS);
        let database = settings.as_ref().map(|(settings, ..)| &settings.database_url);
        let _ = crate::worker::read_settings(environment, database);
        settings
    })
}

/// The settings and their values, for people.
pub(crate) fn present() -> String {
    let Listing { settings, faults, warnings } = listing();
    let mut text = String::new();
    for setting in &settings {
        let value = match (&setting.value, &setting.default) {
            (Some(value), _) => format!("={value}"),
            (None, SettingDefault::Value(default)) => format!("={default}   (the default)"),
            (None, _) => "   (not set)".to_owned(),
        };
        let _ = writeln!(text, "{}{value}\n    {}", setting.name, described(setting));
    }
    // A missing secret may be one that the server makes.
    for notice in faults.iter().filter(|fault| !fault.ends_with(" is not set")).chain(&warnings) {
        let _ = writeln!(text, "warning: {notice}");
    }
    text
}

/// The settings without their values, for `--help`.
pub(crate) fn help() -> String {
    let mut text =
        "Settings (environment variables, also from a file `.env` in the current folder):\n".to_owned();
    for setting in listing().settings {
        let default = match &setting.default {
            SettingDefault::Value(default) => format!(" [default: {default}]"),
            SettingDefault::Required | SettingDefault::Nothing => String::new(),
        };
        let _ = write!(text, "\n  {}{default}\n      {}", setting.name, described(&setting));
    }
    text
}

/// The settings without their values, as a table in Markdown.
pub(crate) fn table() -> String {
    let mut text = "| variable | meaning | form | default |\n|---|---|---|---|\n".to_owned();
    for ListedSetting { name, form, meaning, default, .. } in listing().settings {
        let default = match default {
            SettingDefault::Value(default) => format!("`{default}`"),
            SettingDefault::Required => "required".to_owned(),
            SettingDefault::Nothing => String::new(),
        };
        let _ = writeln!(text, "| `{name}` | {meaning} | {form} | {default} |");
    }
    text
}

fn described(setting: &ListedSetting) -> String {
    let secret = if setting.is_secret { "; secret" } else { "" };
    format!("{}: {}{secret}", setting.meaning, setting.form)
}
