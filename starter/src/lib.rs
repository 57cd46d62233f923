//! The command line `recourse`: what people type, and what it prints.
//!
//! A command returns an [`Answer`] or a [`Failure`]. Only [`main`] prints, as text or as one JSON document. The doc comments of
//! the arguments are the help. The modules that read people's texts ([`files`], [`policy`], [`values`]) are public, so that
//! tests can feed them unusual texts.

mod act;
mod advance;
mod answer;
mod ask_back;
mod balance;
mod codec;
mod database;
mod demo;
mod dev;
mod evidence;
pub mod files;
mod free;
mod ledger;
mod list;
mod login;
mod money;
mod notices;
mod parts;
pub mod policy;
mod progress;
mod refunds;
mod sandbox;
mod senders;
mod serve;
mod setup;
mod show;
pub mod sim;
mod start;
mod submit;
pub mod values;
mod view;

use std::{future::Future, pin::Pin, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use recourse_client::{Client, Config};

use self::answer::{Answer, Failure};

/// Escrow refunds and disputes of fixed-price contracts, from the command line.
///
/// A client deposits money into escrow, the freelancer submits milestones, the client approves them, and the contract ends.
/// Then the held money goes where the rules say: to the freelancer, back to the client, or to both. Each case is a Temporal
/// workflow. This program starts cases, gives commands as one of the parties, and shows what happened by which rule.
///
/// New here? `recourse demo` plays nine stories in seconds. `recourse dev` starts everything to play by hand.
///
/// The standard variables (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, …) or `temporal.toml` name the Temporal server.
///
/// Exit codes: 0 done, 1 refused or not found, 2 usage, 3 the server or the database cannot be reached, 4 taken, but Recourse
/// is still trying to move the money, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "recourse", version, propagate_version = true, max_term_width = 110)]
struct Cli {
    /// Print one JSON document instead of text; messages go to stderr.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(setup::Setup),
    Deposit(start::Deposit),
    Submit(submit::Submit),
    End(start::End),
    Dispute(start::Dispute),
    AskBack(ask_back::AskBack),
    Act(Box<act::Act>),
    Show(show::Show),
    List(list::List),
    Ledger(ledger::Ledger),
    Balance(balance::Balance),
    Refunds(refunds::Refunds),
    Free(free::Free),
    Notices(notices::Notices),
    Policy(policy::PolicyArgs),
    Advance(advance::Advance),
    Sandbox(sandbox::Sandbox),
    Serve(Box<serve::Serve>),
    CodecServer(codec::CodecServer),
    PayloadKey(codec::PayloadKey),
    Dev(dev::Dev),
    Demo(demo::Demo),
    Sim(sim::Sim),
}

/// The place of the ledger.
#[derive(Debug, Clone, Args)]
struct DatabaseArg {
    /// The ledger's database.
    #[arg(
        long = "database",
        env = "RECOURSE_DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite:recourse.db",
        value_name = "URL"
    )]
    url: String,
}

/// Runs the program.
pub async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() && std::env::args().any(|argument| argument == "--json") {
                Failure::usage(error.kind().to_string()).print_json();
            }
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = cli.json;
    match run(cli).await {
        Ok(answer) => ExitCode::from(answer.print(json)),
        Err(failure) => {
            failure.print(json);
            ExitCode::from(failure.exit)
        }
    }
}

