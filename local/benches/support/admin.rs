//! The admin of a server under measurement.

use anyhow::Context as _;
use serde_json::{Value, json};

const EMAIL: &str = "admin@example.org";
const PASSWORD: &str = "nine violet anchors hum";

/// The variables with which a server creates the admin.
pub(crate) const VARIABLES: [(&str, &str); 2] = [("ADMIN_EMAIL", EMAIL), ("ADMIN_PASSWORD", PASSWORD)];

/// Logs the admin in. The access token is valid for 15 minutes.
pub(crate) async fn access_token(base_url: &str) -> anyhow::Result<String> {
    let login = reqwest::Client::new().post(format!("{base_url}/api/v1/auth/login"));
    let answer = login.json(&json!({"email": EMAIL, "password": PASSWORD})).send().await?;
    let signed_in: Value = answer.error_for_status()?.json().await?;
    Ok(signed_in["access_token"].as_str().context("the answer to the log-in has no token")?.to_owned())
}
