//! `hcfs server`: serving, and the tokens.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;

use hcfs_cli::args::{GlobalOptions, ServerCommand, ServerOptions, TokenCommand};
use hcfs_cli::{ErrorCode, ExitCode, Paths, Terminal};
use hcfs_server::{RunningServer, Server, ServerConfig, Storage, TlsFiles, tokens};
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
    let no_signals = |error| Failure::new(ErrorCode::Io, format!("signals cannot be heard: {error}"), "");
    let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut reload = signal(SignalKind::hangup()).map_err(no_signals)?;
    let server = Server::start(configuration(options, data)?).await.map_err(Failure::server)?;
    let scheme = if options.serve.tls_cert.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", server.address());
    if options.print_address {
        terminal.out(&format!("{url}\n"))?;
    } else {
        terminal.err(&format!("serving at {url}\n"));
    }
    tell_manager(NotifyState::Ready);
    let mut watchdog = pin!(feed_watchdog());
    let code = loop {
        tokio::select! {
            _ = interrupted.recv() => break ExitCode::Interrupted,
            _ = terminated.recv() => break ExitCode::Done,
            _ = reload.recv() => read_again(&server),
            () = &mut watchdog => break ExitCode::Done,
        }
    };
    tell_manager(NotifyState::Stopping);
    server.shutdown().await.map_err(Failure::server)?;
    Ok(code)
}

fn configuration(options: &ServerOptions, data: PathBuf) -> Result<ServerConfig, Failure> {
    let listen = options.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let serve = &options.serve;
    let mut config = ServerConfig::new(data, listen);
    config.tls =
        serve.tls_cert.clone().zip(serve.tls_key.clone()).map(|(certificate, key)| TlsFiles { certificate, key });
    config.metrics = serve.metrics;
    for text in &serve.trust_proxy {
        let network = text.parse().map_err(|error| {
            Failure::new(ErrorCode::BadRequest, format!("--trust-proxy {text}: {error}"), "see: hcfs server --help")
        })?;
        config.trusted_proxies.push(network);
    }
    Ok(config)
}

/// Answers SIGHUP: the certificate comes from its files again. The running server goes on whatever they hold.
fn read_again(server: &RunningServer) {
    tell_manager(NotifyState::Reloading);
    match server.reload_certificate() {
        Ok(true) => tracing::info!("the certificate was read again"),
        Ok(false) => tracing::info!("there is no certificate to read again"),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the certificate read before stays in use");
        }
    }
    tell_manager(NotifyState::Ready);
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
