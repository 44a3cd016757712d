//! `/metrics`, `/healthz` and `/readyz`.
//!
//! `/healthz`: the agent is alive. `/readyz`: its probes are attached and its pipeline moves; else 503 and the reasons. Neither
//! looks at receivers: an agent whose SIEM is down must not be restarted for it.

use std::fmt::Write as _;
use std::io;

use super::http::{Question, Said};
use super::{Ask, door, metrics};

pub(super) async fn answer(question: Question, ask: Ask) -> io::Result<Said> {
    Ok(match question.path.split('?').next().unwrap_or_default() {
        "/healthz" => Said::plain("200 OK", "alive\n"),
        "/readyz" => {
            let status = door::ask(&ask).await?;
            if status.not_ready.is_empty() {
                Said::plain("200 OK", "ready\n")
            } else {
                let reasons = status.not_ready.iter().fold(String::new(), |mut text, reason| {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "{reason}");
                    text
                });
                Said::plain("503 Service Unavailable", reasons)
            }
        }
        "/metrics" => {
            let status = door::ask(&ask).await?;
            match metrics(&status) {
                Ok(body) => {
                    Said { kind: "text/plain; version=0.0.4; charset=utf-8", ..Said::plain("200 OK", body) }
                }
                Err(error) => Said::plain("500 Internal Server Error", format!("{error}\n")),
            }
        }
        _ => Said::plain("404 Not Found", "there are: /metrics, /healthz, /readyz\n"),
    })
}
