use std::fmt::{self, Display};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use switchyard_ambient::Timestamp;
use switchyard_database::{Db, Error as DatabaseError};
use switchyard_settings::{Environment, Secret};

use super::checks::{Comparison, compare_held, record_held};
use super::{HeldSecret, OtherSecret};

/// What a secret consists of: keys with ids.
pub trait Keys: Sized + Send + Sync + fmt::Debug + 'static {
    /// What is wrong with a text that is not the secret, as in `must hold keys …`.
    type Fault: Display;

    /// Whether what a key has made can be read with that key alone, as if it were sealed. The database then records each key
    /// before its first use, and a program that lacks one of them does not start.
    const SEALS: bool = false;

    /// Reads the keys, the one to use first.
    fn parse(text: &str) -> Result<Self, Self::Fault>;

    /// The ids of the keys, the current one first. An id reveals nothing about its key.
    fn ids(&self) -> Vec<String>;
}

/// A secret of the settings, which can be replaced while the program runs. Clones share it. A program that does not need the
/// secret has none.
#[derive(Clone, Debug)]
pub struct Rotating<K> {
    setting: &'static str,
    state: Arc<RwLock<State<K>>>,
}

#[derive(Debug)]
struct State<K> {
    keys: Option<Arc<K>>,
    /// The ids of the keys in use, as far as the program has heard of them from the database.
    recorded: Vec<String>,
}

impl<K: Keys> Rotating<K> {
    /// The secret of this setting, with keys that count as recorded.
    pub fn new(setting: &'static str, keys: K) -> Self {
        let recorded = keys.ids();
        Self::with(setting, State { keys: Some(Arc::new(keys)), recorded })
    }

    /// The secret of this setting in a program that does not have it.
    pub fn missing(setting: &'static str) -> Self {
        Self::with(setting, State { keys: None, recorded: Vec::new() })
    }

    fn with(setting: &'static str, state: State<K>) -> Self {
        Self { setting, state: Arc::new(RwLock::new(state)) }
    }

    /// Reads the secret if it is among `needed`. Returns `None` if it is missing or malformed; `environment` then has the
    /// fault.
    pub fn read(
        environment: &mut Environment,
        needed: &[&str],
        setting: &'static str,
        form: &'static str,
        meaning: &'static str,
    ) -> Option<Self> {
        if !needed.contains(&setting) {
            return Some(Self::missing(setting));
        }
        let keys = environment.setting(setting, form, meaning).secret().required_with(K::parse);
        Some(Self::with(setting, State { keys: Some(Arc::new(keys?)), recorded: Vec::new() }))
    }

    /// The keys, if the program has the secret.
    pub fn current(&self) -> Option<Arc<K>> {
        self.state().keys.clone()
    }

    /// The keys, with the id of the first one that the database has recorded. `None` if it has recorded none.
    pub fn recorded(&self) -> Option<(Arc<K>, String)> {
        let state = self.state();
        let keys = state.keys.clone()?;
        let id = keys.ids().into_iter().find(|id| state.recorded.contains(id))?;
        Some((keys, id))
    }

    /// The keys.
    ///
    /// # Errors
    ///
    /// If the program does not have the secret: what it does shows that it needs it.
    pub fn get(&self) -> Result<Arc<K>, DatabaseError> {
        let missing =
            || DatabaseError::Internal(format!("{} is not among the program's secrets", self.setting));
        self.current().ok_or_else(missing)
    }

    fn state(&self) -> RwLockReadGuard<'_, State<K>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`Rotating`] secret of any kind.
pub trait ReplaceableSecret: fmt::Debug + Send + Sync {
    /// The name of its setting.
    fn setting(&self) -> &'static str;

    /// The ids of its keys, if the program has the secret.
    fn held(&self) -> Option<HeldSecret>;

    /// Reads what would replace it. Nothing changes until [`NewSecret::replace`].
    ///
    /// # Errors
    ///
    /// What is wrong with the text, as in `must hold keys …`. The text is not repeated.
    fn read_new(&self, text: &str) -> Result<NewSecret, String>;

    /// Whether its current key must not be used yet, because the database may not have recorded it.
    fn awaits_record(&self) -> bool;

    /// Learns which keys the database has recorded.
    fn note_recorded(&self, key_ids: Vec<String>);
}

/// Keys that would replace those of a secret.
pub struct NewSecret {
    /// The setting and the ids of the keys.
    pub held: HeldSecret,
    replace: Box<dyn FnOnce() + Send>,
}

impl NewSecret {
    /// Replaces the keys.
    pub fn replace(self) {
        (self.replace)();
    }
}

impl<K: Keys> ReplaceableSecret for Rotating<K> {
    fn setting(&self) -> &'static str {
        self.setting
    }

