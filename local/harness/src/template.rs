//! The routes of `template.yaml`: which function API Gateway sends a request to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use axum::http::Method;

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
