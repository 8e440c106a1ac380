//! Where the files of each class are on a broker's disk.

use crate::broker::{AGES_FILE, BASE_FILE, FOUNDING_FILE, QUARANTINE_FILE, STATE_FILE};
use crate::log::{CHECKPOINT_FILE, IDENTITY_FILE};
use crate::raft::HARD_STATE_FILE;
use crate::scenario::FileClass;

/// How the paths of a class begin; of a header, the path of its file.
pub(crate) fn paths_of(class: FileClass) -> &'static str {
    match class {
        FileClass::CommitLog | FileClass::SegmentHeader => "commitlog/",
        FileClass::HardState => HARD_STATE_FILE,
        FileClass::Base => BASE_FILE,
        FileClass::Checkpoint => CHECKPOINT_FILE,
        FileClass::State => STATE_FILE,
        FileClass::Queues => "consumequeue/",
        FileClass::Ages => AGES_FILE,
        FileClass::Identity => IDENTITY_FILE,
        FileClass::Founding => FOUNDING_FILE,
        FileClass::Quarantined => QUARANTINE_FILE,
        FileClass::Any => "",
    }
}
