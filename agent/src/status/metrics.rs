//! The status as Prometheus' text. Labels take their values from lists of ours and from the names of the config's sinks,
//! of which there are few: no label grows with what happens on the host.

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::Status;
use crate::telemetry::Ledger;

/// The status could not be written as metrics.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be written: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// What counters beside the ledger's count; names as in heartbeats.
const OTHERS: &[(&str, &str)] = &[
    (
        "samples_produced",
        "Samples that the probes numbered: those that were read, those that were dropped, and repetitions that were.",
    ),
    ("findings", "Findings: what deviates, each told once."),
    ("findings_again", "Times that an open finding was noticed again."),
    ("findings_folded", "Findings that are only counted in another one."),
    ("findings_learning", "Actions not judged because what is usual was not known for long enough."),
    ("findings_unjudged", "Actions not judged because there was no room for all that is usual."),
    ("findings_bulk", "Actions not judged because the account opens whatever it finds."),
    ("findings_evicted", "Open findings, and what is remembered for them, given up for want of room."),
    (
        "log_lines_left_out",
        "Lines of the agent's own log that were left out because one place said too many.",
    ),
];

#[derive(Default)]
struct Families(Vec<MetricFamily>);

/// A value, and by which labels.
type Value<'a> = (Vec<(&'a str, &'a str)>, f64);

impl Families {
    fn add<'a>(
        &mut self,
        kind: MetricType,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = Value<'a>>,
    ) {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        let metric = |(labels, value): Value<'a>| {
            let labels = labels.into_iter().map(|(name, value)| {
                let mut pair = LabelPair::default();
                pair.set_name(name.to_owned());
                pair.set_value(value.to_owned());
                pair
            });
            let mut metric = Metric::from_label(labels.collect());
            if kind == MetricType::COUNTER {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            } else {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            metric
        };
        let metrics: Vec<Metric> = values.into_iter().map(metric).collect();
        // A family without a value is a mistake in that format.
        if !metrics.is_empty() {
            family.set_metric(metrics);
            self.0.push(family);
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.add(MetricType::GAUGE, name, help, [(Vec::new(), value)]);
    }
}

/// Numbers of Prometheus are fractions of 53 bits; what we count stays below that for centuries.
#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
fn float(number: u64) -> f64 {
    number as f64
}

fn seconds(ms: u64) -> f64 {
    float(ms) / 1_000.0
}

