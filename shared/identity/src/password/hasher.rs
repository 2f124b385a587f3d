use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use switchyard_ambient::Ambient;

use super::hash::{PasswordHash, Scheme, cost_of};
use super::queue::{Busy, Queue, Share, Turn};
use crate::value::PreparedPassword;
use switchyard_kernel::{CommonError, KeyRing, Rotating};

/// Hashes and verifies passwords off the async threads, a bounded number at a time.
#[derive(Clone, Debug)]
pub(crate) struct PasswordHasher {
    peppers: Rotating<KeyRing>,
    cost: u32,
    ambient: Ambient,
    /// A hash takes a core a quarter of a second. Computing more at once than there are cores would only slow
    /// all of them down, so the others wait here, at no cost.
    queue: Arc<Queue>,
}

/// What one of the 2^cost rounds of bcrypt takes on a machine of 2020. It only matters until turns were measured.
const ROUND: Duration = Duration::from_micros(60);

/// How much of its input bcrypt compares. Of a longer one it ignores the rest.
const COMPARED_BYTES: usize = 72;

/// A stored hash, and what to compare with it.
struct Read<'h> {
    /// The input of bcrypt.
    input: String,
    /// The hash in bcrypt's form.
    bcrypt: &'h str,
    cost: u32,
    /// Whether it is hashed in the current way.
    is_current: bool,
    /// Whether all of the input is compared. The input of an imported hash is the password itself: one that differs behind 72
    /// bytes matches, and must not become the account's password.
    is_whole: bool,
}

/// The result of verifying a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether the password is right.
    pub(crate) is_right: bool,
    /// The hash to store instead, if the stored one has an older scheme, pepper or cost.
    pub(crate) upgrade: Option<PasswordHash>,
}

impl PasswordHasher {
    pub(crate) fn new(peppers: Rotating<KeyRing>, cost: u32, at_once: usize, ambient: Ambient) -> Self {
        let queue = Queue::new(at_once, ROUND * (1 << cost.min(20)), ambient.clone());
        Self { peppers, cost, ambient, queue }
    }

