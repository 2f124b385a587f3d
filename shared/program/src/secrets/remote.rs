use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use switchyard_ambient::{Ambient, Timestamp};
use switchyard_aws::SecretsManager;
use switchyard_database::Db;
use switchyard_identity::Secret;
use switchyard_kernel::{ReplaceableSecret, other_secret, replace_secrets};
use switchyard_runtime::{Environment, Lifetime};

use super::{SecretSource, read_secrets_ttl};
use crate::StartError;

/// The pause after secrets could not be read again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The secrets of a program that are read again while it runs: those of Secrets Manager that its environment does not set.
#[derive(Debug, Default)]
pub struct Secrets(Option<Remote>);

#[derive(Debug)]
struct Remote {
    manager: SecretsManager,
    /// The names of the secrets that come from there.
    names: Vec<&'static str>,
    ttl: Duration,
    /// Whether the database learns new keys from this program.
    records: bool,
    ambient: Ambient,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    due_at: Timestamp,
    /// Why the secrets could not be replaced the last time, which was logged.
    fault: Option<String>,
}

impl Secrets {
    /// Completes `environment` with those of the `needed` secrets that are missing, if `SECRETS` names a secret of Secrets
    /// Manager. `records` says whether the database learns from this program which keys are in use.
    ///
    /// # Errors
    ///
    /// If the secret cannot be read. What is missing in it is a fault of `environment`.
    pub(crate) async fn complete(
        mut environment: Environment,
        needed: &'static [&'static str],
        ambient: &Ambient,
        records: bool,
    ) -> Result<(Environment, Self), StartError> {
        let source = SecretSource::read(&mut environment, SecretSource::Environment);
        let ttl = read_secrets_ttl(&mut environment).unwrap_or(Lifetime::minutes(5));
        let names: Vec<_> = needed.iter().copied().filter(|name| environment.text(name).is_none()).collect();
        let id = match source {
            Some(SecretSource::SecretsManager(id)) if !names.is_empty() => id,
            Some(SecretSource::Files(_)) if !names.is_empty() => {
                environment.fault("SECRETS", "names a folder, which only the server of all functions reads");
                return Ok((environment, Self::default()));
            }
            _ => return Ok((environment, Self::default())),
        };
        let manager = SecretsManager::connect(&id).await?;
        let read = manager.read().await?;
        let missing: Vec<_> = names.iter().copied().filter(|name| !read.contains_key(*name)).collect();
        if !missing.is_empty() {
            let fault = format!("names the secret `{id}`, which has no {}", missing.join(" and no "));
            environment.fault("SECRETS", fault);
        }
        for name in &names {
            if let Some(text) = read.get(*name) {
                environment = environment.with_default(name, text);
            }
        }
        let state = Mutex::new(State { due_at: ambient.now() + ttl.as_duration(), fault: None });
        let (ttl, ambient) = (ttl.as_duration(), ambient.clone());
        Ok((environment, Self(Some(Remote { manager, names, ttl, records, ambient, state }))))
    }

    /// Reads the secrets again if it is time, and replaces those that have changed. If that fails, the present ones stay, and
    /// it is logged once until it succeeds.
    ///
    /// Call it before each request or event: nothing runs in a function between two of them. One of them reads, and the
    /// others go on with what is there.
    ///
    /// If the deployment has not recorded a key yet, or the database did not answer at the start, each of them asks again.
    pub async fn keep_fresh<'a>(
        &self,
        db: &Db,
        secrets: impl IntoIterator<Item = &'a dyn ReplaceableSecret>,
    ) {
        let secrets: Vec<_> = secrets.into_iter().collect();
        let awaiting: Vec<_> = secrets.iter().copied().filter(|secret| secret.awaits_record()).collect();
        if !awaiting.is_empty() {
            let _ = other_secret(db, awaiting).await; // what needs the key reports that it cannot be used
        }
        let Some(remote) = &self.0 else { return };
        let now = remote.ambient.now();
        if !remote.begins(now) {
            return;
        }
        let fault = match remote.manager.read().await {
            Ok(read) => remote.replace(db, secrets, &read, now).await,
            Err(fault) => Some(format!("{fault}; the present secrets stay in use")),
        };
        remote.ends(fault, now);
    }
}

impl Remote {
    /// Whether it is time. If so, it is not for others.
    fn begins(&self, now: Timestamp) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = now >= state.due_at;
        if is_due {
            state.due_at = now + TRY_AGAIN_AFTER.min(self.ttl);
        }
        is_due
    }

    fn ends(&self, fault: Option<String>, now: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &fault {
            Some(sentence) if fault != state.fault => tracing::error!("{sentence}"),
            Some(_) => {}
            None => state.due_at = now + self.ttl,
        }
        state.fault = fault;
    }

    /// Replaces the secrets that have changed. Returns a sentence if some cannot be.
    async fn replace<'a>(
        &self,
        db: &Db,
        secrets: impl IntoIterator<Item = &'a dyn ReplaceableSecret>,
        read: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Option<String> {
        let new = |name: &str| {
            read.get(name).filter(|_| self.names.contains(&name)).map(|text| Secret::new(text.as_str()))
        };
        let replaced = replace_secrets(db, secrets, new, self.records, now).await;
        let missing = self.names.iter().filter(|name| !read.contains_key(**name));
        let mut faults: Vec<_> = missing.map(|name| format!("there is no {name} any more")).collect();
        match replaced {
            Ok(refused) => faults.extend(refused),
            Err(fault) => faults.push(format!("the database does not answer what it was used with: {fault}")),
        }
        let id = self.manager.id();
        (!faults.is_empty()).then(|| {
            format!("the secret `{id}` has changed, and the present keys stay in use: {}", faults.join("; "))
        })
    }
}
