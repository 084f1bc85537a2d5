//! `hcfs server`: serving.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;

use hcfs_cli::args::{GlobalOptions, ServeOptions, ServerCommand, ServerOptions};
use hcfs_cli::{ErrorCode, ExitCode, Terminal};
use hcfs_server::{AccountPolicy, RunningServer, Server, ServerConfig, ServerError, Storage, TlsFiles};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::care;
use crate::failure::{Failure, Outcome};
use crate::handed;
use crate::people::{self, days};

/// Carries out `hcfs server …` on the files in `data`.
pub(crate) async fn carry_out(
    options: &ServerOptions,
    data: PathBuf,
    global: &GlobalOptions,
    terminal: &mut Terminal,
) -> Outcome {
    let storage = storage(options, data).map_err(Failure::server)?;
    match &options.command {
        None => serve(options, storage, terminal).await,
        Some(ServerCommand::Token(command)) => people::token(command, &storage, global, terminal).await,
        Some(ServerCommand::Account(command)) => people::account(command, &storage, global, terminal).await,
        Some(ServerCommand::Invitation(command)) => people::invitation(command, &storage, global, terminal).await,
        Some(ServerCommand::Gc(gc)) => care::gc(gc, &storage, global, terminal).await,
        Some(ServerCommand::Check(check)) => care::check(check, &storage, global, terminal).await,
        Some(ServerCommand::Publish(file)) => people::publish(file, &storage, global, terminal).await,
        Some(ServerCommand::Withdraw(file)) => people::withdraw(file, &storage, global, terminal).await,
        Some(ServerCommand::Stats) => care::stats(&storage, global, terminal).await,
    }
}

/// Where the server keeps what it stores.
fn storage(options: &ServerOptions, data: PathBuf) -> Result<Storage, ServerError> {
    let mut storage = Storage::local(data);
    if let Some(url) = &options.storage.database {
        storage = storage.with_database(url)?;
    }
    if let Some(url) = &options.storage.blobs {
        storage = storage.with_blobs(url)?;
    }
    Ok(storage)
}

async fn serve(options: &ServerOptions, storage: Storage, terminal: &mut Terminal) -> Outcome {
    let no_signals = |error| Failure::new(ErrorCode::Io, format!("signals cannot be heard: {error}"), "");
    let mut interrupted = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut reload = signal(SignalKind::hangup()).map_err(no_signals)?;
    let handed = handed::listener(options.listen)?;
    let config = configuration(options, storage)?;
    let server = match handed {
        Some(listener) => Server::start_at(listener, config).await,
        None => Server::start(config).await,
    };
    let server = server.map_err(Failure::server)?;
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

fn configuration(options: &ServerOptions, storage: Storage) -> Result<ServerConfig, Failure> {
    let listen = options.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let serve = &options.serve;
    let mut config = ServerConfig { storage, ..ServerConfig::new(PathBuf::new(), listen) };
    config.tls =
        serve.tls_cert.clone().zip(serve.tls_key.clone()).map(|(certificate, key)| TlsFiles { certificate, key });
    config.metrics = serve.metrics;
    for text in &serve.trust_proxy {
        let network = text.parse().map_err(|error| {
            Failure::new(ErrorCode::BadRequest, format!("--trust-proxy {text}: {error}"), "see: hcfs server --help")
        })?;
        config.trusted_proxies.push(network);
    }
    config.accounts = policy(serve)?;
    Ok(config)
}

fn policy(serve: &ServeOptions) -> Result<AccountPolicy, Failure> {
    let billing_bypass = serve.billing_bypass_file.as_ref().map(|path| {
        let value = std::fs::read_to_string(path).map(|text| text.trim().to_owned());
        value.map_err(|error| {
            let message = format!("\"{}\" cannot be read: {error}", path.display());
            Failure::new(ErrorCode::Io, message, "the file holds the value of X-Billing-Bypass")
        })
    });
    Ok(AccountPolicy {
        name: serve.name.clone(),
        open_registration: serve.open_registration,
        token_lifetime: serve.token_days.map(days),
        quota_bytes: serve.quota,
        billing_bypass: billing_bypass.transpose()?.filter(|value| !value.is_empty()),
        address_tokens: serve.address_tokens,
    })
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
