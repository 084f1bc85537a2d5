//! The server: whether it answers, what time it has, and whether it takes the token.

use hcfs_api::{ErrorCode, Paths, SCHEMA, ServerTest, Trouble, quantity};
use hcfs_engine::Clock;
use hcfs_model::AccountAddress;
use hcfs_remote::{RemoteError, RemoteErrorKind};

use super::{Found, WITHIN};
use crate::config::{Config, Environment};
use crate::supervise::{BoxError, Connect, ServerAt, kept_token};

/// More seconds between two clocks than this are worth a word: links that are signed for a time, and the times that
/// conflicts show, begin to be wrong.
const SKEW: u64 = 120;

/// Asks the server, within seconds. Without `at` only whether it answers.
pub(crate) async fn test_server(
    connect: &dyn Connect,
    url: &str,
    at: Option<&ServerAt>,
    clock: &dyn Clock,
) -> ServerTest {
    let mut test = ServerTest {
        schema: SCHEMA,
        url: url.to_owned(),
        reachable: false,
        accepted: None,
        clock_ahead_seconds: None,
        trouble: None,
    };
    match within(connect.time(url)).await {
        Ok(time) => {
            test.reachable = true;
            test.clock_ahead_seconds = time.map(|time| time.seconds().saturating_sub(clock.now().seconds()));
        }
        Err(error) => {
            test.trouble = Some(trouble(&error));
            return test;
        }
    }
    let Some(at) = at else { return test };
    let asked = match connect.connect(at) {
        Ok(remote) => within(async { remote.folders().await.map_err(BoxError::from) }).await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(_) => test.accepted = Some(true),
        Err(error) => {
            let trouble = trouble(&error);
            test.accepted = (trouble.code == ErrorCode::Unauthorised).then_some(false);
            test.trouble = Some(trouble);
        }
    }
    test
}

async fn within<T>(asked: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    tokio::time::timeout(WITHIN, asked).await.unwrap_or_else(|_| {
        let silent = format!("no answer within {} s", WITHIN.as_secs());
        Err(RemoteError::new(RemoteErrorKind::Unavailable, "the server", silent).into())
    })
}

fn trouble(error: &BoxError) -> Trouble {
    let Some(error) = error.downcast_ref::<RemoteError>() else {
        let hint = "check `url` and `token` in [server]".to_owned();
        return Trouble { code: ErrorCode::Config, message: error.to_string(), hint };
    };
    let code = match &error.kind {
        RemoteErrorKind::Unauthorized | RemoteErrorKind::Forbidden => ErrorCode::Unauthorised,
        RemoteErrorKind::NotHcfs | RemoteErrorKind::Local => ErrorCode::Config,
        RemoteErrorKind::OverQuota { .. } => ErrorCode::OverQuota,
        _ => ErrorCode::Offline,
    };
    Trouble { code, message: error.to_string(), hint: error.hint().to_owned() }
}

/// Asks the server that is configured, for want of a daemon that could.
pub(super) async fn look(
    found: &mut Found,
    connect: &dyn Connect,
    paths: &Paths,
    env: &Environment,
    config: &Config,
    account: Option<AccountAddress>,
    clock: &dyn Clock,
) {
    let Some(url) = &config.server.url else {
        return found.ok("server", "the embedded one, which runs with the daemon");
    };
    let token = match &config.server.token {
        Some(place) => match place.token(env) {
            Ok(token) => Some(token),
            Err(error) => {
                found.fail("token", error.to_string(), error.hint());
                None
            }
        },
        None => account.as_ref().and_then(|account| kept_token(paths, url, account)),
    };
    let at = account.zip(token).map(|(account, token)| ServerAt {
        url: url.clone(),
        account,
        token,
        upload: config.limits.upload,
        download: config.limits.download,
    });
    report(found, &test_server(connect, url, at.as_ref(), clock).await);
}

/// What the test says, a line for each thing.
pub(super) fn report(found: &mut Found, test: &ServerTest) {
    let trouble = |fallback: &str| match &test.trouble {
        Some(trouble) => (trouble.message.clone(), trouble.hint.clone()),
        None => (fallback.to_owned(), String::new()),
    };
    if !test.reachable {
        let (message, hint) = trouble("it cannot be reached");
        return found.fail("server", format!("\"{}\": {message}", test.url), hint);
    }
    found.ok("server", format!("\"{}\" answers", test.url));
    match test.clock_ahead_seconds {
        Some(ahead) if ahead.unsigned_abs() > SKEW => {
            let side = if ahead > 0 { "behind" } else { "ahead of" };
            let message =
                format!("this machine's clock is {} {side} the server's", quantity::span(ahead.unsigned_abs()));
            found.warn("clock", message, "set the clock, or let it be kept: `timedatectl set-ntp true`");
        }
        Some(_) => found.ok("clock", "as the server's"),
        None => {}
    }
    match (test.accepted, &test.trouble) {
        (Some(true), _) => found.ok("token", "the server takes it"),
        (Some(false), _) => {
            let (message, hint) = trouble("the server does not take it");
            found.fail("token", message, hint);
        }
        (None, Some(trouble)) => found.fail("token", trouble.message.clone(), trouble.hint.clone()),
        (None, None) => {}
    }
}
