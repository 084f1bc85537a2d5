//! Who is let in: links that work once, and the sessions they start.
//!
//! Time is an argument. A secret is compared with every one there is, in constant time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use subtle::{Choice, ConstantTimeEq as _};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How long a link works.
pub(crate) const LINK_LIFE: Duration = Duration::from_secs(120);
/// How long a session lives without a person's request.
pub(crate) const IDLE: Duration = Duration::from_secs(30 * 60);
/// How long a session lives at most.
pub(crate) const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// Links that may be open at once; one more ends the oldest.
const LINKS: usize = 16;
/// Sessions at once; one more ends the oldest.
const SESSIONS: usize = 16;

/// 256 random bits, written as 64 hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// Reads what [`Secret::text`] wrote.
    fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text, bytes.as_mut()).ok()?;
        Some(Self(bytes))
    }

    pub(crate) fn text(&self) -> String {
        hex::encode(self.0.as_ref())
    }

    fn is(&self, other: &Self) -> Choice {
        self.0.as_ref().ct_eq(other.0.as_ref())
    }
}

/// What is said once, at the top of the next page: how an action came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) good: bool,
    pub(crate) text: String,
    pub(crate) hint: String,
}

/// A session as a request sees it.
#[derive(Clone)]
pub(crate) struct Session {
    id: u64,
    token: Secret,
}

impl Session {
    /// What every form of the session carries.
    pub(crate) fn token(&self) -> String {
        self.token.text()
    }

    /// Whether a form of this session sent it.
    pub(crate) fn is_token(&self, text: &str) -> bool {
        Secret::parse(text).is_some_and(|sent| self.token.is(&sent).into())
    }
}

struct Link {
    secret: Secret,
    ends: Instant,
}

struct Open {
    session: Session,
    cookie: Secret,
    began: Instant,
    last: Instant,
    notice: Option<Notice>,
}

impl Open {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.last) < IDLE && now.duration_since(self.began) < LONGEST
    }
}

#[derive(Default)]
struct Inside {
    links: VecDeque<Link>,
    open: VecDeque<Open>,
    last_id: u64,
}

/// Links and sessions.
#[derive(Default)]
pub(crate) struct Gate(Mutex<Inside>);

