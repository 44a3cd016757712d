//! The command line: what may be said, and what it means.

mod bundle;
mod chains;
mod declared;
mod evidence;
mod findings;
mod inventory;
mod reload;
mod replay;
mod serve;
mod shipped;
mod show;
mod status;
mod watch;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand, ValueEnum};

use bundle::BundleArgs;
use chains::ChainsArgs;
use declared::{CheckArgs, LearnArgs, check, learn};

use crate::app::{self, EXIT_CODES, Failure, RunOptions, style};
use crate::config::{self, Config, ConfigError, Level};
use crate::kernel::probes::Tier;
use crate::report;
use crate::store::{self, Reader};
use crate::telemetry;
use evidence::{KeysVerb, VerifyArgs};
use findings::FindingsArgs;
use inventory::{CredentialsArgs, InventoryArgs, ReportArgs};
use reload::ReloadArgs;
use replay::{CaptureArgs, RecordArgs, ReplayArgs};
use serve::ServeArgs;
use show::ShowArgs;
use status::StatusArgs;
use watch::WatchArgs;

/// Where the config lies if nobody says otherwise.
const CONFIG_PATH: &str = "/etc/spoor/spoor.toml";

/// Which service account used which credential, and what it then did: behavioural provenance for this host.
///
/// Kernel probes watch credential files, program execution and outbound connections; spoor ties them to the service
/// accounts that acted and keeps chains: one record of each run of a job, as evidence on this host and for your SIEM.
/// It only observes. It never keeps, prints or forwards what makes a credential secret, and it redacts arguments.
#[derive(Debug, Parser)]
#[command(name = "spoor", version, after_long_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch this host until told to stop (SIGTERM or Ctrl-C)
    ///
    /// With no config, built-in defaults hold: the whole host, the built-in catalogue of credentials, the store in
    /// /var/lib/spoor. On a terminal, chains are shown as they grow. SIGHUP reads config, catalogue and
    /// purposes again; docs/OPERATE.md tells what of it holds without a restart.
    Run(RunArgs),
    /// Tell what this kernel and host allow, and how to close what is missing
    ///
    /// Loads the probes for a moment and sends the canary through each. Nothing but the canary is watched. Where they cannot be
    /// loaded, it tells what it sees without, and why; the exit code is that of `spoor run` there (10: no privileges).
    Doctor(DoctorArgs),
    /// Ask the running agent how it is: what it sees and has lost, chains, store, sinks, purposes, its own cost
    ///
    /// Exit code 0 where it runs, 1 where something may be missing or is about to be (the lines `why` tell what), 5 where no agent
    /// runs on that store. docs/OPERATE.md explains each line.
    Status(StatusArgs),
    /// Have the running agent read its config again, or a newer program take over from it
    ///
    /// Where the agent runs the program that this is, it is sent SIGHUP. Where its program was replaced, as by an upgrade, the new one is
    /// started beside it with the same arguments, proves its probes, and takes over with no moment between; one that fails
    /// leaves the old one running. `systemctl reload spoor` calls it.
    Reload(ReloadArgs),
    /// Tell every mistake in a config, or in files of purposes, at once, with line and column
    ///
    /// With --since, tells what those purposes would have said of what was recorded since then, and where that differs
    /// from what was said.
    Check(CheckArgs),
    /// Propose purposes from what was seen, for a person to review
    ///
    /// Prints a file of purposes, with the evidence behind each line. docs/PURPOSES.md tells what to do with it.
    Learn(LearnArgs),
    /// Watch chains, actors and credentials as they grow, on a terminal that is left open
    ///
    /// Reads the store, beside a running agent or without one, from its newest records on. `?` tells the keys: filter, go into a
    /// chain, follow a process. Gaps, findings and what the agent says of itself stand above. docs/OPERATE.md explains the lines.
    Watch(WatchArgs),
    /// List chains, newest first
    Chains(ChainsArgs),
    /// Show one chain as a tree and a timeline, or a chain or a day as a page for a browser
    ///
    /// `--format html` is one page with everything in it: what may be missing, findings, the graph, the timeline, the
    /// records and how to prove them. It needs no network and runs no scripts. docs/LOOK.md has more.
    Show(ShowArgs),
    /// Serve the same pages on this host, read-only, over a unix socket or loopback
    ///
    /// By default on a socket in the store's directory that only its owner may use. On loopback a token is asked for, as
    /// the password of whatever user. Nothing is written to the store. docs/LOOK.md tells how to get there from elsewhere.
    Serve(ServeArgs),
    /// List the actors that were seen: their credentials, programs and destinations
    ///
    /// Service accounts come before people, whoever acted last first. A remark says what an auditor would ask about.
    Actors(InventoryArgs),
    /// List the credentials of this host: who used them, by which programs, and who did not
    ///
    /// Those that were used, last ones first; then those that lie here and that nobody was seen to use. Destinations are of
    /// connections that came after the credential was opened, by whoever held it.
    Credentials(CredentialsArgs),
    /// List findings, newest first: what deviates, who, since when, and what to do
    ///
    /// Each is told once, as it stands by now; the chain it names shows it. docs/FINDINGS.md has the rule of each kind.
    Findings(FindingsArgs),
    /// Make a report on identities and credentials, for an auditor
    ///
    /// One page with everything in it: identities, credentials with remarks (OWASP NHI, NIST CSF 2.0), those that nobody
    /// used, what people used, what may be missing. Redirect it into a file.
    Report(ReportArgs),
    /// Tell how each sink stands: how far it is, what went wrong, what its receiver refused
    ///
    /// A record that a receiver refused for good is set aside: it stays in the store, and is listed here with the reason. Exit
    /// code 1 where a sink has an error now.
    Sinks(SinksArgs),
    /// Prove that the evidence is what was written
    ///
    /// Each record carries the hash of the one before, and every few minutes the agent signs where that stands. What was
    /// changed, deleted, reordered or put in between is found and named, in the store of this host or in what a receiver has
    /// (--received); together they show what was cut off. docs/EVIDENCE.md has what is found and what is not.
    Verify(VerifyArgs),
    /// The key that signs the evidence
    Keys {
        #[command(subcommand)]
        verb: KeysVerb,
    },
    /// Capture what enters the pipeline on this host into a file, for `spoor replay`
    ///
    /// Starts probes of its own, beside an agent that may run; its store is thrown away. The file holds what is in records
    /// (redacted arguments, paths, names, addresses), and no secret. docs/REPLAY.md tells what else.
    Record(RecordArgs),
    /// Make the records of a capture again, on any host and without root
    ///
    /// Exit code 1 where the capture is cut, or where these are not the records that were made when it was captured.
    Replay(ReplayArgs),
    /// Put what support needs of this host into one file
    ///
    /// Works without an agent, and as far as it goes without root: the summary says what is missing. No secret is in it; --mask
    /// replaces names, paths and addresses by pseudonyms. docs/OPERATE.md tells what is in it.
    Bundle(BundleArgs),
    /// Print generated documentation
    #[command(hide = true)]
    Docs {
        /// Which page
        page: Page,
    },
    /// Write the manual pages and the completions of shells, for packages
    #[command(hide = true)]
    Shipped {
        /// Below which they are written
        directory: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Field by field, what records hold
    Records,
    /// Key by key, what the config may say
    Config,
    /// How purposes are declared, and key by key what they may say
    Purposes,
    /// Field by field, what becomes of it in other schemas
    Schemas,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The config [default: /etc/spoor/spoor.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Make this file when every probe that will attach has attached and the canary has answered
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Show chains as they grow [default: with no config, on a terminal]
    #[arg(long)]
    live: bool,
    /// Take over from the agent that runs on the same store, with no moment between (docs/OPERATE.md)
    #[arg(long)]
    take_over: bool,
    /// Play a service account's job in a scope of its own, show its chain, and clean up
    #[arg(long, conflicts_with_all = ["config", "ready_file", "live", "tiers", "take_over", "capture"])]
    demo: bool,
    #[command(flatten)]
    captured: CaptureArgs,
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    tiers: Tiers,
}

#[derive(Debug, Args)]
struct Root {
    /// In a container: where the host's root is mounted. It is entered first, so all paths are the host's
    #[arg(long, value_name = "DIRECTORY")]
    root: Option<PathBuf>,
}

impl Root {
    fn enter(&self) -> Result<(), Failure> {
        self.root.as_deref().map_or(Ok(()), app::enter)
    }
}

#[derive(Debug, Args)]
struct Tiers {
    /// Use only these tiers where there is a choice (lsm, fentry, kprobe, tracepoint)
    #[arg(long, value_name = "TIER,…", value_delimiter = ',', value_parser = tier)]
    tiers: Vec<Tier>,
}

fn tier(name: &str) -> Result<Tier, String> {
    Tier::from_name(name).ok_or_else(|| "one of lsm, fentry, kprobe, tracepoint".into())
}

#[derive(Debug, Args)]
struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    tiers: Tiers,
    #[command(flatten)]
    place: Place,
}

