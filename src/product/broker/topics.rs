//! Topics as the next append sees them, and their queues on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::env::Disk;
use crate::log::{ConsumeQueue, QueueEntry, QueueError, QueueTail};

/// A topic.
pub(crate) struct Topic<D: Disk> {
    pub(crate) name: Arc<str>,
    pub(crate) queues: Vec<TopicQueue<D>>,
}

/// One queue of a topic.
pub(crate) struct TopicQueue<D: Disk> {
    /// The offset that the next append gets. Ahead of the state by what is
    /// appended and not applied (D20: a function of the log's prefix).
    pub(crate) next_offset: u64,
    /// Its entries, up to what is applied.
    pub(crate) entries: ConsumeQueue<D>,
    /// Applied in this round and not written yet.
    pub(crate) pending: Vec<QueueEntry>,
}

/// Every topic, by name.
pub(crate) struct Topics<D: Disk>(BTreeMap<Arc<str>, Topic<D>>);

impl<D: Disk> Default for Topics<D> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<D: Disk> Topics<D> {
    pub(crate) fn get(&self, topic: &str) -> Option<&Topic<D>> {
        self.0.get(topic)
    }

    pub(crate) fn get_mut(&mut self, topic: &str) -> Option<&mut Topic<D>> {
        self.0.get_mut(topic)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// A topic's name, to be kept.
    pub(crate) fn shared_name(&self, topic: &str) -> Arc<str> {
        self.get(topic)
            .map_or_else(|| topic.into(), |known| known.name.clone())
    }

    /// The queue, if topic and number are known.
    pub(crate) fn queue(&self, topic: &str, queue_id: u32) -> Option<&TopicQueue<D>> {
        self.0.get(topic)?.queues.get(queue_id as usize)
    }

    /// The queue, if topic and number are known.
    pub(crate) fn queue_mut(&mut self, topic: &str, queue_id: u32) -> Option<&mut TopicQueue<D>> {
        self.0.get_mut(topic)?.queues.get_mut(queue_id as usize)
    }

    /// Adds a topic with its queues.
    pub(crate) fn add(&mut self, topic: &str, queues: Vec<TopicQueue<D>>) {
        let name: Arc<str> = topic.into();
        self.0.insert(name.clone(), Topic { name, queues });
    }

    /// Forgets a topic whose making was taken back.
    pub(crate) fn remove(&mut self, topic: &str) {
        self.0.remove(topic);
    }

    /// Every topic.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Topic<D>> {
        self.0.values_mut()
    }
}

/// A topic's queues, each as far as its tail says, with so many entries in a file.
/// Touches no file.
pub(crate) fn open_queues<D: Disk>(
    disk: &D,
    topic: &str,
    tails: &[QueueTail],
    file_entries: u64,
) -> Result<Vec<TopicQueue<D>>, QueueError> {
    let mut queues = Vec::with_capacity(tails.len());
    for (queue_id, tail) in (0..).zip(tails) {
        let entries = ConsumeQueue::open(disk.clone(), topic, queue_id, file_entries, tail)?;
        queues.push(TopicQueue {
            next_offset: tail.entries,
            entries,
            pending: Vec::new(),
        });
    }
    Ok(queues)
}
