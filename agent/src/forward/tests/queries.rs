//! What a file sink wrote, asked about by an engine that knows nothing of spoor: SQLite, by its own functions for JSON.

use std::process::Command;

use super::*;
use crate::config::{Format, OcsfVersion};

/// A line is a row. Each row of the answer is a line, its columns with a bar between.
const ASK: &str = "
import sqlite3, sys
db = sqlite3.connect(':memory:')
db.execute('CREATE TABLE lines (json TEXT CHECK (json_valid(json)))')
with open(sys.argv[1], encoding='utf-8') as lines:
    db.executemany('INSERT INTO lines VALUES (?)', ((line,) for line in lines))
for row in db.execute(sys.argv[2]):
    print('|'.join('' if value is None else str(value) for value in row))
";

/// The chain that a connection is in, with the credentials that were opened in it before: what an analyst would join.
const OF_NATIVE: &str = "
SELECT count(*), count(DISTINCT c.json ->> '$.seq'), min(o.json ->> '$.file.path')
FROM lines c, json_each(c.json, '$.link.of') linked, lines o
WHERE c.json ->> '$.action' = 'connect' AND o.json ->> '$.seq' = linked.value AND o.json ->> '$.action' = 'secret.open'
  AND o.json ->> '$.chain' = c.json ->> '$.chain'";

const OF_OCSF: &str = "
SELECT count(*), count(DISTINCT c.json ->> '$.metadata.sequence'), min(o.json ->> '$.file.path')
FROM lines c, lines o
WHERE c.json ->> '$.class_uid' = 4001 AND o.json ->> '$.class_uid' = 1001
  AND o.json ->> '$.metadata.correlation_uid' = c.json ->> '$.metadata.correlation_uid'
  AND o.json ->> '$.metadata.sequence' < c.json ->> '$.metadata.sequence'";

const COUNT: [&str; 2] = [
    "SELECT count(*), count(DISTINCT json ->> '$.seq'), max(json ->> '$.seq') FROM lines",
    "SELECT count(*), count(DISTINCT json ->> '$.metadata.uid'), max(json ->> '$.metadata.sequence') FROM lines",
];

#[tokio::test]
async fn sqlite_answers_an_analysts_questions_from_what_a_file_sink_wrote() {
    let python = std::env::var_os("SPOOR_PYTHON").unwrap_or_else(|| "python3".into());
    let knows = "import sqlite3; assert sqlite3.sqlite_version_info >= (3, 38)";
    if !Command::new(&python).args(["-c", knows]).status().is_ok_and(|status| status.success()) {
        assert!(
            std::env::var_os("SPOOR_PYTHON").is_none(),
            "the Python of the tests has no SQLite of 3.38 or later"
        );
        eprintln!("SKIP: no python3 with SQLite 3.38 or later; `cargo xtask test unit` gets one");
        return;
    }
    for (format, count, join) in
        [(Format::Native, COUNT[0], OF_NATIVE), (Format::Ocsf(OcsfVersion::default()), COUNT[1], OF_OCSF)]
    {
        let mut bench = Bench::new();
        let path = bench.path();
        let kind = SinkKind::File { path: path.clone(), rotate: None };
        let sink =
            tokio::spawn(bench.sink_of(SinkConfig { format, ..SinkConfig::plain("test", kind) }).run());
        for _ in 0..3 {
            bench.night();
        }
        assert_eq!(bench.end(sink).await, SinkEnd::Drained);
        let ask = |question: &str| {
            let output = Command::new(&python).args(["-c", ASK]).arg(&path).arg(question).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let all = bench.store.last_seq();
        assert_eq!(ask(count), format!("{all}|{all}|{all}"), "{}", format.name());
        // A night has two connections, each after the openings of two credentials.
        let connections = bench.made.iter().filter(|record| is_connect(record)).count();
        let joined = ask(join);
        let columns: Vec<&str> = joined.split('|').collect();
        assert_eq!(columns[2], "/home/backup/.aws/credentials", "{}", format.name());
        assert_eq!(columns[1], connections.to_string(), "{}", format.name());
        assert!(columns[0].parse::<usize>().unwrap() >= 2 * connections, "{joined}");
    }
}

fn is_connect(record: &Record) -> bool {
    String::from_utf8_lossy(&record.body).contains(r#""action":"connect""#)
}
