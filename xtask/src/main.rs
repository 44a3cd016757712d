//! Every verb a developer or CI uses. One file per verb; what CI does, a laptop does.
//!
//! Depends on none of the workspace's other crates: it runs programs, it does not link them.

mod ablation;
mod apt;
mod bench;
mod build;
mod check;
mod deployed;
mod docs;
mod elf;
mod licences;
mod package;
mod pages;
mod paths;
mod probes;
mod receivers;
mod run;
mod sabotage;
mod sh;
mod slim;
mod spdx;
mod summary;
mod test;
mod tidy;
mod toolchain;
mod vm;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// One verb: its name, its help, and what runs it.
struct Verb {
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<ExitCode>,
}

const VERBS: &[Verb] = &[
    Verb { name: "toolchain", usage: "", about: toolchain::ABOUT, run: toolchain::main },
    Verb { name: "probes", usage: "", about: probes::ABOUT, run: probes::main },
    Verb { name: "build", usage: "", about: build::ABOUT, run: build::main },
    Verb {
        name: "package",
        usage: "[deb] [rpm] [image] [--revision N]",
        about: package::ABOUT,
        run: package::main,
    },
    Verb { name: "run", usage: "[ARGS...]", about: run::ABOUT, run: run::main },
    Verb { name: "test", usage: "[unit|live|vm|all] [--no-live]", about: test::ABOUT, run: test::main },
    Verb { name: "check", usage: "", about: check::ABOUT, run: check::main },
    Verb { name: "tidy", usage: "", about: tidy::ABOUT, run: tidy::main },
    Verb { name: "docs", usage: "[--check]", about: docs::ABOUT, run: docs::main },
    Verb {
        name: "vm",
        usage: "[CELL...] [--list] [--keep] [--refresh] [--day] [--bless]",
        about: vm::ABOUT,
        run: vm::main,
    },
    Verb { name: "sabotage", usage: "[PROBE...] [--cell CELL]", about: sabotage::ABOUT, run: sabotage::main },
    Verb { name: "pages", usage: "", about: pages::ABOUT, run: pages::main },
    Verb { name: "bench", usage: "[ARGS...]", about: bench::ABOUT, run: bench::main },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let Some((name, rest)) = args.split_first() else {
        print!("{}", overview());
        return Ok(ExitCode::SUCCESS);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        match rest.first() {
            Some(verb) => print!("{}", details(find(verb)?)),
            None => print!("{}", overview()),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let verb = find(name)?;
    // `run` and `bench` hand their arguments on, but for a lone `--help` this is the nearer place to answer.
    if rest.first().is_some_and(|arg| arg == "--help" || arg == "-h") {
        print!("{}", details(verb));
        return Ok(ExitCode::SUCCESS);
    }
    (verb.run)(rest)
}

fn find(name: &str) -> Result<&'static Verb> {
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        bail!("there is no verb `{name}`; `cargo xtask help` lists them");
    };
    Ok(verb)
}

fn overview() -> String {
    let mut text = String::from("Every verb a developer or CI uses: cargo xtask VERB [ARGS]\n\n");
    for verb in VERBS {
        let first = verb.about.lines().next().unwrap_or_default();
        text += &format!("  {:<10} {first}\n", verb.name);
    }
    text + "\nA first look:   cargo xtask run --demo\nAs CI does it:  cargo xtask check && cargo xtask test\n\
            `cargo xtask help VERB` says more.\n"
}

fn details(verb: &Verb) -> String {
    format!("cargo xtask {} {}\n\n{}\n", verb.name, verb.usage, verb.about)
}

/// Refuses arguments where a verb takes none, so that a slip of the keyboard is not silently ignored.
fn no_arguments(verb: &str, args: &[String]) -> Result<()> {
    if let Some(arg) = args.first() {
        bail!("`{verb}` takes no argument `{arg}`; see `cargo xtask help {verb}`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_names_every_verb_once() {
        let text = overview();
        for verb in VERBS {
            assert_eq!(text.matches(&format!("\n  {:<10} ", verb.name)).count(), 1, "{}", verb.name);
        }
    }

    #[test]
    fn an_unknown_verb_or_argument_is_refused() {
        assert!(dispatch(&["bulid".to_owned()]).is_err());
        assert!(no_arguments("tidy", &["--fast".to_owned()]).is_err());
        assert!(no_arguments("tidy", &[]).is_ok());
    }
}
