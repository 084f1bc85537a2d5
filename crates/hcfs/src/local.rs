//! Commands that need no running daemon: `up`, `init`, `daemon`, `doctor`, `key`, and the ways to those with files of
//! their own.

use std::path::Path;
use std::sync::Arc;

use hcfs_cli::args::{GlobalOptions, InitOptions, KeyCommand, LocalCommand, UpOptions};
use hcfs_cli::{ErrorCode, ExitCode, Paths, Terminal};
use hcfs_daemon::identity::{self, PhraseSource, Shown};
use hcfs_daemon::secret::{SecretPlace, Unlock};
use hcfs_daemon::setup::{NewFolder, Ready, Setup, change_unlock, set_up};
use hcfs_daemon::{Ask, Config, Daemon, DaemonError, Ended, Environment, OnLocked, Options};

use crate::embedded::Embedded;
use crate::failure::{Failure, Outcome};
use crate::{VERSION, doctor, fetch, serve, service};

/// Carries out a command.
pub(crate) async fn carry_out(
    command: &LocalCommand,
    global: &GlobalOptions,
    env: &Environment,
    terminal: &mut Terminal,
) -> Outcome {
    // Not known where nobody is at home, which is nothing to a server or to a service for somebody else.
    let paths = || global.paths(&|name| env(name)).map_err(Failure::paths);
    match command {
        LocalCommand::Up(options) => up(options, global, paths()?, env, terminal).await,
        LocalCommand::Init(options) => init(options, global, paths()?, env, terminal).await,
        LocalCommand::Doctor => doctor::carry_out(global, &paths()?, env, terminal).await,
        LocalCommand::Daemon => daemon(paths()?, env).await,
        LocalCommand::Service(command) => service::carry_out(command, global, env, terminal).await,
        LocalCommand::Key(command) => key(command.clone(), global, paths()?, env, terminal).await,
        LocalCommand::Fetch(options) => fetch::carry_out(options, global, &paths()?, env, terminal).await,
        LocalCommand::Server(options) => {
            let data = match &options.data {
                Some(data) => data.clone(),
                None => paths()?.server_data,
            };
            serve::carry_out(options, data, global, terminal).await
        }
    }
}

/// Makes what is missing, keeps the folder in step, and shows how that goes until it is interrupted.
async fn up(
    options: &UpOptions,
    global: &GlobalOptions,
    paths: Paths,
    env: &Environment,
    terminal: &mut Terminal,
) -> Outcome {
    let folder = options.dir.as_ref().map(|dir| NewFolder { path: dir.clone(), label: None, create: true });
    let ready = first_run(setup_of(folder), &paths, env).await?;
    if ready.config.folders.is_empty() {
        return Err(Failure::new(ErrorCode::BadFolder, "no folder is configured", "name one: hcfs up DIR"));
    }
    let daemon_options = Options {
        on_locked: OnLocked::Fail,
        foreground: true,
        ask: Some(Box::new(hcfs_daemon::Terminal)),
        ..Options::service(paths.clone(), Arc::clone(env), VERSION)
    };
    let embedded = Arc::new(Embedded::default());
    let mut daemon = Daemon::start(ready.config, daemon_options, Some(embedded)).await.map_err(Failure::daemon)?;
    let ended = tokio::select! {
        ended = daemon.wait() => Ok(ended),
        shown = hcfs_cli::show_live(&paths.socket, terminal, global.quiet) => shown.map(|()| Ended::Terminated),
    };
    daemon.stop().await;
    Ok(code_of(ended?))
}

fn setup_of(folder: Option<NewFolder>) -> Setup {
    Setup { device: None, server: None, account: None, token: None, unlock: None, phrase: PhraseSource::New, folder }
}

fn code_of(ended: Ended) -> ExitCode {
    match ended {
        Ended::Interrupted => ExitCode::Interrupted,
        Ended::Terminated => ExitCode::Done,
    }
}

