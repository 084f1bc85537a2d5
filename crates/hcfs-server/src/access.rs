//! Who may do what, and how often: logins, wrong tokens, the rate of an account's requests, and quotas.

use std::net::IpAddr;
use std::time::Duration;

use hcfs_model::AccountAddress;
use hcfs_wire::{Challenge, Login, verify_login};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::Limits;
use crate::peer::Peer;
use crate::rate::Rates;
use crate::tokens::after;

/// How long a challenge can be used.
const CHALLENGE_LIFETIME: Duration = Duration::from_mins(5);
/// Bytes of a challenge: its nonce, when it ends, and the seal over both and the names.
const CHALLENGE_BYTES: usize = 16 + 8 + 32;

/// How accounts get in, and what they may have.
#[derive(Clone, Default)]
pub struct AccountPolicy {
    /// What the server is called by those who connect to it, as `sync.example.org` or `127.0.0.1:8080`: logins are signed
    /// for this name. Without one, the address on this machine that it listens on.
    pub name: Option<String>,
    /// Whether every account that logs in is let in. Otherwise only those that are known, or bring an invitation.
    pub open_registration: bool,
    /// How long the token of a login lasts; `None` for until it is revoked.
    pub token_lifetime: Option<Duration>,
    /// Plaintext bytes an account may have, unless it has a quota of its own; `None` for as many as the disk holds.
    pub quota_bytes: Option<u64>,
    /// The value of `X-Billing-Bypass` that lifts the quota of a request; `None` ignores the header.
    pub billing_bypass: Option<String>,
    /// Takes an account's address for its token, as the reference client sends it. Everybody knows addresses, so the
    /// server starts this way only where it listens to its own machine alone.
    pub address_tokens: bool,
}

/// Without the value that lifts quotas.
impl std::fmt::Debug for AccountPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountPolicy").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whom a failure is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Failing {
    Address(IpAddr),
    Account(AccountAddress),
}

/// Decides about accounts; shared by all requests.
pub(crate) struct Access {
    pub(crate) policy: AccountPolicy,
    pub(crate) logins: Option<LoginDesk>,
    requests: Rates<AccountAddress>,
    failures: Rates<Failing>,
}

impl Access {
    pub(crate) fn new(policy: AccountPolicy, logins: Option<LoginDesk>, limits: &Limits) -> Self {
        let requests = Rates::new(limits.account_rate);
        Self { policy, logins, requests, failures: Rates::new(limits.failure_rate) }
    }

    /// Counts a request of an account.
    ///
    /// # Errors
    /// How long the account has to wait.
    pub(crate) fn count(&self, account: &AccountAddress) -> Result<(), Duration> {
        self.requests.take(account.clone(), Instant::now())
    }

    /// Counts a wrong token or a failed login. What is right is never refused for the failures of others: nobody can be
    /// locked out, and secrets of 256 bits are not found by trying.
    ///
    /// # Errors
    /// How long to wait before the next attempt.
    pub(crate) fn count_failure(&self, peer: Peer, account: Option<&AccountAddress>) -> Result<(), Duration> {
        let now = Instant::now();
        let of_address = self.failures.take(Failing::Address(peer.counted()), now);
        let of_account = account.map_or(Ok(()), |account| self.failures.take(Failing::Account(account.clone()), now));
        of_address.and(of_account)
    }

    /// Whether a request brings the value that lifts its quota.
    pub(crate) fn lifts_quota(&self, header: Option<&[u8]>) -> bool {
        match (&self.policy.billing_bypass, header) {
            (Some(value), Some(header)) => value.as_bytes().ct_eq(header).into(),
            _ => false,
        }
    }
}

/// Gives challenges and checks what comes back.
///
/// A challenge holds all that is needed to know it again, under a seal that only servers of this storage can make: giving
/// one out costs no memory, and any of the servers may be asked next. Only those that were used are remembered.
pub(crate) struct LoginDesk {
    name: String,
    key: [u8; 32],
}

/// A challenge that came back in time with a signature that fits.
pub(crate) struct Answered {
    pub(crate) nonce: [u8; 16],
    pub(crate) expires_at: i64,
}

impl LoginDesk {
    pub(crate) fn new(name: String, key: [u8; 32]) -> Self {
        Self { name, key }
    }

    /// A challenge for `account`; `nonce` is random.
    pub(crate) fn challenge(&self, account: &AccountAddress, nonce: [u8; 16], now: i64) -> Challenge {
        let expires_at = after(now, CHALLENGE_LIFETIME);
        let mut bytes = [0; CHALLENGE_BYTES];
        bytes[..16].copy_from_slice(&nonce);
        bytes[16..24].copy_from_slice(&expires_at.to_le_bytes());
        let seal = self.seal(&bytes[..24], account);
        bytes[24..].copy_from_slice(&seal);
        Challenge { challenge: hex::encode(bytes), server: self.name.clone(), expires_at }
    }

    /// Checks a login; `None` whatever is wrong with it. The signature is looked at in any case, so a failure takes the
    /// same time.
    pub(crate) fn check(&self, login: &Login, now: i64) -> Option<Answered> {
        let signed = verify_login(&self.name, login).is_ok();
        let mut bytes = [0; CHALLENGE_BYTES];
        hex::decode_to_slice(&login.challenge, &mut bytes).ok()?;
        let sealed = bool::from(self.seal(&bytes[..24], &login.ss58_address).ct_eq(&bytes[24..]));
        let (mut nonce, mut expires_at) = ([0; 16], [0; 8]);
        nonce.copy_from_slice(&bytes[..16]);
        expires_at.copy_from_slice(&bytes[16..24]);
        let expires_at = i64::from_le_bytes(expires_at);
        (signed && sealed && now < expires_at).then_some(Answered { nonce, expires_at })
    }

    fn seal(&self, head: &[u8], account: &AccountAddress) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(head).update(account.public_key()).update(self.name.as_bytes());
        *hasher.finalize().as_bytes()
    }
}
