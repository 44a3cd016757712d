//! Paths of cgroups.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;

use crate::event::Text;

/// Cgroup paths by id, as execs told them: for processes that are moved, or made in another cgroup, without an exec.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    /// `None` where one id was told with two paths, as on hosts whose units live in a v1 hierarchy.
    paths: HashMap<u64, Option<Arc<Text>>>,
    /// The path that nobody told.
    unknown: Arc<Text>,
    order: VecDeque<u64>,
}

impl Cgroups {
    const MAX: usize = 4096;

    pub(super) fn path(&self, id: u64) -> Arc<Text> {
        Arc::clone(self.paths.get(&id).and_then(Option::as_ref).unwrap_or(&self.unknown))
    }

    /// Takes in the path of one, which is whole and not empty. The same path is the same text.
    pub(super) fn learn(&mut self, id: u64, path: &Text) -> Arc<Text> {
        if let Some(known) = self.paths.get_mut(&id) {
            if let Some(same) = known.as_ref().filter(|known| ***known == *path) {
                return Arc::clone(same);
            }
            *known = None;
            return Arc::new(path.clone());
        }
        if self.order.len() == Self::MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.paths.remove(&oldest);
        }
        let path = Arc::new(path.clone());
        self.order.push_back(id);
        self.paths.insert(id, Some(Arc::clone(&path)));
        path
    }
}
