//! AI agents, and what they start: tool calls and tool servers, each child's tree a unit of its own.
//!
//! An agent is recognised by the name of its program, which is anybody's to take. So it takes nothing away: a container,
//! job or service that claims the process keeps it, and only its runs become those of the agent's tools. Where nothing
//! claims it but a person's session or its user, it is the agent's, with the person beside it.

use std::sync::Arc;

use super::{Identity, Resolver, Traits, program};
use crate::actor::Host;
use crate::event::ProcessKey;
use crate::lineage::{Process, Program, Slot, basename};

/// An agent, or one thing it started.
#[derive(Debug)]
pub(super) struct Ai {
    /// The agent's name.
    pub(super) agent: &'static str,
    /// First process of the agent, or of what it started.
    pub(super) root: ProcessKey,
    /// Whose it is.
    pub(super) user: u32,
    /// What it started, by the name of that program; `None` for the agent itself.
    pub(super) tool: Option<String>,
    /// The agent that started this one.
    pub(super) by: Option<&'static str>,
}

struct Agent {
    name: &'static str,
    /// Last component of its program or script.
    programs: &'static [&'static str],
    /// Part of the path of what an interpreter runs, or of a versioned program.
    package: &'static str,
    /// First arguments of which one must be there, for a name that other programs have too.
    arguments: &'static [&'static str],
}

const AGENTS: &[Agent] = &[
    agent("aider", &["aider"], ""),
    agent("amp", &[], "/@sourcegraph/amp/"),
    agent("claude", &["claude"], "/@anthropic-ai/claude-code/"),
    agent("claude", &[], "/claude/versions/"),
    agent("codex", &["codex"], "/@openai/codex/"),
    agent("copilot", &[], "/@github/copilot/"),
    agent("crush", &["crush"], "/@charmland/crush/"),
    agent("cursor-agent", &["cursor-agent"], "/cursor-agent/versions/"),
    agent("gemini", &["gemini"], "/@google/gemini-cli/"),
    Agent { name: "goose", programs: &["goose"], package: "", arguments: &["session", "run", "acp", "web"] },
    agent("openhands", &["openhands"], ""),
    agent("opencode", &["opencode"], "/opencode-ai/"),
    agent("qwen", &["qwen"], "/@qwen-code/qwen-code/"),
];

const fn agent(name: &'static str, programs: &'static [&'static str], package: &'static str) -> Agent {
    Agent { name, programs, package, arguments: &[] }
}

impl<H: Host> Resolver<H> {
    /// The agent that a process is, or by which it was started.
    pub(super) fn ai(
        &mut self,
        slot: Slot,
        process: &Process,
        identity: Identity,
        up: &[Arc<Process>],
    ) -> Option<Arc<Ai>> {
        let before =
            self.states.get(&slot).filter(|state| !state.provisional).and_then(|state| state.kin.ai.clone());
        if let Some(agent) = self.traits(process).and_then(|traits| traits.agent) {
            let maker = self.above(process, identity, up);
            let same = |ai: &Arc<Ai>| ai.agent == agent && ai.tool.is_none();
            // A wrapper and what it wraps, a worker and its maker, are one.
            if let Some(known) = before.filter(same).or_else(|| maker.clone().filter(same)) {
                return Some(known);
            }
            let by = maker.map(|maker| maker.agent);
            return Some(Arc::new(Ai { agent, root: process.key, user: identity.user, tool: None, by }));
        }
        // What an agent became by executing is still the agent; what it made and then executed is not.
        if let Some(known) = before.filter(|ai| ai.tool.is_some() || Slot::from(ai.root) == slot) {
            return Some(known);
        }
        self.above(process, identity, up)
    }

    /// In what a process is that was made, and runs something else: what its maker is in, or a tool that begins.
    fn above(&mut self, process: &Process, identity: Identity, up: &[Arc<Process>]) -> Option<Arc<Ai>> {
        let mut root = process;
        for ancestor in up {
            let known = self.states.get(&ancestor.key.into()).filter(|state| !state.provisional);
            let agent = match known.and_then(|state| state.kin.ai.clone()) {
                Some(ai) if ai.tool.is_some() => return Some(ai),
                Some(ai) => Some(ai.agent),
                None => self.traits.of(&ancestor.program, Traits::of).and_then(|traits| traits.agent),
            };
            if let Some(agent) = agent {
                let born = self.states.get(&root.key.into()).filter(|_| root.key != process.key);
                return Some(Arc::new(Ai {
                    agent,
                    root: root.key,
                    user: born.map_or(identity, |state| state.kin.identity).user,
                    tool: Some(tool(root)),
                    by: Some(agent),
                }));
            }
            if known.is_some() {
                return None;
            }
            root = ancestor;
        }
        None
    }
}

/// Which agent a program is by its name.
pub(super) fn named(program: &Program) -> Option<&'static str> {
    let exe = &program.exe.bytes;
    let interpreter = is_interpreter(exe);
    let script = program.script.as_ref().map(|script| script.bytes.as_slice());
    // A program that has named itself, as node does, stands in the first argument alone.
    let read = program.argv.iter().take(4).map(Vec::as_slice).filter(|_| interpreter);
    let paths = [exe.as_slice()].into_iter().chain(script).chain(read);
    let paths: Vec<(&[u8], &[u8])> = paths.map(|path| (path, basename(path))).collect();
    let found = AGENTS.iter().find(|agent| {
        let argument = |wanted: &&str| program.argv.iter().take(3).any(|is| is == wanted.as_bytes());
        paths.iter().any(|(path, name)| {
            agent.programs.iter().any(|known| *name == known.as_bytes())
                || !agent.package.is_empty() && contains(path, agent.package.as_bytes())
        }) && (agent.arguments.is_empty() || agent.arguments.iter().any(argument))
    });
    found.map(|agent| agent.name)
}