async fn init(
    options: &InitOptions,
    global: &GlobalOptions,
    paths: Paths,
    env: &Environment,
    terminal: &mut Terminal,
) -> Outcome {
    let wrong = |message: String| Failure::new(ErrorCode::BadRequest, message, "see `hcfs init --help`");
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| wrong(error.to_string()));
    let folder = options.folder.as_ref().map(|path| NewFolder {
        path: path.clone(),
        label: options.label.clone(),
        create: false,
    });
    let setup = Setup {
        device: options.device.clone(),
        server: options.server.clone(),
        account: options.account.clone(),
        token: options.token_file.as_deref().map(absolute).transpose()?.map(SecretPlace::File),
        unlock: options
            .unlock
            .as_deref()
            .map(Unlock::parse)
            .transpose()
            .map_err(|why| wrong(format!("--unlock {why}")))?,
        phrase: match &options.mnemonic_file {
            Some(path) => PhraseSource::from_file(path).map_err(Failure::daemon)?,
            None => PhraseSource::New,
        },
        folder,
    };
    let ready = first_run(setup, &paths, env).await?;
    if global.json {
        let mut fields = vec![("account", ready.account.as_str().into())];
        fields.extend(ready.label.as_ref().map(|label| ("label", label.as_str().into())));
        if let Shown::InFile(path) = &ready.shown {
            fields.push(("recovery_phrase", path.to_string_lossy().into_owned().into()));
        }
        terminal.out(&format!("{}\n", hcfs_cli::json_object(&fields)))?;
    } else if !global.quiet {
        let config = paths.config.display();
        let folder = ready.label.map_or_else(String::new, |label| format!("folder   {label}\n"));
        terminal.out(&format!("account  {}\n{folder}config   {config}\n", ready.account))?;
    }
    Ok(ExitCode::Done)
}

/// Does what is missing of a first run, on a thread that may block.
async fn first_run(setup: Setup, paths: &Paths, env: &Environment) -> Result<Ready, Failure> {
    let (paths, env) = (paths.clone(), Arc::clone(env));
    blocking(move || set_up(&paths, &env, &setup, &mut hcfs_daemon::Terminal)).await
}

async fn daemon(paths: Paths, env: &Environment) -> Outcome {
    let config = Config::load(&paths, env).map_err(Failure::daemon)?;
    let options =
        Options { ask: Some(Box::new(hcfs_daemon::Terminal)), ..Options::service(paths, Arc::clone(env), VERSION) };
    let mut daemon =
        Daemon::start(config, options, Some(Arc::new(Embedded::default()))).await.map_err(Failure::daemon)?;
    let ended = daemon.wait().await;
    daemon.stop().await;
    Ok(code_of(ended))
}

async fn key(
    command: KeyCommand,
    global: &GlobalOptions,
    paths: Paths,
    env: &Environment,
    terminal: &mut Terminal,
) -> Outcome {
    let env = Arc::clone(env);
    let json = global.json;
    let said = blocking::<_, DaemonError>(move || {
        let mut ask = hcfs_daemon::Terminal;
        let config = Config::load(&paths, &env)?;
        let open = |ask: &mut dyn Ask| identity::open(&paths, &config.unlock, &env, Some(ask));
        let account = |account: &str| {
            if json {
                format!("{}\n", hcfs_cli::json_object(&[("account", account.into())]))
            } else {
                format!("{account}\n")
            }
        };
        match command {
            KeyCommand::ShowAccount => {
                let phrase = open(&mut ask)?;
                let shown = config.server.account.clone().unwrap_or_else(|| phrase.account());
                Ok(account(shown.as_str()))
            }
            KeyCommand::ExportMnemonic => {
                let phrase = open(&mut ask)?;
                identity::show(&paths, &phrase, &mut ask)?;
                Ok(String::new())
            }
            KeyCommand::ChangePassword => {
                change_unlock(&paths, &env, &Unlock::Prompt, &mut ask)?;
                Ok(String::new())
            }
            KeyCommand::Import(import) => {
                let source = match &import.mnemonic_file {
                    Some(path) => PhraseSource::from_file(path)?,
                    None => {
                        PhraseSource::Import(ask.password("The 24 words: ").map_err(identity::IdentityError::from)?)
                    }
                };
                let made = identity::set_up(&paths, &source, &config.unlock, &env, &mut ask)?;
                Ok(account(made.phrase.account().as_str()))
            }
        }
    });
    terminal.out(&said.await?)?;
    Ok(ExitCode::Done)
}

/// Runs what asks, derives keys or waits for other programs on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static, E: Into<Failure> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(error) => Err(Failure::new(ErrorCode::Internal, error.to_string(), "please report this")),
    }
}
