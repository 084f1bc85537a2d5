//! Login with the account's key, and the tokens an account has.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use hcfs_wire::{ChallengeRequest, ErrorCode, LoggedIn, Login, TokenEntry, TokenRevoked, Tokens, limits};

use super::missing;
use crate::access::{Answered, LoginDesk};
use crate::accounts::invitation;
use crate::answer::{Answer, Failure, success};
use crate::body::read_json;
use crate::caller::{Caller, Segments};
use crate::metadata::{Admission, NewLogin, NewToken, PresentedToken};
use crate::peer::Peer;
use crate::stores::{Stores, random};
use crate::tokens::{self, after, kept_label};

/// Bytes of a login as JSON at most.
const MAX_LOGIN_BODY: usize = 8 * 1024;

pub(super) async fn challenge(State(stores): State<Arc<Stores>>, body: Body) -> Answer {
    let request: ChallengeRequest = read_json(body, MAX_LOGIN_BODY).await?;
    let challenge = desk(&stores)?.challenge(&request.ss58_address, random()?, stores.clock.seconds());
    Ok(success(challenge))
}

/// Gives a token for a signed challenge. Whatever is wrong with the login, whether the account is known or not, the
/// answer is the same, until it is proven that the account itself asks.
pub(super) async fn login(State(stores): State<Arc<Stores>>, peer: Peer, body: Body) -> Answer {
    let login: Login = read_json(body, MAX_LOGIN_BODY).await?;
    let now = stores.clock.seconds();
    let Some(answered) = desk(&stores)?.check(&login, now) else { return Err(refused(&stores, peer, &login)) };
    let fresh =
        tokens::fresh().map_err(|_| Failure::new(ErrorCode::Unavailable, "the server has no random numbers"))?;
    let new = new_login(&stores, &login, &answered, fresh.kept.clone(), now);
    let expires_at = new.token.expires_at;
    let refusal = match stores.metadata.log_in(new).await? {
        Admission::Admitted => {
            tracing::info!(peer = %peer.0, "an account logged in");
            return Ok(success(LoggedIn { token: fresh.text, token_id: hex::encode(fresh.kept.selector), expires_at }));
        }
        Admission::Spent => return Err(refused(&stores, peer, &login)),
        Admission::Unknown => "this server does not know the account; it takes an invitation to come in",
        Admission::Closed => "the account is closed on this server",
        Admission::TooManyTokens => "the account has too many tokens; end some first",
    };
    stores.access.count_failure(peer, Some(&login.ss58_address)).map_err(Failure::too_often)?;
    Err(Failure::new(ErrorCode::Forbidden, refusal))
}

/// The tokens of the account that asks.
pub(super) async fn list(State(stores): State<Arc<Stores>>, caller: Caller) -> Answer {
    let rows = stores.metadata.list_tokens(caller.account.clone()).await?;
    let current = caller.token.map(hex::encode);
    let tokens = rows.into_iter().map(|row| TokenEntry {
        current: Some(&row.id) == current.as_ref(),
        id: row.id,
        label: row.label,
        created_at: row.created_at,
        expires_at: row.expires_at,
    });
    Ok(success(Tokens { tokens: tokens.take(limits::MAX_TOKENS).collect() }))
}

/// Ends a token of the account that asks: the one it asks with, too.
pub(super) async fn revoke(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Answer {
    let selector = tokens::selector(&id).ok_or_else(|| missing("token"))?;
    if stores.metadata.revoke_token(caller.account, selector).await? {
        Ok(success(TokenRevoked { revoked: id }))
    } else {
        Err(missing("token"))
    }
}

fn desk(stores: &Stores) -> Result<&LoginDesk, Failure> {
    stores.access.logins.as_ref().ok_or_else(|| missing("way to log in: this server has no name that clients know"))
}

fn refused(stores: &Stores, peer: Peer, login: &Login) -> Failure {
    match stores.access.count_failure(peer, Some(&login.ss58_address)) {
        Ok(()) => Failure::new(ErrorCode::Unauthorized, "the login is not signed by the account, or came too late"),
        Err(wait) => Failure::too_often(wait),
    }
}

fn new_login(stores: &Stores, login: &Login, answered: &Answered, token: PresentedToken, now: i64) -> NewLogin {
    let policy = &stores.access.policy;
    NewLogin {
        token: NewToken {
            account: login.ss58_address.clone(),
            token,
            label: kept_label(&login.label),
            now,
            expires_at: policy.token_lifetime.map(|lifetime| after(now, lifetime)),
        },
        nonce: answered.nonce,
        nonce_expires_at: answered.expires_at,
        invitation: login.invitation.as_deref().and_then(invitation),
        open_to_all: policy.open_registration,
        max_tokens: limits::MAX_TOKENS as u64,
    }
}
