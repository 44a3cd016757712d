//! Real receivers for the tests of sinks: Debian packages unpacked below `target/`. Installed, a system logger would be the
//! machine's, and the two of them exclude each other.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::sh::{Cmd, step, which};
use crate::{apt, paths};

/// What tells the tests where they are.
pub(crate) const ENV: &str = "SPOOR_RECEIVERS";

/// The loggers, and the libraries that a machine without them may lack.
const PACKAGES: &[&str] = &[
    "rsyslog",
    "rsyslog-openssl",
    "libestr0",
    "libfastjson4",
    "liblognorm5",
    "syslog-ng-core",
    "libivykis0",
    "libnet1",
    "libjson-c5",
    "libwrap0",
    "libpcre3",
    "libglib2.0-0",
    "prometheus", // for its promtool, which judges our metrics
];

/// Unpacks what is not there yet. The folder says which packages it has when all of them are there.
pub(crate) fn ensure() -> Result<PathBuf> {
    let root = paths::target().join("receivers");
    let (complete, wanted) = (root.join("complete"), PACKAGES.join(" "));
    if fs::read_to_string(&complete).is_ok_and(|had| had == wanted) {
        return Ok(root);
    }
    if which("apt-get").is_none() || which("dpkg-deb").is_none() {
        bail!("the receivers of the tests come from Debian packages, and there is no apt-get here");
    }
    let packages = root.join("packages");
    fs::create_dir_all(&packages).with_context(|| format!("cannot create {}", packages.display()))?;
    step!("receivers: downloading {wanted}");
    let download =
        || Cmd::new("apt-get").args(["download", "-qq"]).args(PACKAGES).current_dir(&packages).run();
    if download().is_err() {
        // A fresh machine has no package lists, or stale ones.
        Cmd::new("apt-get").args(["update", "-qq"]).advice("is the network there?").run()?;
        download()?;
    }
    for entry in fs::read_dir(&packages)? {
        Cmd::new("dpkg-deb").args(["-x".as_ref(), entry?.path().as_os_str(), root.as_os_str()]).run()?;
    }
    fs::write(complete, wanted)?;
    Ok(root)
}

/// Packages of Python: a collector of OpenTelemetry that is a program in a wheel, libraries that read its messages and W3C
/// PROV, and Kafka's librdkafka with brokers to test it with.
const PYTHON: &[&str] =
    &["rotel==0.0.1a15", "prov==3.2.3", "opentelemetry-proto==1.45.2", "confluent-kafka==2.16.1"];

/// What tells the tests where they are.
pub(crate) const PYTHON_ENV: &str = "SPOOR_PYTHON";
pub(crate) const COLLECTOR_ENV: &str = "SPOOR_COLLECTOR";

/// A Python with these packages, and the collector in them.
pub(crate) fn python() -> Result<(PathBuf, PathBuf)> {
    let python = python_with("python", PYTHON)?;
    let find = "import os, rotel; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))";
    let collector = Cmd::new(&python).args(["-c", find]).read()?;
    Ok((python, PathBuf::from(collector.trim())))
}

/// A Python of its own with packages from PyPI, in a folder below `target/`.
pub(crate) fn python_with(folder: &str, packages: &[&str]) -> Result<PathBuf> {
    let root = paths::target().join(folder);
    let python = root.join("bin/python3");
    // What was made for an older list is not complete.
    let list = packages.join("\n");
    if fs::read_to_string(root.join("complete")).ok().as_ref() != Some(&list) {
        step!("receivers: {} from PyPI", packages.join(" "));
        let make = || Cmd::new("python3").args(["-m".as_ref(), "venv".as_ref(), root.as_os_str()]).run();
        if make().is_err() {
            apt::install(&["python3", "python3-venv"], "what the tests have in Python")?;
            make()?;
        }
        Cmd::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages).run()?;
        fs::write(root.join("complete"), list)?;
    }
    Ok(python)
}
