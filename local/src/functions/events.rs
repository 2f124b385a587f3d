//! What a function is run by: routes of the API, or schedules.

use std::fmt::Write as _;

use switchyard_runtime::{Function, Schedule};

use crate::tables::logical_id;

pub(super) fn write(text: &mut String, function: &Function) {
    text.push_str("      Events:\n");
    let names = names(function.routes);
    let routes = names.iter().zip(function.routes).map(|(name, path)| (name.as_str(), Some(path)));
    let is_everything_else = function.is_served() && function.routes.is_empty();
    let everything_else = is_everything_else.then_some(("EverythingElse", None));
    for (name, path) in routes.chain(everything_else) {
        let _ = write!(
            text,
            "        {name}:
          Type: HttpApi
          Properties:
            ApiId: !Ref Api
"
        );
        if let Some(path) = path {
            let _ = write!(text, "            Method: ANY\n            Path: {path}\n");
        }
    }
    for schedule in function.schedules {
        let _ = write!(
            text,
            "        {}:
          Type: Schedule
          Properties:
            Schedule: !Ref {}
            Input: '{{\"run\":\"{}\"}}'
",
            logical_id(schedule.name),
            parameter_of(function, schedule),
            schedule.name
        );
    }
}

/// The parameters with which an operator changes the schedules.
pub(super) fn parameters(function: &Function) -> String {
    let parameter = |schedule: &Schedule| {
        format!(
            "  {}:
    Type: String
    Default: {}
    AllowedPattern: \"(rate|cron)[(].+[)]\"
    Description: When the function `{}` is run for `{}`.
",
            parameter_of(function, schedule),
            schedule.rate,
            function.name,
            schedule.name
        )
    };
    function.schedules.iter().map(parameter).collect()
}

/// `AuditAnchorSchedule` for `anchor` of the function `audit`.
fn parameter_of(function: &Function, schedule: &Schedule) -> String {
    format!("{}{}Schedule", logical_id(function.name), logical_id(schedule.name))
}

/// Returns a name for the event of each path. The names are parts of logical ids: one that changes replaces a resource of
/// each deployed stack.
///
/// `/api/v1/audit-logs` is `AuditLogs`, and `/api/v1/audit-logs/{proxy+}` is `AuditLog`.
fn names(paths: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for path in paths {
        let (above, is_proxy) = path.strip_suffix("/{proxy+}").map_or((*path, false), |above| (above, true));
        let last = above.rsplit('/').next().unwrap_or_default();
        let stem = last.split('.').next().unwrap_or_default();
        let stem = if is_proxy { stem.strip_suffix('s').unwrap_or(stem) } else { stem };
        let mut name = logical_id(stem);
        while names.contains(&name) {
            name.push_str("Proxy");
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_a_function_have_distinct_names() {
        let paths = [
            "/api/v1/cart",
            "/api/v1/cart/{proxy+}",
            "/.well-known/jwks.json",
            "/api/v1/audit-logs/{proxy+}",
        ];
        assert_eq!(names(&paths), ["Cart", "CartProxy", "Jwks", "AuditLog"]);
    }
}
