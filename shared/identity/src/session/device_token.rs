use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use switchyard_ambient::Uuid;
use switchyard_kernel::{KeyRing, SessionId, UserId};

use crate::Secret;
use crate::user::UserRecord;

const ID_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
const BYTES: usize = ID_BYTES + TAG_BYTES;

/// The keys of device tokens.
///
/// A device token shows that its user has signed in on a device before: it is the id of the session and an HMAC over the user
/// and this id. Nothing is stored for it. Someone who has it may guess at the user's password apart from everyone else (OWASP,
/// "Slow Down Online Guessing Attacks with Device Cookies"). It signs nobody in.
///
/// The HMAC also covers the user's epoch (see [`LiveSessions`](super::LiveSessions)). So a token ends with what ends all other
/// sessions: a new password, another address, disabling, deleting and signing out everywhere. Someone who has known a password
/// could have got any number of tokens with it, and each would give them guesses at the next one. A session that continues
/// gets a new token with its next refresh. Signing out of one session does not end a token: it is needed at the next sign-in.
#[derive(Clone)]
pub(crate) struct DeviceKeys(Vec<hmac::Key>);

impl DeviceKeys {
    /// The keys that follow from those of a ring, the current one first. They are keys of their own, so that nothing else that is
    /// computed with the ring, such as a refresh token, can serve as a token.
    pub(crate) fn new(ring: &KeyRing) -> Self {
        let keys = ring.codes(b"switchyard: key of device tokens");
        Self(keys.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())).collect())
    }

    /// The token of a session of a user: 64 characters of base64url.
    pub(super) fn issue(&self, user: &UserRecord, session: SessionId) -> Secret {
        let tag =
            self.0.first().map(|key| hmac::sign(key, &message(user.id, user.sessions.epoch(), session)));
        let tag = tag.as_ref().map(AsRef::as_ref).unwrap_or_default();
        Secret::new(URL_SAFE_NO_PAD.encode([&session.uuid().as_bytes()[..], tag].concat()))
    }

    /// The session that the token of a user belonged to. Returns `None` if it is malformed, forged, of another user or no
    /// longer valid, and if there is no user, after the same amount of work.
    pub(crate) fn session_of(&self, token: &str, user: Option<&UserRecord>) -> Option<SessionId> {
        if token.len() != BYTES / 3 * 4 {
            return None; // without decoding it
        }
        let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (id, tag) = bytes.split_first_chunk::<ID_BYTES>()?;
        let session = SessionId::from(Uuid::from_bytes(*id));
        let message = match user {
            Some(user) => message(user.id, user.sessions.epoch(), session),
            None => message(Uuid::nil().into(), 0, session),
        };
        let is_valid = self.0.iter().any(|key| hmac::verify(key, &message, tag).is_ok());
        user.filter(|_| is_valid).map(|_| session)
    }
}

fn message(user: UserId, epoch: i64, session: SessionId) -> Vec<u8> {
    [&user.uuid().as_bytes()[..], &epoch.to_be_bytes(), session.uuid().as_bytes()].concat()
}

impl std::fmt::Debug for DeviceKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[device keys]")
    }
}

#[cfg(test)]
mod tests {
    use switchyard_ambient::Timestamp;
    use switchyard_kernel::RoleName;

    use super::*;

    const NEW: &str = "new-key-new-key-new-key-new-key-";
    const OLD: &str = "old-key-old-key-old-key-old-key-";

    fn keys(text: &str) -> DeviceKeys {
        DeviceKeys::new(&KeyRing::parse(text).unwrap())
    }

    fn user(number: u128) -> UserRecord {
        let (email, name) = ("ada@example.com".parse().unwrap(), "Ada".parse().unwrap());
        let roles = vec![RoleName::built_in("customer")];
        UserRecord::new(Uuid::from_u128(number).into(), email, name, roles, true, Timestamp::from_seconds(0))
    }

    #[test]
    fn a_token_is_valid_for_its_user_until_their_sessions_end() {
        let (keys, ada, session) = (keys(NEW), user(1), SessionId::from(Uuid::from_u128(7)));
        let token = keys.issue(&ada, session);
        assert_eq!(token.expose().len(), 64);
        assert_eq!(keys.session_of(token.expose(), Some(&ada)), Some(session));
        assert_eq!(keys.session_of(token.expose(), Some(&user(2))), None);
        assert_eq!(keys.session_of(token.expose(), None), None);
        let until = Timestamp::from_seconds(1);
        let one_ended = ada.sessions.one_ended(session, until, Timestamp::from_seconds(0));
        let signed_out = UserRecord { sessions: one_ended, ..ada.clone() };
        assert_eq!(keys.session_of(token.expose(), Some(&signed_out)), Some(session));
        for sessions in [ada.sessions.all_ended(), ada.sessions.others_ended(session)] {
            let changed = UserRecord { sessions, ..ada.clone() };
            assert_eq!(keys.session_of(token.expose(), Some(&changed)), None);
            let renewed = keys.issue(&changed, session);
            assert_eq!(keys.session_of(renewed.expose(), Some(&changed)), Some(session));
        }
    }

    #[test]
    fn a_token_is_valid_while_its_key_is_held() {
        let (ada, session) = (user(1), SessionId::from(Uuid::from_u128(7)));
        let token = keys(OLD).issue(&ada, session);
        let both = keys(&format!("{NEW},{OLD}"));
        assert_eq!(both.session_of(token.expose(), Some(&ada)), Some(session));
        assert_eq!(keys(NEW).session_of(token.expose(), Some(&ada)), None);
        assert_eq!(both.issue(&ada, session).expose(), keys(NEW).issue(&ada, session).expose());
        // No code that the ring itself makes is a token.
        let ring = KeyRing::parse(OLD).unwrap();
        let code = ring.current_code(&message(ada.id, 0, session));
        let forged = URL_SAFE_NO_PAD.encode([&session.uuid().as_bytes()[..], code.as_ref()].concat());
        assert_eq!(both.session_of(&forged, Some(&ada)), None);
    }

    #[test]
    fn altered_and_malformed_tokens_are_not_valid() {
        let (keys, ada) = (keys(NEW), user(1));
        let token = keys.issue(&ada, SessionId::from(Uuid::from_u128(7))).expose().to_owned();
        for at in 0..token.len() {
            let mut altered = token.clone();
            altered.replace_range(at..=at, if &token[at..=at] == "A" { "B" } else { "A" });
            assert_eq!(keys.session_of(&altered, Some(&ada)), None, "at {at}");
        }
        let longer = format!("{token}A");
        for text in ["", "x", &token[1..], &longer, &"A".repeat(64), &"!".repeat(64), &"é".repeat(32)] {
            assert_eq!(keys.session_of(text, Some(&ada)), None, "{text}");
        }
    }
}