fn is_interpreter(exe: &[u8]) -> bool {
    let name = basename(exe);
    [&b"node"[..], b"nodejs", b"bun", b"deno"].contains(&name) || name.starts_with(b"python")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// Longest name of a tool.
const TOOL_MAX: usize = 128;

/// What a tool is called by: of a shell's command the first program that does something, of a launcher of packages the
/// package, else the program.
fn tool(root: &Process) -> String {
    const SHELLS: [&[u8]; 6] = [b"sh", b"bash", b"dash", b"zsh", b"busybox", b"fish"];
    let own = || program(root).to_string();
    let mut arguments = root.program.argv.iter().skip(1);
    let name = if SHELLS.contains(&basename(&root.program.exe.bytes)) {
        let mut after = arguments.skip_while(|argument| !is_command_flag(argument)).skip(1);
        let command = after.find(|argument| !argument.starts_with(b"-"));
        command.and_then(|command| command_tool(&String::from_utf8_lossy(command)))
    } else {
        // An interpreter's first argument is what it interprets.
        let is_launcher =
            |name: &[u8]| [&b"npx"[..], b"npx-cli.js", b"uvx", b"bunx", b"pipx"].contains(&basename(name));
        let launches = is_launcher(&root.program.exe.bytes)
            || is_interpreter(&root.program.exe.bytes)
                && arguments.next().is_some_and(|script| is_launcher(script));
        let flags = [&b"-y"[..], b"--yes", b"-q", b"run"];
        let package = arguments.find(|argument| !flags.contains(&argument.as_slice()));
        package
            .filter(|package| launches && is_package(package))
            .map(|package| String::from_utf8_lossy(package).into())
    };
    let name = name.unwrap_or_else(own);
    if name.len() <= TOOL_MAX { name } else { own() }
}

/// `-c`, `-lc`
fn is_command_flag(argument: &[u8]) -> bool {
    argument.strip_prefix(b"-").is_some_and(|flags| {
        flags.ends_with(b"c") && flags.len() <= 4 && flags.iter().all(u8::is_ascii_lowercase)
    })
}

/// A bare name: what has more in it, as an address with a password, is not told.
fn is_package(name: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'/' | b'.' | b'_' | b'-');
    name.first().is_some_and(|first| *first != b'-') && name.iter().all(plain)
}

/// The first program of a command line that does something.
fn command_tool(command: &str) -> Option<String> {
    const SAY_NOTHING: [&str; 12] =
        ["cd", "source", ".", "test", "[", "set", "export", "shopt", "umask", "pwd", "true", "unset"];
    const GO_ON: [&str; 13] = [
        "eval", "exec", "command", "nice", "env", "time", "timeout", "sudo", "nohup", "then", "do", "if",
        "builtin",
    ];
    let simple = command.split([';', '|', '&', '\n', '(', ')', '{', '}', '`']);
    simple.into_iter().find_map(|simple| {
        let words = simple.split([' ', '\t', '"', '\'', '<', '>', '\\']).filter(|word| !word.is_empty());
        let mut words = words.filter(|word| !word.contains('=') && !word.starts_with('-'));
        let word =
            words.find(|word| !GO_ON.contains(word) && !word.bytes().all(|byte| byte.is_ascii_digit()))?;
        (!SAY_NOTHING.contains(&word)).then(|| word.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{command_tool, is_command_flag, is_package};

    #[test]
    fn tools_of_command_lines() {
        for (command, expected) in [
            ("git status", Some("git")),
            ("cd /srv/app && cargo test", Some("cargo")),
            (
                "source /home/alice/.snapshot.sh && eval 'git push' \\< /dev/null && pwd -P >| /tmp/cwd",
                Some("git"),
            ),
            ("eval 'cd /srv && TOKEN=hunter2 /usr/bin/deploy --now'", Some("/usr/bin/deploy")),
            ("timeout 10 env LANG=C curl https://example.com", Some("curl")),
            ("cd /srv", None),
            ("", None),
            ("PASSWORD=hunter2", None),
        ] {
            assert_eq!(command_tool(command).as_deref(), expected, "{command}");
        }
    }

    #[test]
    fn names_that_hold_no_secret() {
        assert!(is_package(b"@modelcontextprotocol/server-filesystem"));
        for name in [&b"git+https://x:hunter2@example.com/a"[..], b"--from", b"a b", b""] {
            assert!(!is_package(name), "{}", String::from_utf8_lossy(name));
        }
        assert!(is_command_flag(b"-c") && is_command_flag(b"-lc"));
        assert!(!is_command_flag(b"c") && !is_command_flag(b"-l") && !is_command_flag(b"--rcfile-c"));
    }

    proptest! {
        /// A tool's name is one word of the command, and no assignment of it, which may hold a secret.
        #[test]
        fn any_command_line_is_endured(command in "([a-z=/'\" &;|<>\n-]|eval |cd |sudo ){0,40}") {
            if let Some(tool) = command_tool(&command) {
                prop_assert!(command.contains(&tool) && !tool.contains(['=', ' ', '\n', '\'']) && !tool.starts_with('-'));
            }
        }
    }
}