/// Which store is read.
#[derive(Debug, Args)]
struct Place {
    /// The store's directory [default: what the config says]
    #[arg(long, value_name = "DIRECTORY")]
    store: Option<PathBuf>,
    /// The config that names it [default: /etc/spoor/spoor.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// Whether or not it is there yet.
    fn store(&self) -> Result<PathBuf, ConfigError> {
        match &self.store {
            Some(directory) => Ok(directory.clone()),
            None => Ok(load(self.config.as_deref())?.0.store.path),
        }
    }
}

#[derive(Debug, Args)]
struct SinksArgs {
    #[command(flatten)]
    place: Place,
    /// As JSON, one a line
    #[arg(long)]
    json: bool,
}

/// A time ago, as nanoseconds since 1970.
fn since(text: &str) -> Result<i64, String> {
    let (digits, unit) =
        text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err("a number with s, m, h, d or w".into()),
    };
    let count: i64 = digits.parse().map_err(|_| "a number with s, m, h, d or w".to_owned())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    Ok(now.saturating_sub(count.saturating_mul(seconds).saturating_mul(1_000_000_000)))
}

/// Does what was asked. Gives the exit code.
#[must_use]
pub fn run(cli: Cli) -> u8 {
    let outcome = match cli.verb {
        Verb::Run(args) => daemon(args),
        Verb::Doctor(args) => doctor(&args),
        Verb::Status(args) => args.run(),
        Verb::Reload(args) => args.run(),
        Verb::Check(args) => return check(&args),
        Verb::Learn(args) => learn(&args),
        Verb::Watch(args) => args.run(),
        Verb::Chains(args) => args.run(),
        Verb::Show(args) => args.run(),
        Verb::Serve(args) => args.run(),
        Verb::Actors(args) => args.run(report::Of::Actors, false),
        Verb::Credentials(args) => args.run(),
        Verb::Findings(args) => args.run(),
        Verb::Report(args) => args.run(),
        Verb::Sinks(args) => sinks(&args),
        Verb::Verify(args) => args.run(),
        Verb::Keys { verb } => verb.run(),
        Verb::Bundle(args) => args.run(),
        Verb::Record(args) => args.run(),
        Verb::Replay(args) => args.run(),
        Verb::Docs { page } => {
            print(&match page {
                Page::Records => crate::record::reference(),
                Page::Config => config::reference(),
                Page::Purposes => crate::purpose::reference(),
                Page::Schemas => crate::schema::reference(),
            });
            Ok(0)
        }
        Verb::Shipped { directory } => shipped::write(&directory),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("spoor: {failure}");
        failure.code()
    })
}

