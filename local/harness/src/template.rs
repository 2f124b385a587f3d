//! The routes of `template.yaml`: which function API Gateway sends a request to. Also its alarms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use axum::http::Method;
use serde_json::Value;

/// The routes of the template.
#[derive(Clone, Debug)]
pub struct Routes {
    of_paths: BTreeMap<String, Route>,
    everything_else: String,
}

/// The target of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method, or `ANY`.
    pub method: String,
    /// The name of the function, as its folder has it.
    pub function: String,
}

impl Routes {
    /// Reads the routes from the template.
    ///
    /// # Errors
    ///
    /// If a path is routed twice, or if not exactly one function answers what no path names.
    pub fn read() -> anyhow::Result<Self> {
        let template =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml"))?;
        let (mut function, mut method) = (String::new(), None);
        let (mut of_paths, mut everything_else) = (BTreeMap::new(), Vec::new());
        for line in template.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("CodeUri: functions/") {
                function = name.to_owned();
            } else if let Some(name) = line.strip_prefix("Method: ") {
                method = Some(name.to_owned());
            } else if let Some(path) = line.strip_prefix("Path: ") {
                let method = method.take().with_context(|| format!("{path} has no method above it"))?;
                let earlier = of_paths.insert(path.to_owned(), Route { method, function: function.clone() });
                anyhow::ensure!(earlier.is_none(), "{path} is routed twice");
            } else if line == "EverythingElse:" {
                everything_else.push(function.clone());
            }
        }
        let [everything_else] = <[_; 1]>::try_from(everything_else)
            .map_err(|functions| anyhow::anyhow!("these functions answer everything else: {functions:?}"))?;
        Ok(Self { of_paths, everything_else })
    }

    /// The names of all functions.
    pub fn functions(&self) -> BTreeSet<&str> {
        let of_paths = self.of_paths.values().map(|route| &*route.function);
        of_paths.chain([&*self.everything_else]).collect()
    }

    /// All patterns with their targets.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Route)> {
        self.of_paths.iter().map(|(pattern, route)| (pattern.as_str(), route))
    }

    /// The pattern that API Gateway selects for a path: the exact one, else the longest `{proxy+}` above it.
    pub fn pattern_of(&self, path: &str) -> Option<(&str, &Route)> {
        let find = |pattern: &str| {
            self.of_paths.get_key_value(pattern).map(|(pattern, route)| (pattern.as_str(), route))
        };
        if let Some(exact) = find(path) {
            return Some(exact);
        }
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('/') {
            if let Some(proxy) = find(&format!("{parent}/{{proxy+}}")) {
                return Some(proxy);
            }
            above = parent;
        }
        None
    }

    /// The function that answers a request.
    pub fn function_of(&self, method: &Method, path: &str) -> &str {
        match self.pattern_of(path) {
            Some((_, route)) if route.method == "ANY" || route.method == method.as_str() => &route.function,
            _ => &self.everything_else,
        }
    }
}

/// An alarm of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    /// The logical id.
    pub name: String,
    /// The namespace of the metric.
    pub namespace: String,
    /// The name of the metric.
    pub metric: String,
    /// The dimensions, each with its value as it is written.
    pub dimensions: BTreeMap<String, String>,
    /// The statistic.
    pub statistic: String,
    /// Where it is told that it goes off.
    pub actions: String,
}

/// Reads the alarms of a template, as text.
pub fn alarms_of(template: &str) -> Vec<Alarm> {
    let mut alarms: Vec<Alarm> = Vec::new();
    let (mut name, mut is_alarm, mut dimension) = ("", false, "");
    for line in template.lines() {
        if let Some(resource) = line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '#'])) {
            (name, is_alarm) = (resource.trim_end_matches(':'), false);
        } else if line == "    Type: AWS::CloudWatch::Alarm" {
            is_alarm = true;
            alarms.push(Alarm { name: name.to_owned(), ..Alarm::default() });
        }
        let Some(alarm) = alarms.last_mut().filter(|_| is_alarm) else { continue };
        let Some((key, value)) = line.trim().split_once(": ") else { continue };
        match key {
            "Namespace" => value.clone_into(&mut alarm.namespace),
            "MetricName" => value.clone_into(&mut alarm.metric),
            "Statistic" | "ExtendedStatistic" => value.clone_into(&mut alarm.statistic),
            "AlarmActions" => value.clone_into(&mut alarm.actions),
            "- Name" => dimension = value,
            "Value" => drop(alarm.dimensions.insert(dimension.to_owned(), value.to_owned())),
            _ => {}
        }
    }
    alarms
}

/// The logical id of what has this name: `OrderItems` for `order-items`.
pub fn logical_id(name: &str) -> String {
    name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// Checks that the metrics of the program on which there are alarms for a function are among those that it has printed, in
/// CloudWatch's embedded metric format: with the namespace, the name and exactly the dimensions of the alarm. An alarm on any
/// other metric never goes off.
///
/// # Errors
///
/// If there is no such alarm, or if one has no such metric.
pub fn assert_alarms_can_go_off(function: &str, printed: &str) -> anyhow::Result<()> {
    let template =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml"))?;
    let of_function = [("Function".to_owned(), format!("!Ref {}Function", logical_id(function)))];
    let of_function = BTreeMap::from(of_function);
    let alarms = alarms_of(&template).into_iter();
    let alarms: Vec<_> =
        alarms.filter(|alarm| alarm.namespace == "Switchyard" && alarm.dimensions == of_function).collect();
    anyhow::ensure!(!alarms.is_empty(), "there is no alarm for {function}");
    let lines: Vec<Value> = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for alarm in alarms {
        let dimensions: Vec<_> = alarm.dimensions.keys().map(|name| Value::from(name.as_str())).collect();
        let has_metric = |line: &Value| {
            let mut directives = line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten();
            let is_declared = directives.any(|directive| {
                let mut sets = directive["Dimensions"].as_array().into_iter().flatten();
                let mut metrics = directive["Metrics"].as_array().into_iter().flatten();
                directive["Namespace"] == alarm.namespace.as_str()
                    && sets.any(|set| set.as_array() == Some(&dimensions))
                    && metrics.any(|metric| metric["Name"] == alarm.metric.as_str())
            });
            let has_dimensions = alarm.dimensions.keys().all(|name| line[name].is_string());
            is_declared && has_dimensions && line[&alarm.metric].is_number()
        };
        anyhow::ensure!(lines.iter().any(has_metric), "{function} has no metric for {alarm:?}:\n{printed}");
    }
    Ok(())
}