async fn run(cli: Cli) -> Result<Answer, Failure> {
    let json = cli.json;
    let running: Pin<Box<dyn Future<Output = Result<Answer, Failure>>>> = match cli.command {
        Command::Setup(setup) => Box::pin(setup.run()),
        Command::Deposit(deposit) => Box::pin(deposit.run()),
        Command::Submit(submit) => Box::pin(submit.run()),
        Command::End(end) => Box::pin(end.run()),
        Command::Dispute(dispute) => Box::pin(dispute.run()),
        Command::AskBack(ask_back) => Box::pin(ask_back.run()),
        Command::Act(act) => Box::pin(act.run()),
        Command::Show(show) => Box::pin(show.run()),
        Command::List(list) => Box::pin(list.run()),
        Command::Ledger(ledger) => Box::pin(ledger.run(json)),
        Command::Balance(balance) => Box::pin(balance.run()),
        Command::Refunds(refunds) => Box::pin(refunds.run()),
        Command::Free(free) => Box::pin(free.run()),
        Command::Notices(notices) => Box::pin(notices.run()),
        Command::Policy(policy) => Box::pin(async { policy.run() }),
        Command::Advance(advance) => Box::pin(advance.run()),
        Command::Sandbox(sandbox) => Box::pin(sandbox.run()),
        Command::Serve(serve) => Box::pin(serve.run(json)),
        Command::CodecServer(server) => Box::pin(server.run(json)),
        Command::PayloadKey(key) => Box::pin(async { key.run() }),
        Command::Dev(dev) => Box::pin(dev.run(json)),
        Command::Demo(demo) => Box::pin(demo.run(json)),
        Command::Sim(sim) => Box::pin(sim.run(json)),
    };
    running.await
}

/// A client with the environment's settings.
async fn connect() -> Result<Client, Failure> {
    Ok(Client::connect(Config::default()).await?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// The commands of a page: in its code blocks and between backticks.
    fn commands_of(page: &str) -> Vec<Vec<String>> {
        let page = page.replace("\\\n", " ");
        let blocks = page.split("```").skip(1).step_by(2).flat_map(str::lines);
        let inline = page.split("```").step_by(2).flat_map(|text| text.split('`').skip(1).step_by(2));
        let words = |line: &str| line.replace('\n', " ").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        blocks.chain(inline).map(words).filter(|words| words.first().is_some_and(|word| word == "recourse")).collect()
    }

    /// The program accepts the commands that the pages tell people to type.
    #[test]
    fn every_documented_command_and_option_exists() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let docs = std::fs::read_dir(format!("{root}/docs")).unwrap().map(|entry| entry.unwrap().path());
        let pages = docs.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
        let (mut looked_at, mut wrong) = (0, Vec::new());
        for path in pages.chain([format!("{root}/README.md").into()]) {
            for words in commands_of(&std::fs::read_to_string(&path).unwrap()) {
                let (mut command, mut nested) = (Cli::command(), true);
                for word in &words[1..] {
                    if let (true, Some(inner)) = (nested, command.find_subcommand(word).cloned()) {
                        command = inner;
                        continue;
                    }
                    nested &= word.starts_with('-');
                    let Some(option) = word.strip_prefix("--").filter(|option| !option.is_empty()) else { continue };
                    let option: String =
                        option.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
                    let globals = ["json", "help", "version"];
                    let is_known = command.get_arguments().any(|argument| argument.get_long() == Some(option.as_str()));
                    if !is_known && !globals.contains(&option.as_str()) {
                        wrong.push(format!("{}: --{option} in {}", path.display(), words.join(" ")));
                    }
                }
                if command.get_name() == "recourse"
                    && words.len() > 1
                    && !words[1].starts_with(['-', '<', '…', '&', '#'])
                {
                    wrong.push(format!("{}: {}", path.display(), words.join(" ")));
                }
                looked_at += 1;
            }
        }
        assert!(looked_at > 50, "{looked_at} commands");
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn the_arguments_are_consistent_and_every_command_has_help() {
        let command = Cli::command();
        command.clone().debug_assert();
        let nested = command.get_subcommands().flat_map(clap::Command::get_subcommands);
        for subcommand in command.get_subcommands().chain(nested) {
            let about = subcommand.get_long_about().or(subcommand.get_about());
            let about = about.map(ToString::to_string).unwrap_or_default();
            let name = subcommand.get_name();
            assert!(!about.is_empty(), "{name}");
            assert!(about.contains("recourse ") || subcommand.has_subcommands(), "{name} has no example: {about}");
            for argument in subcommand.get_arguments().filter(|argument| argument.get_id() != "help") {
                assert!(argument.get_help().is_some(), "{name} {}", argument.get_id());
            }
        }
    }
}
