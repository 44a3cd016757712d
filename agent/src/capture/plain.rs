//! An event without what may not be written: secrets among arguments, and packets.
//!
//! Whoever captures has the stages take the event as it is written, so that the replay cannot differ from the run.

use std::borrow::Cow;

use crate::credential::redact;
use crate::event::{Deed, Event, Seen, What};
use crate::names;

/// The event, with arguments redacted as they are in records, and of packets only the name and the addresses that the stages
/// read out of them.
#[must_use]
pub fn plain(event: &Event) -> Cow<'_, Event> {
    let what = match &event.what {
        What::Seen(seen) => match &seen.deed {
            Deed::Exec { argv, .. } if !argv.is_empty() => {
                let mut seen = seen.clone();
                if let Deed::Exec { argv, .. } = &mut seen.deed {
                    *argv = redact::kept(argv);
                }
                What::Seen(seen)
            }
            Deed::Hello { of, bytes } => {
                let deed = Deed::Hello { of: *of, bytes: names::plain_hello(bytes) };
                What::Seen(Box::new(Seen { deed, ..seen.as_ref().clone() }))
            }
            Deed::Exec { .. }
            | Deed::Fork { .. }
            | Deed::ExecFailed { .. }
            | Deed::Exit(_)
            | Deed::Open(_)
            | Deed::Receive(_)
            | Deed::Read { .. }
            | Deed::Unix { .. }
            | Deed::Key { .. }
            | Deed::Memory { .. }
            | Deed::Identity(_)
            | Deed::Connect { .. }
            | Deed::Send { .. }
            | Deed::Accept { .. }
            | Deed::AcceptEnd { .. }
            | Deed::ConnectEnd { .. } => return Cow::Borrowed(event),
        },
        What::Seeded(seeded) => {
            let mut seeded = seeded.clone();
            seeded.argv = redact::kept(&seeded.argv);
            What::Seeded(seeded)
        }
        What::Answer(bytes) => What::Answer(names::plain_answer(bytes)),
        What::Lost(_)
        | What::Refused { .. }
        | What::Repeated { .. }
        | What::Missed(_)
        | What::Silent { .. }
        | What::Present(_)
        | What::Tick => {
            return Cow::Borrowed(event);
        }
    };
    Cow::Owned(Event { time_ns: event.time_ns, what })
}
