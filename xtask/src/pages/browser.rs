//! A browser without a window, spoken to over its pipe (the DevTools protocol: JSON, a zero byte behind each message).

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long an answer may take.
const LONG: Duration = Duration::from_secs(60);

/// The browser, with one tab.
pub(super) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    next: u64,
    session: String,
    /// What the browser told by itself since it was asked last.
    pub(super) events: Vec<Value>,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Starts it, with a profile of its own that is made anew.
    pub(super) fn start(program: &Path, profile: &Path) -> Result<Self> {
        if profile.exists() {
            std::fs::remove_dir_all(profile).context("cannot remove the profile of the last time")?;
        }
        // The browser reads its descriptor 3 and writes to 4: a shell makes them of ours.
        let line = "exec \"$0\" --headless --no-sandbox --disable-gpu --no-first-run --disable-extensions \
            --disable-background-networking --user-data-dir=\"$1\" --remote-debugging-pipe about:blank 3<&0 4>&1 >/dev/null 2>&1";
        let mut child = Command::new("sh")
            .args(["-c".as_ref(), line.as_ref(), program.as_os_str(), profile.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let to = child.stdin.take().context("standard input was asked for")?;
        let mut said = BufReader::new(child.stdout.take().context("standard output was asked for")?);
        let (tell, from) = channel();
        // Ends with the browser.
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while said.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { return };
                if tell.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self { child, to, from, next: 0, session: String::new(), events: Vec::new() };
        let tab = browser.ask("Target.createTarget", &json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": tab["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", &attach)?;
        browser.session = attached["sessionId"].as_str().context("a tab has a session")?.to_owned();
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.ask(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(browser)
    }

    /// Asks for something, and gives the answer.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).context("the browser is gone")?;
        let deadline = Instant::now() + LONG;
        loop {
            let said = self.next_message(deadline).with_context(|| format!("no answer to {method}"))?;
            if said["id"] == self.next {
                if let Some(error) = said.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(said["result"].clone());
            }
            self.events.push(said);
        }
    }

    fn next_message(&self, deadline: Instant) -> Result<Value> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.from.recv_timeout(left).context("the browser says nothing")
    }

    /// Opens a page and waits until it is there.
    pub(super) fn open(&mut self, address: &str) -> Result<()> {
        self.events.clear();
        let opened = self.ask("Page.navigate", &json!({"url": address}))?;
        if let Some(error) = opened.get("errorText") {
            bail!("{address}: {error}");
        }
        let deadline = Instant::now() + LONG;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let said = self.next_message(deadline).with_context(|| format!("{address} is not loaded"))?;
            self.events.push(said);
        }
        Ok(())
    }

    /// The value of an expression on the page.
    pub(super) fn value(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({"expression": expression, "returnByValue": true});
        let said = self.ask("Runtime.evaluate", &asked)?;
        match said.get("exceptionDetails") {
            Some(error) => bail!("{expression}: {error}"),
            None => Ok(said["result"]["value"].clone()),
        }
    }

    /// Writes what an answer has as base64.
    pub(super) fn save(&mut self, method: &str, params: &Value, path: &Path) -> Result<usize> {
        let said = self.ask(method, params)?;
        let bytes = STANDARD.decode(said["data"].as_str().unwrap_or_default());
        let bytes = bytes.map_err(|error| anyhow!("{method}: {error}"))?;
        std::fs::write(path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(bytes.len())
    }
}
