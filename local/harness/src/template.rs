//! The routes of `template.yaml`: which function API Gateway sends a request to.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use axum::http::Method;

/// The function that gets what no route names (`$default`).
pub const EVERYTHING_ELSE: &str = "System";

/// The routes of the template.
#[derive(Clone, Debug)]
pub struct Routes(BTreeMap<String, Route>);

/// What stands behind a pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method, or `ANY`.
    pub method: String,
    /// The function, as in `Users`.
    pub function: String,
}

impl Routes {
    /// Reads them out of the template.
    pub fn read() -> anyhow::Result<Self> {
        let template =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml"))?;
        let (mut function, mut method) = (String::new(), None);
        let mut routes = BTreeMap::new();
        for line in template.lines() {
            if let Some(name) = line.strip_prefix("  ").and_then(|line| line.strip_suffix("Function:")) {
                function = name.to_owned();
            } else if let Some(name) = line.trim().strip_prefix("Method: ") {
                method = Some(name.to_owned());
            } else if let Some(path) = line.trim().strip_prefix("Path: ") {
                let method = method.take().with_context(|| format!("{path} has no method above it"))?;
                let earlier = routes.insert(path.to_owned(), Route { method, function: function.clone() });
                anyhow::ensure!(earlier.is_none(), "{path} is routed twice");
            }
        }
        Ok(Self(routes))
    }

    /// All patterns, with what stands behind them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Route)> {
        self.0.iter().map(|(pattern, route)| (pattern.as_str(), route))
    }

    /// The pattern that API Gateway takes for a path: the exact one, else the longest `{proxy+}` above it.
    pub fn pattern_of(&self, path: &str) -> Option<(&str, &Route)> {
        let find =
            |pattern: &str| self.0.get_key_value(pattern).map(|(pattern, route)| (pattern.as_str(), route));
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
            _ => EVERYTHING_ELSE,
        }
    }
}
