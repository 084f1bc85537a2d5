//! `hcfs service`: what systemd is told, and how the service fares.

use std::path::Path;
use std::sync::Arc;

use hcfs_cli::args::{GlobalOptions, ServiceCommand, ServiceScope};
use hcfs_cli::render::{plain, span};
use hcfs_cli::{ExitCode, Terminal};
use hcfs_daemon::Environment;
use hcfs_daemon::service::{Host, Scope, Service, ServiceError, ServiceStatus};

use crate::failure::Outcome;
use crate::local::blocking;

/// Carries out `hcfs service …`.
pub(crate) async fn carry_out(
    command: &ServiceCommand,
    global: &GlobalOptions,
    env: &Environment,
    terminal: &mut Terminal,
) -> Outcome {
    let (options, given) = (global.clone(), Arc::clone(env));
    let env: Environment = Arc::new(move |name| options.variable(name, &|name| given(name)));
    match command {
        ServiceCommand::Install(scope) => install(scope, env, global, terminal).await,
        ServiceCommand::Uninstall(scope) => uninstall(scope, env, global, terminal).await,
        ServiceCommand::Status(scope) => status(scope, env, global, terminal).await,
    }
}

async fn install(scope: &ServiceScope, env: Environment, global: &GlobalOptions, terminal: &mut Terminal) -> Outcome {
    let asked = chosen(scope);
    let (service, status) = blocking(move || {
        let service = opened(&asked, env)?;
        let status = service.install()?;
        Ok::<_, ServiceError>((service, status))
    })
    .await?;
    if global.json {
        terminal.out(&json(service.name(), scope, &status))?;
    } else if !global.quiet {
        terminal.out(&format!("{} is active: {}\n", service.name(), said(&status.says)))?;
        let next = if scope.system {
            format!("talk to it as its user: hcfs --socket {} status\n", service.paths().socket.display())
        } else {
            "it runs while you are logged in; to keep it running: loginctl enable-linger\n".to_owned()
        };
        terminal.err(&next);
    }
    Ok(ExitCode::Done)
}

async fn uninstall(scope: &ServiceScope, env: Environment, global: &GlobalOptions, terminal: &mut Terminal) -> Outcome {
    let asked = chosen(scope);
    let (name, removed) = blocking(move || {
        let service = opened(&asked, env)?;
        let removed = service.uninstall()?;
        Ok::<_, ServiceError>((service.name().to_owned(), removed))
    })
    .await?;
    if global.json {
        let removed: Vec<String> = removed.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let fields = [("unit", name.into()), ("removed", removed.into())];
        terminal.out(&format!("{}\n", hcfs_cli::json_object(&fields)))?;
    } else if !global.quiet {
        let mut text = format!("{name} is stopped and no longer starts; nothing else was touched\n");
        for path in removed {
            text.push_str(&format!("removed    {}\n", shown(&path)));
        }
        terminal.out(&text)?;
    }
    Ok(ExitCode::Done)
}

async fn status(scope: &ServiceScope, env: Environment, global: &GlobalOptions, terminal: &mut Terminal) -> Outcome {
    let asked = chosen(scope);
    let (name, status) = blocking(move || {
        let service = opened(&asked, env)?;
        let status = service.status()?;
        Ok::<_, ServiceError>((service.name().to_owned(), status))
    })
    .await?;
    if global.json {
        terminal.out(&json(&name, scope, &status))?;
    } else {
        terminal.out(&text(&name, &status, terminal.now() / 1000))?;
    }
    Ok(if status.state == "active" { ExitCode::Done } else { ExitCode::NoDaemon })
}

fn chosen(scope: &ServiceScope) -> Scope {
    if scope.system { Scope::System { user: scope.user.clone() } } else { Scope::User }
}

fn opened(scope: &Scope, env: Environment) -> Result<Service, ServiceError> {
    Service::new(scope, Host::this(env)?)
}

fn json(name: &str, scope: &ServiceScope, status: &ServiceStatus) -> String {
    let file = status.file.as_ref().map(|path| path.to_string_lossy().into_owned());
    let fields = [
        ("unit", name.into()),
        ("scope", if scope.system { "system" } else { "user" }.into()),
        ("installed", file.is_some().into()),
        ("file", file.into()),
        ("current", status.is_current.into()),
        ("enabled", status.is_enabled.into()),
        ("state", status.state.as_str().into()),
        ("since", status.since.map(|seconds| seconds.saturating_mul(1000)).into()),
        ("status", status.says.as_str().into()),
        ("pid", status.pid.into()),
    ];
    format!("{}\n", hcfs_cli::json_object(&fields))
}

fn text(name: &str, status: &ServiceStatus, now: i64) -> String {
    let mut lines = vec![("service", name.to_owned())];
    match &status.file {
        None => lines.push(("installed", "no: hcfs service install".to_owned())),
        Some(file) => {
            lines.push(("installed", shown(file)));
            match status.is_current {
                Some(true) => {}
                Some(false) => lines.push(("", "not as this version writes it: hcfs service install".to_owned())),
                None => lines.push(("", "the configuration it needs cannot be read".to_owned())),
            }
        }
    }
    lines.push(("enabled", if status.is_enabled { "yes" } else { "no" }.to_owned()));
    let since = status.since.map(|since| u64::try_from(now.saturating_sub(since)).unwrap_or(0));
    let since = since.map_or_else(String::new, |seconds| format!(" for {}", span(seconds)));
    lines.push(("state", format!("{}{since}", plain(&status.state))));
    if !status.says.is_empty() {
        lines.push(("says", said(&status.says)));
    }
    lines.iter().map(|(what, text)| format!("{what:<11}{text}\n")).collect()
}

fn said(text: &str) -> String {
    if text.is_empty() { "ready".to_owned() } else { plain(text).into_owned() }
}

fn shown(path: &Path) -> String {
    plain(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_says_what_is_wrong() {
        let mut status = ServiceStatus {
            file: Some("/etc/systemd/system/hcfs@.service".into()),
            is_current: Some(true),
            is_enabled: true,
            state: "active".into(),
            since: Some(1_000),
            says: "idle, 3 files in step".into(),
            pid: Some(7),
        };
        let shown = text("hcfs@ana.service", &status, 1_600);
        assert_eq!(
            shown,
            "service    hcfs@ana.service\ninstalled  /etc/systemd/system/hcfs@.service\nenabled    yes\n\
             state      active for 10 min\nsays       idle, 3 files in step\n"
        );
        status = ServiceStatus { is_current: Some(false), is_enabled: false, since: None, ..status };
        let shown = text("hcfs.service", &status, 1_600);
        assert!(shown.contains("\n           not as this version writes it: hcfs service install\nenabled    no\n"));
        status.file = None;
        assert!(text("hcfs.service", &status, 1_600).contains("\ninstalled  no: hcfs service install\n"));
        let printed = json("hcfs.service", &ServiceScope::default(), &status);
        assert!(printed.contains("\"installed\":false") && printed.contains("\"file\":null"), "{printed}");
    }
}