    /// Hashes a new password.
    pub(crate) async fn hash(
        &self,
        turn: Turn,
        password: &PreparedPassword,
    ) -> Result<PasswordHash, CommonError> {
        let (this, peppers, password) = (self.clone(), self.peppers.get()?, password.clone());
        Ok(turn.run(move || this.hash_now(&peppers, &password)).await?.0)
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// [`Busy`] if the turn would come too late. A caller that has written nothing before can say that nothing took effect.
    pub(crate) async fn turn(&self, share: Share) -> Result<Turn, Busy> {
        self.queue.turn(share).await
    }

    /// Verifies a password, as it was typed, against the hash of an account. If there is no hash, because there is no such
    /// account or it has no password, the answer is no after the same amount of work.
    pub(crate) async fn verify(
        &self,
        turn: Turn,
        typed: &str,
        hash: Option<&PasswordHash>,
    ) -> Result<(Verdict, Turn), CommonError> {
        let (this, peppers) = (self.clone(), self.peppers.get()?);
        let (typed, hash) = (typed.to_owned(), hash.cloned());
        Ok(turn.run(move || this.verify_now(&peppers, &typed, hash.as_ref())).await?)
    }

    fn hash_now(&self, peppers: &KeyRing, password: &PreparedPassword) -> PasswordHash {
        let input = self.current_prehash(peppers, password);
        PasswordHash::keyed(peppers.current_id(), &self.bcrypt(&input, self.cost))
    }

    fn verify_now(&self, peppers: &KeyRing, typed: &str, hash: Option<&PasswordHash>) -> Verdict {
        let password = &PreparedPassword::of(typed);
        let read = hash.and_then(|hash| self.read(peppers, hash, typed, password));
        let Some(Read { input, bcrypt, cost, is_current, is_whole }) = read else {
            self.spend(peppers, password, self.cost);
            return Verdict { is_right: false, upgrade: None };
        };
        let is_right = bcrypt::verify(&input, bcrypt).unwrap_or(false);
        if !is_right {
            // A cheaper hash must not be refused faster than no hash: 2^c + (2^c + 2^(c+1) + … + 2^(d-1)) =
            // 2^d.
            (cost..self.cost).for_each(|cost| self.spend(peppers, password, cost));
        }
        let upgrade = (is_right && !is_current && is_whole).then(|| self.hash_now(peppers, password));
        Verdict { is_right, upgrade }
    }

    /// Reads a stored hash for the comparison with a password.
    fn read<'h>(
        &self,
        peppers: &KeyRing,
        hash: &'h PasswordHash,
        typed: &str,
        password: &PreparedPassword,
    ) -> Option<Read<'h>> {
        let (scheme, bcrypt) = hash.parts()?;
        let cost = cost_of(bcrypt)?;
        let (input, is_current) = match scheme {
            Scheme::Keyed { key_id } => {
                (self.prehash(peppers, key_id, password)?, key_id == peppers.current_id())
            }
            Scheme::Plain => (typed.to_owned(), false),
        };
        let is_whole = input.len() <= COMPARED_BYTES;
        Some(Read { input, bcrypt, cost, is_current: is_current && cost == self.cost, is_whole })
    }

    fn current_prehash(&self, peppers: &KeyRing, password: &PreparedPassword) -> String {
        STANDARD.encode(peppers.current_code(password.expose().as_bytes()))
    }

    fn prehash(&self, peppers: &KeyRing, key_id: &str, password: &PreparedPassword) -> Option<String> {
        peppers.code(key_id, password.expose().as_bytes()).map(|code| STANDARD.encode(code))
    }

    fn bcrypt(&self, input: &str, cost: u32) -> String {
        // Fails only for a cost that the settings refuse, or an input with a zero byte, which base64 does not
        // contain.
        bcrypt::hash_with_salt(input, cost, self.ambient.bytes())
            .map(|parts| parts.format_for_version(bcrypt::Version::TwoB))
            .unwrap_or_default()
    }

    /// Does the work of a verification and discards the result.
    fn spend(&self, peppers: &KeyRing, password: &PreparedPassword, cost: u32) {
        black_box(self.bcrypt(&self.current_prehash(peppers, password), cost));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use switchyard_ambient::{ManualClock, SeededRandomness, Timestamp};

    use super::*;

    const OLD: &str = "old-pepper-old-pepper-old-pepper";
    const NEW: &str = "new-pepper-new-pepper-new-pepper";

    fn hasher(peppers: &str, cost: u32) -> PasswordHasher {
        let ambient = Ambient::new(ManualClock::at(Timestamp::from_micros(0)), SeededRandomness::new(1));
        PasswordHasher::new(
            Rotating::new("PASSWORD_PEPPER", KeyRing::parse(peppers).unwrap()),
            cost,
            2,
            ambient,
        )
    }

    async fn verify(
        hasher: &PasswordHasher,
        password: &str,
        hash: Option<&PasswordHash>,
    ) -> Result<Verdict, CommonError> {
        hasher
            .verify(hasher.turn(Share::Anyone).await.unwrap(), password, hash)
            .await
            .map(|(verdict, _)| verdict)
    }

    async fn hash(hasher: &PasswordHasher, password: &str) -> PasswordHash {
        hasher.hash(hasher.turn(Share::Anyone).await.unwrap(), &PreparedPassword::of(password)).await.unwrap()
    }

    #[tokio::test]
    async fn a_caller_keeps_its_turn_for_further_work() {
        let hasher = &hasher(NEW, 4);
        let stored = hash(hasher, "correct horse").await;
        let turns = [hasher.turn(Share::Anyone).await.unwrap(), hasher.turn(Share::Anyone).await.unwrap()];
        let mut next = std::pin::pin!(hasher.turn(Share::Anyone));
        let [turn, _other] = turns;
        let (verdict, turn) = hasher.verify(turn, "correct horse", Some(&stored)).await.unwrap();
        assert!(verdict.is_right);
        assert!(next.as_mut().now_or_never().is_none());
        hasher.hash(turn, &PreparedPassword::of("battery staple")).await.unwrap();
        assert!(next.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_password_is_right_and_another_is_wrong() {
        let hasher = hasher(NEW, 4);
        let hash = hash(&hasher, "correct horse").await;
        let right = verify(&hasher, "correct horse", Some(&hash)).await.unwrap();
        assert_eq!(right, Verdict { is_right: true, upgrade: None });
        let wrong = verify(&hasher, "correct house", Some(&hash)).await.unwrap();
        assert_eq!(wrong, Verdict { is_right: false, upgrade: None });
        let nobody = verify(&hasher, "correct horse", None).await.unwrap();
        assert_eq!(nobody, Verdict { is_right: false, upgrade: None });
    }

    #[tokio::test]
    async fn the_same_password_is_hashed_differently_each_time() {
        let hasher = hasher(NEW, 4);
        assert_ne!(hash(&hasher, "correct horse").await, hash(&hasher, "correct horse").await);
    }

    #[tokio::test]
    async fn long_passwords_that_differ_after_72_bytes_do_not_match() {
        let hasher = hasher(NEW, 4);
        let hash = hash(&hasher, &format!("{}1", "x".repeat(100))).await;
        assert!(!verify(&hasher, &format!("{}2", "x".repeat(100)), Some(&hash)).await.unwrap().is_right);
    }

    #[tokio::test]
    async fn older_costs_peppers_and_schemes_are_upgraded_when_the_password_is_right() {
        let imported = bcrypt::hash_with_salt("correct horse", 4, [7; 16]).unwrap().to_string();
        let current = hasher(&format!("{NEW},{OLD}"), 5);
        for old in [
            hash(&hasher(NEW, 4), "correct horse").await,
            hash(&hasher(OLD, 5), "correct horse").await,
            PasswordHash::import(&imported).unwrap(),
        ] {
            assert_eq!(verify(&current, "wrong horse", Some(&old)).await.unwrap().upgrade, None);
            let verdict = verify(&current, "correct horse", Some(&old)).await.unwrap();
            assert!(verdict.is_right);
            let upgraded = verdict.upgrade.unwrap();
            let again = verify(&current, "correct horse", Some(&upgraded)).await.unwrap();
            assert_eq!(again, Verdict { is_right: true, upgrade: None });
        }
    }

    #[tokio::test]
    async fn an_imported_hash_stays_where_the_password_is_longer_than_what_bcrypt_compares() {
        let hasher = hasher(NEW, 4);
        let imported = bcrypt::hash_with_salt("x".repeat(72), 4, [7; 16]).unwrap().to_string();
        let imported = PasswordHash::import(&imported).unwrap();
        let longer = verify(&hasher, &format!("{}tail", "x".repeat(72)), Some(&imported)).await.unwrap();
        assert_eq!(longer, Verdict { is_right: true, upgrade: None });
        assert!(verify(&hasher, &"x".repeat(72), Some(&imported)).await.unwrap().upgrade.is_some());
    }

    #[tokio::test]
    async fn every_spelling_of_a_password_is_right() {
        let hasher = hasher(NEW, 4);
        let hash = hash(&hasher, "grünes Schloß").await;
        for spelling in ["gru\u{308}nes Schloß", "grünes\u{a0}Schloß", "gru\u{308}nes\u{3000}Schloß"] {
            assert!(verify(&hasher, spelling, Some(&hash)).await.unwrap().is_right, "{spelling}");
        }
        for other in ["grunes Schloß", "grünes Schloss", "Grünes Schloß", "grünes Schloß "] {
            assert!(!verify(&hasher, other, Some(&hash)).await.unwrap().is_right, "{other}");
        }
    }

    /// Vietnamese keyboards of Windows type such text, which is neither composed nor decomposed.
    #[tokio::test]
    async fn an_imported_hash_is_compared_with_what_is_typed_and_upgraded_to_every_spelling() {
        let hasher = hasher(NEW, 4);
        let (typed, composed) = ("ti\u{ea}\u{301}ng vi\u{ea}\u{323}t", "ti\u{1ebf}ng vi\u{1ec7}t");
        let imported = bcrypt::hash_with_salt(typed, 4, [7; 16]).unwrap().to_string();
        let imported = PasswordHash::import(&imported).unwrap();
        assert!(!verify(&hasher, composed, Some(&imported)).await.unwrap().is_right);
        let upgraded = verify(&hasher, typed, Some(&imported)).await.unwrap().upgrade.unwrap();
        for spelling in [typed, composed] {
            let again = verify(&hasher, spelling, Some(&upgraded)).await.unwrap();
            assert_eq!(again, Verdict { is_right: true, upgrade: None });
        }
    }

    #[tokio::test]
    async fn a_hash_with_a_removed_pepper_matches_nothing() {
        let hash = hash(&hasher(OLD, 4), "correct horse").await;
        assert!(!verify(&hasher(NEW, 4), "correct horse", Some(&hash)).await.unwrap().is_right);
    }
}
