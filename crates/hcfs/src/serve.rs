//! `hcfs server`: serving, and the tokens.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use hcfs_cli::args::{GlobalOptions, ServerCommand, ServerOptions, TokenCommand};
use hcfs_cli::{ErrorCode, ExitCode, Paths, Terminal};
use hcfs_server::{Server, ServerConfig, Storage, tokens};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Failure, Outcome};

/// Carries out `hcfs server …`.
pub(crate) async fn carry_out(
    options: &ServerOptions,
    global: &GlobalOptions,
    paths: &Paths,
    terminal: &mut Terminal,
) -> Outcome {
    let data = options.data.clone().unwrap_or_else(|| paths.server_data.clone());
    match &options.command {
        None => serve(options, data, terminal).await,
        Some(ServerCommand::Token(command)) => token(command, data, global, terminal).await,
    }
}

async fn serve(options: &ServerOptions, data: PathBuf, terminal: &mut Terminal) -> Outcome {
    let listen = options.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let no_signals = |error| Failure::new(ErrorCode::Io, format!("signals cannot be heard: {error}"), "");
    let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(no_signals)?;
    let server = Server::start(ServerConfig::new(data, listen)).await.map_err(Failure::server)?;
    if options.print_address {
        terminal.out(&format!("http://{}\n", server.address()))?;
    } else {
        terminal.err(&format!("serving at http://{}\n", server.address()));
    }
    tell_manager(NotifyState::Ready);
    let code = tokio::select! {
        _ = interrupted.recv() => ExitCode::Interrupted,
        _ = terminated.recv() => ExitCode::Done,
        () = feed_watchdog() => ExitCode::Done,
    };
    tell_manager(NotifyState::Stopping);
    server.shutdown().await.map_err(Failure::server)?;
    Ok(code)
}

/// Tells the service manager, if one started this process.
fn tell_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// Shows the service manager that the runtime still runs; never ends.
async fn feed_watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut beat = tokio::time::interval(limit / 3);
    loop {
        beat.tick().await;
        tell_manager(NotifyState::Watchdog);
    }
}

async fn token(command: &TokenCommand, data: PathBuf, global: &GlobalOptions, terminal: &mut Terminal) -> Outcome {
    let storage = Storage::local(data);
    let text = match command {
        TokenCommand::Create(create) => tokens::create(&storage, &create.account, &create.label)
            .await
            .map(|token| if global.json { object("token", &token) } else { format!("{token}\n") }),
        TokenCommand::List(list) => tokens::list(&storage, &list.account).await.map(|rows| listed(&rows, global.json)),
        TokenCommand::Revoke(revoke) => tokens::revoke(&storage, &revoke.account, &revoke.id)
            .await
            .map(|()| if global.json { object("revoked", &revoke.id) } else { String::new() }),
    };
    terminal.out(&text.map_err(Failure::server)?)?;
    Ok(ExitCode::Done)
}

fn object(key: &str, value: &str) -> String {
    format!("{}\n", hcfs_cli::json_object(&[(key, value.into())]))
}

fn listed(rows: &[tokens::TokenRow], json: bool) -> String {
    let mut text = String::new();
    for row in rows {
        if json {
            let fields = [
                ("id", row.id.as_str().into()),
                ("label", row.label.as_str().into()),
                ("created_at", row.created_at.into()),
            ];
            text.push_str(&hcfs_cli::json_object(&fields));
        } else {
            text.push_str(&format!("{}  {}", row.id, row.label));
        }
        text.push('\n');
    }
    text
}
