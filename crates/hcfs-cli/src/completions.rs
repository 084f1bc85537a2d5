//! Scripts that let a shell complete the commands and their options.
//!
//! They are made from the arguments as they are read, so they cannot fall behind. Deliberately absent: completion of
//! labels and of files on the server, for which a shell would have to ask the daemon at every key.

use clap::{CommandFactory as _, ValueEnum as _};
use serde_json::json;

use crate::args::{CompletionsOptions, GlobalOptions, Invocation};
use crate::error::CliError;
use crate::terminal::Terminal;
use crate::{ExitCode, json_object};

/// Prints the script of a shell.
///
/// # Errors
/// Stdout cannot be written.
pub fn print_completions(
    asked: &CompletionsOptions,
    options: &GlobalOptions,
    terminal: &mut Terminal,
) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    let mut command = Invocation::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(asked.shell, &mut command, name, &mut script);
    if options.json {
        let shell = asked.shell.to_possible_value().map(|value| value.get_name().to_owned());
        let fields = [("shell", json!(shell)), ("script", String::from_utf8_lossy(&script).into())];
        terminal.out(&format!("{}\n", json_object(&fields)))?;
    } else {
        terminal.out_bytes(&script)?;
    }
    Ok(ExitCode::Done)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output, Stdio};

    use clap_complete::Shell;

    use super::*;

    fn script(shell: Shell) -> String {
        let (mut terminal, screen) = Terminal::scripted();
        let options = GlobalOptions::default();
        print_completions(&CompletionsOptions { shell }, &options, &mut terminal).unwrap();
        screen.take_out()
    }

    /// What a shell says of a script; `None` where the shell is not installed.
    fn given(program: &str, args: &[&str], input: &str) -> Option<Output> {
        use std::io::Write as _;
        let mut shell = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        shell.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Some(shell.wait_with_output().unwrap())
    }

    #[test]
    fn every_shell_gets_a_script_it_can_read() {
        for (shell, program, check) in
            [(Shell::Bash, "bash", "-n"), (Shell::Zsh, "zsh", "-n"), (Shell::Fish, "fish", "--no-execute")]
        {
            let script = script(shell);
            let Some(read) = given(program, &[check], &script) else {
                assert_ne!(program, "bash", "bash is part of every Debian");
                continue;
            };
            assert!(read.status.success(), "{program}: {}", String::from_utf8_lossy(&read.stderr));
        }
    }

    #[test]
    fn every_script_names_every_command() {
        for &shell in Shell::value_variants() {
            let script = script(shell);
            for command in Invocation::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn bash_completes_commands_options_and_values() {
        let script = script(Shell::Bash);
        for (words, found) in [
            (vec!["hcfs", "hol"], "holds"),
            (vec!["hcfs", "folder", "resu"], "resume"),
            (vec!["hcfs", "trash", "restore", "--la"], "--label"),
            (vec!["hcfs", "completions", "z"], "zsh"),
        ] {
            let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
            let ask = format!(
                "{script}\nCOMP_WORDS=({}); COMP_CWORD={}; _hcfs hcfs '{last}' '{before}'; echo \"${{COMPREPLY[@]}}\"",
                words.join(" "),
                words.len() - 1
            );
            let said = given("bash", &["--norc"], &ask).unwrap();
            assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), found, "{words:?}");
        }
    }

    #[test]
    fn the_script_as_json() {
        let (mut terminal, screen) = Terminal::scripted();
        let options = GlobalOptions { json: true, ..GlobalOptions::default() };
        print_completions(&CompletionsOptions { shell: Shell::Fish }, &options, &mut terminal).unwrap();
        let json: serde_json::Value = serde_json::from_str(&screen.take_out()).unwrap();
        assert_eq!((&json["schema"], &json["shell"]), (&1.into(), &"fish".into()));
        assert!(json["script"].as_str().unwrap().contains("complete -c hcfs"));
    }
}