fn since_1970(ns: i64) -> f64 {
    seconds(u64::try_from(ns / 1_000_000).unwrap_or(0))
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// The status in the text format of Prometheus, version 0.0.4.
///
/// # Errors
/// [`MetricsError`], which would be a mistake of ours.
pub fn metrics(status: &Status) -> Result<String, MetricsError> {
    let mut families = Families::default();
    agent(status, &mut families);
    counted(status, &mut families);
    seen(status, &mut families);
    store(status, &mut families);
    sinks(status, &mut families);
    Ok(TextEncoder::new().encode_to_string(&families.0)?)
}

fn agent(status: &Status, families: &mut Families) {
    let Status { agent, own, .. } = status;
    let info = vec![("version", agent.version.as_str()), ("kernel", agent.kernel.as_str())];
    families.add(
        MetricType::GAUGE,
        "spoor_build_info",
        "Which agent runs on which kernel; always 1.",
        [(info, 1.0)],
    );
    families.gauge(
        "spoor_degraded",
        "1 where something may be missing or is about to be; `spoor status` tells what.",
        flag(!status.degraded.is_empty()),
    );
    families.gauge(
        "spoor_ready",
        "1 where the probes are attached and the pipeline moves.",
        flag(status.not_ready.is_empty()),
    );
    let started = float(agent.started_seconds);
    families.gauge("process_start_time_seconds", "When the agent started, seconds since 1970.", started);
    let cpu = seconds(own.cpu_user_ms + own.cpu_system_ms);
    let help = "Processor time of the agent, in user mode and in the kernel.";
    families.add(MetricType::COUNTER, "process_cpu_seconds_total", help, [(Vec::new(), cpu)]);
    families.gauge("process_resident_memory_bytes", "Resident memory of the agent.", float(own.memory_bytes));
    families.gauge(
        "process_resident_memory_max_bytes",
        "The most that its resident memory ever was.",
        float(own.memory_peak_bytes),
    );
    families.gauge("process_threads", "Threads of the agent.", float(own.threads));
    families.gauge("process_open_fds", "Open descriptors of the agent.", float(own.descriptors));
}

/// Counters of heartbeats. Those by kind and by probe are told by label instead.
fn counted(status: &Status, families: &mut Families) {
    for (name, count) in &status.counters {
        let others = || OTHERS.iter().find(|(known, _)| known == name).map(|(_, meaning)| *meaning);
        if ["samples_dropped", "samples_repeated"].contains(&name.as_str()) {
            continue;
        }
        if let Some(meaning) = Ledger::meaning(name).or_else(others) {
            let value = [(Vec::new(), float(*count))];
            families.add(MetricType::COUNTER, &format!("spoor_{name}_total"), meaning, value);
        }
    }
}

fn seen(status: &Status, families: &mut Families) {
    let kinds = |of: fn(&super::Sample) -> u64| {
        status.samples.iter().map(move |sample| (vec![("kind", sample.kind.as_str())], float(of(sample))))
    };
    let help = "Samples of the probes that were read and decoded, by kind.";
    families.add(MetricType::COUNTER, "spoor_samples_total", help, kinds(|sample| sample.read));
    let help = "Samples that the kernel could not hand over because a ring was full, by kind: each is a gap.";
    families.add(MetricType::COUNTER, "spoor_samples_dropped_total", help, kinds(|sample| sample.dropped));
    let help = "The same of samples that would have told what another tells, by kind: how often is all that is missing.";
    families.add(MetricType::COUNTER, "spoor_samples_repeated_total", help, kinds(|sample| sample.repeated));
    let faults = status.faults.iter().map(|fault| {
        (vec![("source", fault.source.as_str()), ("fault", fault.fault.as_str())], float(fault.count))
    });
    let help = "Failures inside the probes, by attach point; those that never happened are left out.";
    families.add(MetricType::COUNTER, "spoor_probe_faults_total", help, faults);
    let proven = status.signals.iter().map(|signal| {
        let tier = signal.tier.as_deref().unwrap_or("none");
        (vec![("signal", signal.signal.as_str()), ("tier", tier)], flag(signal.proven))
    });
    let help = "1 where the last canary was seen through the tier in use, 0 where a signal is not covered.";
    families.add(MetricType::GAUGE, "spoor_signal_proven", help, proven);
    families.gauge("spoor_chains_open", "Chains that are open.", float(status.chains_open));
    families.gauge("spoor_processes", "Processes that are known.", float(status.processes));
    if let Some(purposes) = &status.purposes {
        let count = u64::try_from(purposes.count).unwrap_or(u64::MAX);
        families.gauge("spoor_purposes", "Purposes in force.", float(count));
    }
    if let Some(config) = &status.config {
        let waiting = u64::try_from(config.waiting.len()).unwrap_or(u64::MAX);
        let help = "Keys of the config that changed and hold after a restart only.";
        families.gauge("spoor_config_keys_waiting", help, float(waiting));
        let help = "1 where the config was good when it was read again last.";
        families.gauge("spoor_config_last_reload_successful", help, flag(config.refused.is_empty()));
    }
}

fn store(status: &Status, families: &mut Families) {
    let store = &status.store;
    families.gauge(
        "spoor_store_readable",
        "1 where the store could be looked at.",
        flag(store.error.is_none()),
    );
    families.gauge("spoor_store_size_bytes", "Room that the records take on the disk.", float(store.bytes));
    families.gauge("spoor_store_size_max_bytes", "Room that they may take.", float(store.max_bytes));
    families.gauge("spoor_store_keep_seconds", "How long they are kept.", float(store.keep_seconds));
    families.gauge("spoor_store_last_record", "Number of the last record.", float(store.last_seq));
    if let Some(oldest) = store.oldest_ns {
        let help = "Time of the first record that is kept, seconds since 1970.";
        families.gauge("spoor_store_oldest_timestamp_seconds", help, since_1970(oldest));
    }
    if let Some(newest) = store.newest_ns {
        let help = "Time of the last record, seconds since 1970.";
        families.gauge("spoor_store_newest_timestamp_seconds", help, since_1970(newest));
    }
}

fn sinks(status: &Status, families: &mut Families) {
    let each = |of: fn(&super::Sink) -> f64| {
        status.sinks.iter().map(move |sink| (vec![("sink", sink.name.as_str())], of(sink)))
    };
    let (counter, gauge) = (MetricType::COUNTER, MetricType::GAUGE);
    let help = "1 where the last attempt of the sink went wrong.";
    families.add(gauge, "spoor_sink_failing", help, each(|sink| flag(sink.error.is_some())));
    let help = "Records that the sink has not settled yet.";
    families.add(gauge, "spoor_sink_lag_records", help, each(|sink| float(sink.lag_records)));
    let help = "Time from the first of them to the newest record.";
    families.add(gauge, "spoor_sink_lag_seconds", help, each(|sink| seconds(sink.lag_ms)));
    let help = "Records that the sink has taken since there is this sink.";
    families.add(counter, "spoor_sink_records_total", help, each(|sink| float(sink.taken)));
    let help = "Attempts of the sink that failed and were tried again.";
    families.add(counter, "spoor_sink_retries_total", help, each(|sink| float(sink.retries)));
    let help = "Records that the receiver refused for good.";
    families.add(counter, "spoor_sink_set_aside_total", help, each(|sink| float(sink.set_aside)));
}
