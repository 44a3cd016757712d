//! The same stages as what they know grows: so many processes, or events of so many CPUs, and then so many deeds. Nothing is
//! printed but a line about memory: whoever counts instructions asks for two numbers of deeds, and takes the difference.

use std::path::Path;

use spoor::kernel::Order;

use super::stream::{Stream, births, deeds};
use super::{builder, decode, made, play, play_to, resident};

/// Samples that each CPU makes a second.
const RATE: u64 = 2_000;

/// Deeds whose events are made however many are played, so that making them is in no difference of two runs: what a sample costs
/// until it is an event is measured by itself.
const MADE: u32 = 3_000;
/// Events of a deed.
const EVENTS: usize = 6;

/// `grown processes MANY DEEDS` and `grown cpus MANY DEEDS`; `grown samples 6 DEEDS` reads samples only, and `grown records MANY
/// DEEDS` makes records as well.
pub(super) fn grown(arguments: &[String], root: &Path) -> std::io::Result<()> {
    let usage = || std::io::Error::other("usage: grown processes|cpus|samples|records MANY DEEDS");
    let [what, many, count] = arguments else { return Err(usage()) };
    let (many, count) =
        (many.parse::<u32>().map_err(|_| usage())?, count.parse::<u32>().map_err(|_| usage())?);
    match what.as_str() {
        "processes" => processes(many, count, root),
        "cpus" => cpus(many, count, root),
        "samples" => drop(decode(count)),
        "records" => records(many, count, root),
        _ => return Err(usage()),
    }
    Ok(())
}

fn processes(many: u32, count: u32, root: &Path) {
    let mut stream = Stream::new();
    births(&mut stream, many);
    let known = std::mem::take(&mut stream.events);
    deeds(&mut stream, many, count.max(MADE));
    let mut stages = made(root, many + count);
    let before = resident();
    play(&mut stages, &known);
    let bytes = resident().saturating_sub(before);
    let events = count as usize * EVENTS;
    play(&mut stages, stream.events.get(..events).unwrap_or(&stream.events));
    println!("bytes {bytes}");
}

fn records(many: u32, count: u32, root: &Path) {
    let mut stream = Stream::new();
    births(&mut stream, many);
    let born = stream.events.len();
    deeds(&mut stream, many, count.max(MADE));
    let events = born + count as usize * EVENTS;
    let mut builder = builder();
    let (mut records, mut bytes) = (0, 0);
    play_to(&mut made(root, many + count), stream.events.get(..events).unwrap_or(&stream.events), |note| {
        records += 1;
        bytes += builder.note(note).body.len();
    });
    println!("records {records} bytes {bytes}");
}

/// Each CPU's samples come in order, and those of several one after the other: a sample that was begun first may be read
/// behind what other CPUs made meanwhile.
fn cpus(many: u32, count: u32, root: &Path) {
    const PROCESSES: u32 = 1_000;
    let mut stream = Stream::new();
    births(&mut stream, PROCESSES);
    let known = std::mem::take(&mut stream.events);
    deeds(&mut stream, PROCESSES, count);
    let mut stages = made(root, PROCESSES + count);
    play(&mut stages, &known);
    let mut order = Order::<2>::new();
    let between = 1_000_000_000 / (RATE * u64::from(many));
    let start = stream.events.first().map_or(0, |event| event.time_ns);
    let mut events: Vec<_> = std::mem::take(&mut stream.events);
    for (number, event) in (0..).zip(&mut events) {
        event.time_ns = start + number * between;
    }
    // As many as there are CPUs come the other way round, each half of them by one of the rings.
    for together in events.chunks_mut(many as usize) {
        together.reverse();
    }
    for (number, event) in events.into_iter().enumerate() {
        order.came(number % 2, event);
        if number % 64 == 0 {
            play(&mut stages, &order.ready());
        }
    }
    play(&mut stages, &order.rest());
    println!("bytes 0");
}
