//! Paths of cgroups.

use std::collections::{HashMap, VecDeque};

use crate::event::Text;

/// Cgroup paths by id, as execs told them: for processes that are moved, or made in another cgroup, without an exec.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    /// `None` where one id was told with two paths, as on hosts whose units live in a v1 hierarchy.
    paths: HashMap<u64, Option<Text>>,
    order: VecDeque<u64>,
}

impl Cgroups {
    const MAX: usize = 4096;

    pub(super) fn path(&self, id: u64) -> Text {
        self.paths.get(&id).cloned().flatten().unwrap_or_default()
    }

    pub(super) fn learn(&mut self, id: u64, path: &Text) {
        if let Some(known) = self.paths.get_mut(&id) {
            if known.as_ref().is_some_and(|known| known != path) {
                *known = None;
            }
            return;
        }
        if self.order.len() == Self::MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.paths.remove(&oldest);
        }
        self.order.push_back(id);
        self.paths.insert(id, Some(path.clone()));
    }
}