    fn held(&self) -> Option<HeldSecret> {
        self.current().map(|keys| held(self.setting, &*keys))
    }

    fn read_new(&self, text: &str) -> Result<NewSecret, String> {
        let keys = K::parse(text.trim()).map_err(|fault| fault.to_string())?;
        let held = held(self.setting, &keys);
        let state = self.state.clone();
        let replace = Box::new(move || {
            state.write().unwrap_or_else(PoisonError::into_inner).keys = Some(Arc::new(keys));
        });
        Ok(NewSecret { held, replace })
    }

    fn awaits_record(&self) -> bool {
        let state = self.state();
        let current = state.keys.as_ref().and_then(|keys| keys.ids().into_iter().next());
        K::SEALS && current.is_some_and(|id| !state.recorded.contains(&id))
    }

    fn note_recorded(&self, key_ids: Vec<String>) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).recorded = key_ids;
    }
}

fn held<K: Keys>(setting: &'static str, keys: &K) -> HeldSecret {
    HeldSecret { setting, key_ids: keys.ids(), seals: K::SEALS }
}

/// Replaces the secrets for which `new` has a text with other keys. Keeps those whose text is malformed, or lacks the key that
/// the database was last used with, and returns a sentence for each. With `records`, the database learns the current keys, as at
/// a start.
///
/// # Errors
///
/// That of the database, which is called only if keys have changed. Then no secret is replaced.
pub async fn replace_secrets<'a>(
    db: &Db,
    secrets: impl IntoIterator<Item = &'a dyn ReplaceableSecret>,
    new: impl Fn(&str) -> Option<Secret>,
    records: bool,
    now: Timestamp,
) -> Result<Vec<String>, DatabaseError> {
    let (mut accepted, mut faults) = (Vec::new(), Vec::new());
    for secret in secrets {
        let Some((held, text)) = secret.held().zip(new(secret.setting())) else { continue };
        let new = match secret.read_new(text.expose()) {
            Ok(new) if new.held == held => continue,
            Ok(new) => new,
            Err(fault) => {
                faults.push(format!("the new {} {fault}", secret.setting()));
                continue;
            }
        };
        let held = std::slice::from_ref(&new.held);
        let compared =
            if records { record_held(db, held, now).await? } else { compare_held(db, held).await? };
        match compared {
            Comparison::Other(OtherSecret { setting, key_id }) => faults.push(format!(
                "the new {setting} lacks the key with the id {key_id}, which the database was used with"
            )),
            Comparison::Held(in_use) => accepted.push((secret, new, in_use)),
        }
    }
    for (secret, new, in_use) in accepted {
        tracing::info!(setting = new.held.setting, "a secret was replaced");
        new.replace();
        secret.note_recorded(in_use.concat());
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyRing;

    const OLD: &str = "old-key-old-key-old-key-old-key-";
    const NEW: &str = "new-key-new-key-new-key-new-key-";

    fn read(variables: &[(&str, &str)], needed: &[&str]) -> Result<Rotating<KeyRing>, String> {
        let environment = Environment::of(variables.iter().copied());
        let read = environment
            .read(|environment| Rotating::read(environment, needed, "AUDIT_KEY", KeyRing::FORM, "the keys"));
        read.map_err(|faults| faults.to_string())
    }

    #[test]
    fn only_a_program_that_needs_a_secret_has_it() {
        let fault = read(&[], &["AUDIT_KEY"]).unwrap_err();
        assert!(fault.ends_with("AUDIT_KEY is not set"), "{fault}");
        let secret = read(&[("AUDIT_KEY", OLD)], &["ANOTHER"]).unwrap();
        assert!(secret.held().is_none());
        let fault = secret.get().unwrap_err().to_string();
        assert!(fault.ends_with("AUDIT_KEY is not among the program's secrets"), "{fault}");
        assert!(read(&[("AUDIT_KEY", OLD)], &["AUDIT_KEY"]).unwrap().get().is_ok());
    }

    #[test]
    fn every_clone_has_the_new_keys() {
        let secret = Rotating::new("AUDIT_KEY", KeyRing::parse(OLD).unwrap());
        let (clone, before) = (secret.clone(), secret.held());
        let fault = secret.read_new("short").map(|_| ()).unwrap_err();
        assert_eq!(fault, "must hold keys of at least 32 characters each, separated by commas");
        let new = secret.read_new(&format!("{NEW},{OLD}\n")).unwrap();
        assert_eq!(clone.held(), before);
        let held = new.held.clone();
        new.replace();
        assert_eq!(clone.held(), Some(held));
        assert_ne!(clone.held(), before);
    }
}
