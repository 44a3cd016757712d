//! Parses the command line and turns the result into an exit code.

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    if args.first().is_some_and(|a| a == spoor::kernel::CANARY_ARGUMENT) {
        if let Err(e) = spoor::kernel::canary_child(&args[1..]) {
            eprintln!("{e}");
            std::process::exit(1);
        }
        return;
    }
    use spoor::kernel::*;
    let t = std::time::Instant::now();
    let host = inspect().unwrap();
    eprintln!("inspect {:?}", t.elapsed());
    let mut k = Kernel::load(&host, Options { scoped: true, log_level: 0 }).unwrap();
    eprintln!("load {:?}", t.elapsed());
    let mut control = Control::take(&mut k).unwrap();
    let counters = Counters::take(&mut k).unwrap();
    let ledger = std::sync::Arc::new(spoor::telemetry::Ledger::default());
    let reader = Reader::take(&mut k, counters, ledger.clone()).unwrap();
    let (h, feed) = reader.start().unwrap();
    let tiers: Vec<_> = if args.is_empty() {
        probes::Tier::ALL.to_vec()
    } else {
        args.iter().filter_map(|a| probes::Tier::from_name(a)).collect()
    };
    let c = establish(&mut k, &mut control, &feed, &tiers).unwrap();
    eprintln!("established {:?}", t.elapsed());
    for s in &c.signals {
        eprintln!("{s:?}");
    }
    for e in &c.kept {
        let s = format!("{e:?}");
        if !s.contains("Tick") {
            eprintln!("{s}");
        }
    }
    eprintln!("{:?}", k.verified());
    k.detach_all();
    let c = h.stop().unwrap();
    eprintln!(
        "produced {} dropped {:?} faults {:?} ledger {:?}",
        c.produced(),
        c.dropped(),
        c.faults(),
        ledger
    );
}
