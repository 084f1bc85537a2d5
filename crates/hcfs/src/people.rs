//! `hcfs server token`, `account`, `invitation`, `publish` and `withdraw`: who may use a server, and see what is in it.

use std::time::Duration;

use hcfs_cli::args::{AccountCommand, GlobalOptions, InvitationCommand, PublishOptions, TokenCommand};
use hcfs_cli::{ExitCode, Terminal};
use hcfs_server::accounts::{self, AccountRow};
use hcfs_server::{Storage, publications, tokens};

use crate::failure::{Failure, Outcome};

/// Carries out `hcfs server token …`.
pub(crate) async fn token(
    command: &TokenCommand,
    storage: &Storage,
    global: &GlobalOptions,
    terminal: &mut Terminal,
) -> Outcome {
    let text = match command {
        TokenCommand::Create(create) => {
            let token = match create.days {
                Some(lifetime) => tokens::create_for(storage, &create.account, &create.label, days(lifetime)).await,
                None => tokens::create(storage, &create.account, &create.label).await,
            };
            token.map(|token| shown("token", &token, global.json))
        }
        TokenCommand::List(list) => tokens::list(storage, &list.account).await.map(|rows| {
            rows.iter()
                .map(|row| issued_line(&row.id, &row.label, row.created_at, row.expires_at, global.json))
                .collect()
        }),
        TokenCommand::Revoke(revoke) => tokens::revoke(storage, &revoke.account, &revoke.id)
            .await
            .map(|()| done("revoked", &revoke.id, global.json)),
    };
    terminal.out(&text.map_err(Failure::server)?)?;
    Ok(ExitCode::Done)
}

/// Carries out `hcfs server account …`.
pub(crate) async fn account(
    command: &AccountCommand,
    storage: &Storage,
    global: &GlobalOptions,
    terminal: &mut Terminal,
) -> Outcome {
    let text = match command {
        AccountCommand::Add(add) => {
            accounts::add(storage, &add.account).await.map(|()| done("added", add.account.as_str(), global.json))
        }
        AccountCommand::Close(close) => {
            accounts::close(storage, &close.account).await.map(|()| done("closed", close.account.as_str(), global.json))
        }
        AccountCommand::Quota(quota) => accounts::set_quota(storage, &quota.account, quota.bytes)
            .await
            .map(|()| done("changed", quota.account.as_str(), global.json)),
        AccountCommand::List => {
            let mut told = Ok(());
            let show = |page: &[AccountRow]| {
                let text: String = page.iter().map(|row| account_line(row, global.json)).collect();
                if told.is_ok() {
                    told = terminal.out(&text);
                }
            };
            let listed = accounts::list(storage, show).await;
            told?;
            listed.map(|()| String::new())
        }
    };
    terminal.out(&text.map_err(Failure::server)?)?;
    Ok(ExitCode::Done)
}

/// Carries out `hcfs server invitation …`.
pub(crate) async fn invitation(
    command: &InvitationCommand,
    storage: &Storage,
    global: &GlobalOptions,
    terminal: &mut Terminal,
) -> Outcome {
    let text = match command {
        InvitationCommand::Create(create) => accounts::invite(storage, &create.label, days(create.days))
            .await
            .map(|code| shown("invitation", &code, global.json)),
        InvitationCommand::List => accounts::invitations(storage).await.map(|rows| {
            rows.iter()
                .map(|row| issued_line(&row.id, &row.label, row.created_at, Some(row.expires_at), global.json))
                .collect()
        }),
        InvitationCommand::Withdraw(withdraw) => {
            accounts::withdraw(storage, &withdraw.id).await.map(|()| done("withdrawn", &withdraw.id, global.json))
        }
    };
    terminal.out(&text.map_err(Failure::server)?)?;
    Ok(ExitCode::Done)
}

/// Carries out `hcfs server publish`: prints the hash that the blob can be fetched by.
pub(crate) async fn publish(
    file: &PublishOptions,
    storage: &Storage,
    global: &GlobalOptions,
    terminal: &mut Terminal,
) -> Outcome {
    let hash =
        publications::publish(storage, &file.account, &file.folder, &file.path).await.map_err(Failure::server)?;
    terminal.out(&shown("published", &hash.to_hex(), global.json))?;
    Ok(ExitCode::Done)
}

/// Carries out `hcfs server withdraw`.
pub(crate) async fn withdraw(
    file: &PublishOptions,
    storage: &Storage,
    global: &GlobalOptions,
    terminal: &mut Terminal,
) -> Outcome {
    let hash =
        publications::withdraw(storage, &file.account, &file.folder, &file.path).await.map_err(Failure::server)?;
    terminal.out(&done("withdrawn", &hash.to_hex(), global.json))?;
    Ok(ExitCode::Done)
}

/// So many days.
pub(crate) fn days(count: u32) -> Duration {
    Duration::from_hours(24 * u64::from(count))
}

/// What the command is for: the bare text, so that it can go to a file.
fn shown(key: &str, value: &str, json: bool) -> String {
    if json { done(key, value, json) } else { format!("{value}\n") }
}

fn done(key: &str, value: &str, json: bool) -> String {
    if json { format!("{}\n", hcfs_cli::json_object(&[(key, value.into())])) } else { String::new() }
}

/// A token or an invitation; times in Unix seconds.
fn issued_line(id: &str, label: &str, created_at: i64, expires_at: Option<i64>, json: bool) -> String {
    if !json {
        return format!("{id}  {label}\n");
    }
    let fields = [
        ("id", id.into()),
        ("label", label.into()),
        ("created_at", created_at.into()),
        ("expires_at", expires_at.into()),
    ];
    format!("{}\n", hcfs_cli::json_object(&fields))
}

fn account_line(row: &AccountRow, json: bool) -> String {
    if !json {
        let closed = if row.closed { "  closed" } else { "" };
        return format!("{}  {} files  {} bytes{closed}\n", row.account, row.file_count, row.total_bytes);
    }
    let fields = [
        ("account", row.account.as_str().into()),
        ("created_at", row.created_at.into()),
        ("closed", row.closed.into()),
        ("quota", row.quota.into()),
        ("total_bytes", row.total_bytes.into()),
        ("file_count", row.file_count.into()),
    ];
    format!("{}\n", hcfs_cli::json_object(&fields))
}
