//! Parses the command line and turns the result into an exit code.

use std::process::ExitCode;

use clap::Parser;
use spoor::app::demo;
use spoor::cli::{self, Cli};
use spoor::kernel::{CANARY_ARGUMENT, canary_child};

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    // The agent's own children, before anything that is for people.
    if let [first, rest @ ..] = arguments.as_slice() {
        let outcome = match first.as_str() {
            CANARY_ARGUMENT => Some(canary_child(rest)),
            name if name.starts_with("__demo-") => Some(demo::part(name, rest)),
            _ => None,
        };
        if let Some(outcome) = outcome {
            return outcome.map_or_else(
                |error| {
                    eprintln!("spoor: {error}");
                    ExitCode::FAILURE
                },
                |()| ExitCode::SUCCESS,
            );
        }
    }
    ExitCode::from(cli::run(Cli::parse()))
}
