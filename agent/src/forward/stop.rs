//! The order to stop, and what waits for it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The order to stop.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    until: Instant,
    pub(super) leaves: bool,
}

impl Stop {
    /// After what is stored is handed over, or after that time.
    #[must_use]
    pub fn drained(time: Duration) -> Self {
        Stop { until: Instant::now() + time, leaves: false }
    }

    /// After what is under way, or after that time. Given up in its middle, it would come twice: handed over, and not
    /// written down.
    #[must_use]
    pub fn left(time: Duration) -> Self {
        Stop { until: Instant::now() + time, leaves: true }
    }
}

/// Until when.
pub(super) fn until(order: Option<Stop>) -> Option<Instant> {
    order.map(|order| order.until)
}

/// Until a deadline, if there is one.
pub(super) async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Until the order to stop changes. Who could give one and is gone has not given any: then never.
pub(super) async fn stopped(stop: &mut watch::Receiver<Option<Stop>>) {
    if stop.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
