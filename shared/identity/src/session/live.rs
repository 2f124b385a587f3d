use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_kernel::SessionId;

/// The number of ended sessions that are remembered. Someone who ends more within the lifetime of an access token could sign
/// in anyway.
const ENDED_KEPT: usize = 100;

/// Which of a user's sessions are live. It is a part of the stored user, so that a write, which reads the user anyway, learns it
/// without another read, and so that the commit of the write checks it.
///
/// A session is known by its id and by an epoch: the user's at the sign-in or at the last refresh. Access tokens carry both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LiveSessions {
    /// Incrementing this number ends all sessions of a user, however many there are, and even those that an index does not
    /// show yet.
    epoch: i64,
    /// The session that ended all others with the last increment. It continues, with the tokens that it has.
    continued: Option<Continued>,
    /// Sessions that ended one by one. Each is remembered until the last access token that it was given has expired.
    ended: Vec<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Continued {
    session: SessionId,
    /// The earliest epoch of the session's tokens.
    since: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Ended {
    session: SessionId,
    until: Timestamp,
}

impl LiveSessions {
    /// The epoch of sessions that begin now.
    pub(crate) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Whether a session, or an access token of it, of this epoch is live.
    pub(crate) fn include(&self, session: SessionId, epoch: i64) -> bool {
        let continues = |kept: Continued| kept.session == session && epoch >= kept.since;
        let is_current = epoch == self.epoch || self.continued.is_some_and(continues);
        is_current && !self.ended.iter().any(|ended| ended.session == session)
    }

    /// All sessions ended.
    pub(crate) fn all_ended(&self) -> Self {
        Self { epoch: self.epoch + 1, continued: None, ended: Vec::new() }
    }

    /// All sessions but this live one ended.
    pub(crate) fn others_ended(&self, kept: SessionId) -> Self {
        let earlier = self.continued.filter(|continued| continued.session == kept);
        let since = earlier.map_or(self.epoch, |continued| continued.since);
        Self { continued: Some(Continued { session: kept, since }), ..self.all_ended() }
    }

    /// This session ended, the last access token of which expires at `until`.
    pub(crate) fn one_ended(&self, session: SessionId, until: Timestamp, now: Timestamp) -> Self {
        let ended = self.ended.iter().filter(|ended| ended.until > now && ended.session != session).copied();
        let mut ended: Vec<_> = ended.chain([Ended { session, until }]).collect();
        ended.drain(..ended.len().saturating_sub(ENDED_KEPT));
        Self { ended, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use switchyard_ambient::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn session(number: u128) -> SessionId {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn a_session_that_ends_the_others_keeps_its_tokens_until_another_one_does() {
        let (one, two) = (session(1), session(2));
        let first = LiveSessions::default().others_ended(one);
        let second = first.others_ended(one);
        for sessions in [&first, &second] {
            assert!(sessions.include(one, 0) && sessions.include(one, sessions.epoch()));
            assert!(!sessions.include(two, 0));
        }
        assert!(!second.include(two, 1) && second.include(two, 2));
        let third = second.others_ended(two);
        assert!(third.include(two, 2) && !third.include(one, 2) && !third.include(one, 0));
        assert!(third.include(one, 3), "a new sign-in");
        assert!(!third.all_ended().include(two, 2));
    }

    #[test]
    fn tokens_from_before_the_sessions_first_epoch_are_not_live() {
        let (one, two) = (session(1), session(2));
        let sessions = LiveSessions::default().all_ended().others_ended(one);
        assert!(sessions.include(one, 1) && !sessions.include(one, 0) && !sessions.include(two, 1));
    }

    #[test]
    fn an_ended_session_is_remembered_until_its_tokens_have_expired() {
        let until = |minutes: u64| NOW + Duration::from_secs(60 * minutes);
        let one = LiveSessions::default().one_ended(session(1), until(15), NOW);
        assert!(!one.include(session(1), 0) && one.include(session(2), 0));
        let two = one.one_ended(session(2), until(20), until(5));
        assert!(!two.include(session(1), 0) && !two.include(session(2), 0));
        assert_eq!(two.one_ended(session(3), until(40), until(20)).ended.len(), 1);
        let many = (0..200).fold(two, |sessions, n| sessions.one_ended(session(n), until(15), NOW));
        assert_eq!(many.ended.len(), ENDED_KEPT);
        assert!(!many.include(session(199), 0));
    }
}