/// Prints to standard output; that nobody reads it any more is no failure.
fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// The config that is named, else the one in its place, else the defaults.
fn load(named: Option<&Path>) -> Result<(Config, Option<PathBuf>), ConfigError> {
    let usual = || Some(Path::new(CONFIG_PATH)).filter(|path| path.exists());
    match named.or_else(usual) {
        Some(path) => Ok((config::load(path)?, Some(path.to_owned()))),
        None => Ok((Config::default(), None)),
    }
}

fn daemon(args: RunArgs) -> Result<u8, Failure> {
    args.root.enter()?;
    if args.demo {
        telemetry::log::start(Level::Warn.as_str());
        app::demo::run()?;
        return Ok(0);
    }
    let (config, config_path) = load(args.config.as_deref())?;
    telemetry::log::start(config.log.level.as_str());
    let live = args.live || (config_path.is_none() && io::stdout().is_terminal());
    app::run(&RunOptions {
        config,
        config_path,
        ready_file: args.ready_file,
        live,
        tiers: args.tiers.tiers,
        take_over: args.take_over,
        capture: args.captured.capture(),
    })?;
    Ok(0)
}

fn doctor(args: &DoctorArgs) -> Result<u8, Failure> {
    args.root.enter()?;
    telemetry::log::start(Level::Warn.as_str());
    // A config with mistakes is no reason not to look at the host.
    let store = args.place.store().ok();
    let findings = app::doctor::examine(&args.tiers.tiers, store.as_deref());
    print(&if args.json { format!("{:#}\n", findings.json()) } else { findings.text() });
    findings.verdict()
}

fn directory(place: &Place) -> Result<PathBuf, Failure> {
    let directory = place.store()?;
    // A misspelt path must not look like a quiet host.
    if directory.join(store::STATE_FILE).is_file() { Ok(directory) } else { Err(Failure::NoStore(directory)) }
}

fn sinks(args: &SinksArgs) -> Result<u8, Failure> {
    let directory = directory(&args.place)?;
    let standing = report::Standing::read(&Reader::open(&directory)?, store::sinks(&directory)?)?;
    print(&if args.json { standing.json() } else { standing.text(&style()) });
    Ok(u8::from(standing.failing()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_ago() {
        assert!(since("2h").unwrap() < since("1h").unwrap());
        assert!(since("2").is_err() && since("h").is_err() && since("2y").is_err() && since("").is_err());
    }
}
