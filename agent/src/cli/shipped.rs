//! What a package ships beside the program and the program knows best: manual pages and completions.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use crate::app::Failure;

/// Shells whose completions distributions have a place for.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes a manual page for the program and one for each verb into `man`, and completions into `completions`, below a
/// directory.
pub(super) fn write(directory: &Path) -> Result<u8, Failure> {
    pages(&directory.join("man")).map_err(Failure::system("write the manual pages"))?;
    completions(&directory.join("completions")).map_err(Failure::system("write the completions"))?;
    Ok(0)
}

fn pages(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), directory)
}

fn completions(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut Cli::command(), "spoor", directory)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_has_a_page_and_each_shell_its_completions() {
        let scratch = tempfile::tempdir().unwrap();
        write(scratch.path()).unwrap();
        let page = |name: &str| fs::read_to_string(scratch.path().join("man").join(name));
        assert!(page("spoor.1").unwrap().contains("behavioural provenance"));
        for verb in Cli::command().get_subcommands() {
            let made = page(&format!("spoor-{}.1", verb.get_name())).is_ok();
            assert_eq!(made, !verb.is_hide_set(), "{}", verb.get_name());
        }
        for (file, word) in [("spoor.bash", "chains"), ("_spoor", "#compdef spoor"), ("spoor.fish", "spoor")]
        {
            let text = fs::read_to_string(scratch.path().join("completions").join(file)).unwrap();
            assert!(text.contains(word), "{file}");
        }
    }
}
