//! `pages`: looks at the pages of the goldens in a real browser.

mod browser;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::sh::{Cmd, step, which};
use crate::summary::Counts;
use crate::{apt, paths};
use browser::Browser;

pub(crate) const ABOUT: &str = "Looks at the pages of tests/golden/report in a real browser, in light, dark, narrow and on paper\n\n\
    Installs Debian's chromium, graphviz and poppler-utils. Demands that a page asks for nothing but itself, breaks none of its own policy, is\n\
    no wider than the window, is not empty, is dark where dark is preferred, begins at its skip link, is reached by keyboard everywhere, unfolds by it,\n\
    and is on paper with every heading and row. Pictures are in target/pages, for people.";

/// How a page is looked at: a name, width, height, and what is preferred.
const LOOKS: &[(&str, u32, u32, &str)] =
    &[("light", 1360, 1000, "light"), ("dark", 1360, 1000, "dark"), ("narrow", 360, 800, "light")];

/// What is asked of a page: an expression, the value it must have, and what it means.
const DEMANDS: &[(&str, &str)] = &[
    ("document.documentElement.scrollWidth <= innerWidth", "it is no wider than the window"),
    ("document.body.innerText.length > 300", "it is not empty"),
    ("document.querySelectorAll('h1').length === 1", "it has one title"),
    ("document.querySelectorAll('main').length === 1", "it has one main part"),
    (
        "[...document.querySelectorAll('*')].every(one => one.tabIndex >= 0 || !['auto', 'scroll'].includes(getComputedStyle(one).overflowX) \
         || one.scrollWidth <= one.clientWidth || one.closest('[tabindex]'))",
        "what scrolls is reached by keyboard",
    ),
    (
        "[...document.querySelectorAll('svg text')].every(one => { const box = one.getBoundingClientRect(); \
         const all = one.ownerSVGElement.getBoundingClientRect(); return one.ownerSVGElement.parentElement.tagName === 'g' || box.right <= all.right + 1; })",
        "no heading of a graph is outside of it",
    ),
];

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    crate::no_arguments("pages", args)?;
    let counts = look()?;
    println!(
        "pages: {} looked at; pictures are in {}",
        counts.passed,
        paths::target().join("pages").display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Looks at every page; the first that is not as it should be is an error.
pub(crate) fn look() -> Result<Counts> {
    apt::install(&["chromium", "graphviz", "poppler-utils"], "looking at pages")?;
    let program = which("chromium").context("chromium is installed and not on PATH")?;
    let out = paths::target().join("pages");
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let golden = paths::root().join("tests/golden/report");
    let mut files: Vec<_> = fs::read_dir(&golden)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let mut browser = Browser::start(&program, &out.join("profile"))?;
    let mut looked = 0;
    for file in &files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("html") => page(&mut browser, file, &name, &out).with_context(|| format!("{name}.html"))?,
            Some("svg") => image(&mut browser, file, &name, &out).with_context(|| format!("{name}.svg"))?,
            Some("dot") => Cmd::new("dot")
                .arg("-Tsvg")
                .arg(file)
                .arg("-o")
                .arg(out.join(format!("{name}.dot.svg")))
                .run()?,
            _ => continue,
        }
        looked += 1;
    }
    ensure!(looked > 3, "there are no pages in {}", golden.display());
    Ok(Counts { passed: looked, failed: 0 })
}

fn page(browser: &mut Browser, file: &Path, name: &str, out: &Path) -> Result<()> {
    let address = format!("file://{}", file.display());
    let mut papers = Vec::new();
    for (look, width, height, scheme) in LOOKS {
        step!("pages: {name}, {look}");
        see(browser, *width, *height, scheme, "screen")?;
        browser.open(&address)?;
        for (expression, meaning) in DEMANDS {
            ensure!(browser.value(expression)? == json!(true), "{look}: it is not so that {meaning}");
        }
        papers.push(browser.value("getComputedStyle(document.body).backgroundColor")?);
        let asked = json!({"format": "png", "captureBeyondViewport": false});
        browser.save("Page.captureScreenshot", &asked, &out.join(format!("{name}-{look}.png")))?;
        keyboard(browser)?;
        alone(browser, &address)?;
    }
    ensure!(papers.first() != papers.get(1), "the dark page is as light as the light one");
    see(browser, 1_100, 800, "light", "print")?;
    let folded = "[...document.querySelectorAll('details.one')].every(one => [...one.children].every(part => part.checkVisibility()))";
    ensure!(browser.value(folded)? == json!(true), "what is folded is left out on paper");
    ensure!(
        browser.value("getComputedStyle(document.querySelector('nav')).display")? == "none",
        "links of the page are on paper"
    );
    let asked = json!({"preferCSSPageSize": true, "printBackground": true});
    let file = out.join(format!("{name}.pdf"));
    browser.save("Page.printToPDF", &asked, &file)?;
    paper(browser, &file)
}