impl Gate {
    fn inside(&self, now: Instant) -> MutexGuard<'_, Inside> {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inside.links.retain(|link| now < link.ends);
        inside.open.retain(|open| open.lives(now));
        inside
    }

    /// A new link's secret.
    pub(crate) fn issue(&self, now: Instant) -> Result<Secret, getrandom::Error> {
        let secret = Secret::random()?;
        let mut inside = self.inside(now);
        if inside.links.len() == LINKS {
            inside.links.pop_front();
        }
        inside.links.push_back(Link { secret: secret.clone(), ends: now + LINK_LIFE });
        Ok(secret)
    }

    /// Uses a link up and starts a session: the value of its cookie. `None` for a link that was used, is over, or never
    /// was.
    pub(crate) fn enter(&self, text: &str, now: Instant) -> Result<Option<Secret>, getrandom::Error> {
        let Some(sent) = Secret::parse(text) else { return Ok(None) };
        let (cookie, token) = (Secret::random()?, Secret::random()?);
        let mut inside = self.inside(now);
        let before = inside.links.len();
        inside.links.retain(|link| !bool::from(link.secret.is(&sent)));
        if inside.links.len() == before {
            return Ok(None);
        }
        if inside.open.len() == SESSIONS {
            inside.open.pop_front();
        }
        inside.last_id += 1;
        let session = Session { id: inside.last_id, token };
        inside.open.push_back(Open { session, cookie: cookie.clone(), began: now, last: now, notice: None });
        Ok(Some(cookie))
    }

    /// The session of a cookie. A person's request keeps it alive; a stream that is open by itself does not.
    pub(crate) fn admit(&self, cookie: &str, by_a_person: bool, now: Instant) -> Option<Session> {
        let sent = Secret::parse(cookie)?;
        let mut inside = self.inside(now);
        let mut found = None;
        for open in &mut inside.open {
            if bool::from(open.cookie.is(&sent)) {
                if by_a_person {
                    open.last = now;
                }
                found = Some(open.session.clone());
            }
        }
        found
    }

    /// Whether the session still lives.
    pub(crate) fn lives(&self, session: &Session, now: Instant) -> bool {
        self.inside(now).open.iter().any(|open| open.session.id == session.id)
    }

    /// Ends a session.
    pub(crate) fn leave(&self, session: &Session, now: Instant) {
        self.inside(now).open.retain(|open| open.session.id != session.id);
    }

    /// Keeps what the session's next page says.
    pub(crate) fn say(&self, session: &Session, notice: Notice, now: Instant) {
        if let Some(open) = self.inside(now).open.iter_mut().find(|open| open.session.id == session.id) {
            open.notice = Some(notice);
        }
    }

    /// What the session's next page says, once.
    pub(crate) fn hear(&self, session: &Session, now: Instant) -> Option<Notice> {
        self.inside(now).open.iter_mut().find(|open| open.session.id == session.id)?.notice.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(gate: &Gate, now: Instant) -> String {
        let link = gate.issue(now).unwrap();
        gate.enter(&link.text(), now).unwrap().unwrap().text()
    }

    #[test]
    fn a_link_works_once_and_for_a_time() {
        let (gate, now) = (Gate::default(), Instant::now());
        let link = gate.issue(now).unwrap().text();
        assert_eq!(link.len(), 64);
        let almost = now + LINK_LIFE - Duration::from_millis(1);
        assert!(gate.enter(&link, almost).unwrap().is_some());
        assert!(gate.enter(&link, almost).unwrap().is_none(), "used");
        let late = gate.issue(now).unwrap().text();
        assert!(gate.enter(&late, now + LINK_LIFE).unwrap().is_none(), "over");
        for never in ["", "00", &"0".repeat(64), &"z".repeat(64), &link[1..]] {
            assert!(gate.enter(never, now).unwrap().is_none(), "{never}");
        }
    }

    #[test]
    fn a_session_lives_by_a_persons_requests_and_never_for_ever() {
        let (gate, now) = (Gate::default(), Instant::now());
        let cookie = entered(&gate, now);
        let short = IDLE - Duration::from_secs(1);
        assert!(gate.admit(&cookie, false, now + short).is_some());
        assert!(gate.admit(&cookie, false, now + IDLE).is_none(), "a stream keeps no session alive");

        let cookie = entered(&gate, now);
        let mut at = now;
        while at + short < now + LONGEST {
            at += short;
            assert!(gate.admit(&cookie, true, at).is_some());
        }
        assert!(gate.admit(&cookie, true, now + LONGEST).is_none());
    }

    #[test]
    fn sessions_know_only_their_own_token() {
        let (gate, now) = (Gate::default(), Instant::now());
        let sessions = [(), ()].map(|()| gate.admit(&entered(&gate, now), true, now).unwrap());
        let [one, other] = &sessions;
        assert!(one.is_token(&one.token()) && !one.is_token(&other.token()) && !one.is_token(""));
        gate.say(one, Notice { good: true, text: "done".into(), hint: String::new() }, now);
        assert!(gate.hear(other, now).is_none());
        assert_eq!(gate.hear(one, now).unwrap().text, "done");
        assert!(gate.hear(one, now).is_none(), "said once");
        gate.leave(one, now);
        assert!(!gate.lives(one, now) && gate.lives(other, now));
    }

    #[test]
    fn there_are_never_more_than_a_few() {
        let (gate, now) = (Gate::default(), Instant::now());
        let first = entered(&gate, now);
        let link = gate.issue(now).unwrap().text();
        for _ in 0..SESSIONS {
            entered(&gate, now);
        }
        assert!(gate.admit(&first, true, now).is_none());
        for _ in 0..LINKS {
            gate.issue(now).unwrap();
        }
        assert!(gate.enter(&link, now).unwrap().is_none());
    }
}
