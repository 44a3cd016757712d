//! The table as docs/SINKS.md shows it.

use std::fmt::Write as _;
use std::path::Path;

use super::{Expected, Fault, Way, expected, play};

const BEGIN: &str =
    "<!-- the fault table, made by its test: BLESS=1 cargo test -p spoor --lib fault_table -->\n";
const END: &str = "<!-- end of the fault table -->\n";

fn page() -> String {
    let mut reasons: Vec<&str> = Vec::new();
    let mut text = format!(
        "Of {} records, so many came a second time; each came, and in order. A letter: see below.\n\n| fault |",
        play::SENT
    );
    for way in Way::ALL {
        write!(text, " {} |", way.name()).unwrap();
    }
    write!(text, "\n|---|{}\n", "---|".repeat(Way::ALL.len())).unwrap();
    for fault in Fault::ALL {
        write!(text, "| {} |", fault.name()).unwrap();
        for way in Way::ALL {
            let letter = |reasons: &mut Vec<&'static str>, why: &'static str| {
                let known = reasons.iter().position(|reason| *reason == why);
                let place = known.unwrap_or_else(|| {
                    reasons.push(why);
                    reasons.len() - 1
                });
                char::from(b'a' + u8::try_from(place).unwrap())
            };
            match expected(way, fault) {
                Expected::Whole(twice) => write!(text, " {twice} |").unwrap(),
                Expected::Lossy(why) => write!(text, " loss ({}) |", letter(&mut reasons, why)).unwrap(),
                Expected::Not(why) => write!(text, " {} |", letter(&mut reasons, why)).unwrap(),
            }
        }
        text.push('\n');
    }
    text.push('\n');
    for (number, reason) in (b'a'..).zip(&reasons) {
        writeln!(text, "- {}: {reason}.", char::from(number)).unwrap();
    }
    text.push('\n');
    for fault in Fault::ALL {
        writeln!(text, "- **{}**: {}.", fault.name(), fault.what()).unwrap();
    }
    text
}

#[test]
fn the_page_shows_the_fault_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/SINKS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's place in docs/SINKS.md");
    let (shown, after) = rest.split_once(END).expect("the table's end in docs/SINKS.md");
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", page())).unwrap();
        return;
    }
    assert_eq!(shown, page(), "BLESS=1 if it is meant");
}