/// Everything that is told on the page is on its paper: each heading, row and entry, however its lines are broken.
fn paper(browser: &mut Browser, file: &Path) -> Result<()> {
    let told = browser.value(
        "[...document.querySelectorAll('h1, h2, dd, td, th, li, pre')].filter(one => one.checkVisibility() && !one.closest('nav')) \
         .map(one => one.innerText)",
    )?;
    let told: Vec<&str> = told.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(told.len() > 20, "{} headings and rows", told.len());
    // In the order of the page, not of the eye: columns of a table stand beside each other.
    let printed = letters(&Cmd::new("pdftotext").arg("-raw").arg(file).arg("-").read()?);
    let missing: Vec<&&str> = told.iter().filter(|text| !printed.contains(&letters(text))).collect();
    ensure!(missing.is_empty(), "of {} headings and rows these are not on paper: {missing:?}", told.len());
    Ok(())
}

/// A text without what breaking of lines adds or takes away.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// An image by itself: the browser reads it as XML, and shows what it cannot read as an error.
fn image(browser: &mut Browser, file: &Path, name: &str, out: &Path) -> Result<()> {
    let address = format!("file://{}", file.display());
    see(browser, 1_360, 500, "light", "screen")?;
    browser.open(&address)?;
    ensure!(browser.value("document.documentElement.tagName")? == "svg", "it is no image");
    ensure!(browser.value("document.querySelectorAll('parsererror').length")? == 0, "it is no XML");
    ensure!(
        browser.value("document.querySelectorAll('.node').length > 2")? == json!(true),
        "it has no nodes"
    );
    alone(browser, &address)?;
    browser.save(
        "Page.captureScreenshot",
        &json!({"format": "png"}),
        &out.join(format!("{name}-svg.png")),
    )?;
    Ok(())
}

/// Sets the window, and what is preferred.
fn see(browser: &mut Browser, width: u32, height: u32, scheme: &str, media: &str) -> Result<()> {
    let window = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
    browser.ask("Emulation.setDeviceMetricsOverride", &window)?;
    let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
    browser.ask("Emulation.setEmulatedMedia", &json!({"media": media, "features": features}))?;
    Ok(())
}

/// The first thing that the keyboard reaches is the link to what the page is about, which can then be seen; in the end it has
/// been everywhere. What is folded unfolds by it.
fn keyboard(browser: &mut Browser) -> Result<()> {
    press(browser, "Tab", 9, "")?;
    let first = browser.value("document.activeElement.className")?;
    ensure!(first == "skip", "the keyboard reaches {first} first");
    let seen = browser.value("document.activeElement.getBoundingClientRect().left >= 0")?;
    ensure!(seen == json!(true), "the skip link is not seen when it is reached");
    let count = browser.value(&format!("{REACHED}.length"))?.as_u64().unwrap_or(0);
    for _ in 0..count * 2 {
        browser.value("document.activeElement.dataset.reached = 1")?;
        press(browser, "Tab", 9, "")?;
    }
    let missed =
        browser.value(&format!("{REACHED}.filter(one => !one.dataset.reached).map(one => one.outerHTML)"))?;
    ensure!(missed == json!([]), "the keyboard does not reach {missed}");
    let folded = "document.querySelector('details.one > summary')";
    if browser.value(&format!("{folded} !== null"))? == json!(true) {
        let open = format!("({folded}.focus(), {folded}.parentElement.open)");
        let before = browser.value(&open)?;
        press(browser, "Enter", 13, "\r")?;
        ensure!(browser.value(&open)? != before, "Enter does not unfold");
    }
    Ok(())
}

/// What the keyboard has to reach.
const REACHED: &str = "[...document.querySelectorAll('a[href], summary, button, input, [tabindex=\"0\"]')].filter(one => one.checkVisibility())";

fn press(browser: &mut Browser, key: &str, code: u32, text: &str) -> Result<()> {
    for kind in ["keyDown", "keyUp"] {
        let text = if kind == "keyDown" { text } else { "" };
        let event =
            json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
        browser.ask("Input.dispatchKeyEvent", &event)?;
    }
    Ok(())
}

/// Nothing was asked for but the page, and nothing broke its policy.
fn alone(browser: &Browser, address: &str) -> Result<()> {
    for event in &browser.events {
        let asked = event["params"]["request"]["url"].as_str();
        if event["method"] == "Network.requestWillBeSent" {
            ensure!(asked == Some(address), "it asks for {}", asked.unwrap_or("something"));
        }
        ensure!(
            event["method"] != "Log.entryAdded",
            "the browser complains: {}",
            event["params"]["entry"]["text"]
        );
    }
    Ok(())
}
