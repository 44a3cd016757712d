//! What is deployed: to Kubernetes the manifest and the chart say the same, and both fit the schemas that Kubernetes publishes;
//! the board fits those of Grafana; the queries that a SIEM is asked find what they should.

use anyhow::Result;

use crate::paths;
use crate::receivers;
use crate::sh::Cmd;

/// Helm's library with what renders a chart, and the schemas. (Neither is linked into anything.)
const PACKAGES: &[&str] = &["helm-python-sdk==0.2.2", "kubernetes-validate==1.37.0"];
/// What Grafana makes of its schemas.
const GRAFANA: &[&str] = &["grafana-foundation-sdk==1769699998!10.1.0"];
/// A translator from Microsoft's query language to a database.
const KUSTO: &[&str] = &["duckdb-kql==1.1.2", "duckdb==2.0.1", "pytz==2026.6"];

pub(crate) fn check() -> Result<()> {
    let python = receivers::python_with("python-kubernetes", PACKAGES)?;
    let deploy = paths::root().join("deploy");
    Cmd::new(python).arg("tests/kubernetes/check.py").arg(&deploy).run()?;
    let python = receivers::python_with("python-grafana", GRAFANA)?;
    Cmd::new(python).arg("tests/grafana/board.py").arg(&deploy).run()?;
    let python = receivers::python_with("python-kusto", KUSTO)?;
    Cmd::new(python).arg("tests/siem/kql.py").arg(paths::root()).run()
}
