//! Paths of files that were found to be credentials. A reading is told by inode alone: the file was told of before.

use std::collections::VecDeque;

use foldhash::HashMap;

use crate::event::{OpenedFile, Text};

/// Most files remembered; the one learnt longest ago is forgotten first. As many as the kernel knows.
const FILES_MAX: usize = 16_384;

/// Device and inode.
type Key = (u32, u64);

/// Files by inode.
#[derive(Debug, Default)]
pub(super) struct Known {
    paths: HashMap<Key, Text>,
    order: VecDeque<Key>,
}

impl Known {
    /// A file is opened, received, or was held: this is its path now.
    pub(super) fn learn(&mut self, file: &OpenedFile) {
        let key = (file.dev, file.ino);
        if self.paths.get(&key).is_some_and(|known| *known == file.path) {
            return;
        }
        if self.paths.insert(key, file.path.clone()).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > FILES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.paths.remove(&oldest);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.paths.len().max(self.order.len())
    }

    /// The file with the path it was told under last; without one where nothing is known of it.
    pub(super) fn with_path(&self, file: &OpenedFile) -> OpenedFile {
        let path = self.paths.get(&(file.dev, file.ino)).cloned();
        OpenedFile { path: path.unwrap_or_default(), ..file.clone() }
    }
}
