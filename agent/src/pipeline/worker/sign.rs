//! The chain of records, signed.

use super::{Surroundings, Worker};
use crate::actor::Host;
use crate::capture::Input;
use crate::credential::Describe;
use crate::store::StoreError;

impl<D: Describe, H: Host> Worker<D, H> {
    /// Signs, where it is time for that.
    pub(super) fn sign_in_time(&mut self, now: u64) -> Result<(), StoreError> {
        if self.around.signing.is_due(now) { self.sign(now) } else { Ok(()) }
    }

    /// Signs for all that is stored.
    pub(super) fn sign(&mut self, now: u64) -> Result<(), StoreError> {
        let Surroundings { signing, store, .. } = &mut self.around;
        let Some(head) = signing.head(&self.desk.builder, store.end(), now) else { return Ok(()) };
        let mut records = Vec::new();
        self.enter(&Input::Head { time_ns: now, head }, &mut records);
        self.store_or_wait(&records)?;
        if let Err(error) = self.around.signing.taken() {
            tracing::error!("the key is not changed: {error}");
        }
        Ok(())
    }
}
