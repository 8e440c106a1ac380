//! The actions of faults: a file for each kind, with how it begins, how it ends, whether
//! it could matter and whether it did.

mod client_kill;
mod client_power;
mod clock_drift;
mod clock_jump;
mod clock_skew;
mod disk_destroyed;
mod disk_error;
mod disk_full;
mod disk_hung;
mod disk_limping;
mod disk_lying;
mod disk_rolled_back;
mod disk_slow;
mod kill;
mod link_limping;
mod lost_write;
mod misdirected_write;
mod partition;
mod pause;
mod power_loss;
mod read_error;
mod restart;
mod rot;
mod sector;
mod stray_file;
mod sync_error;

use super::phases::Run;
use crate::scenario::{FaultAction, FileClass};
use crate::sim::disk::{ArmedFault, DiskFault, DiskImage};
use crate::sim::files::paths_of;
use crate::sim::net::NodeId;

use disk_slow::Slowed;
pub(super) use power_loss::Left;
pub(super) use sector::aim_of;
pub(super) use stray_file::is_broker_s;

/// An action that falls on a machine, or on a client.
#[derive(Debug)]
pub(super) struct Strike<'a> {
    /// The node, brokers first.
    pub(super) node: usize,
    /// The number that decides everything that is left to chance.
    pub(super) draw: u32,
    /// The image that a rollback sets the disk back to.
    pub(super) image: Option<DiskImage>,
    /// All brokers' machines that are hit at this instant.
    pub(super) group: &'a [NodeId],
}

impl Run<'_> {
    /// Begins an action.
    pub(super) fn act(&mut self, action: &FaultAction, strike: &Strike<'_>) {
        let (node, seed) = (strike.node, u64::from(strike.draw));
        match *action {
            FaultAction::Kill { down } => self.kill(node, down.ns()),
            FaultAction::Restart { down } => self.restart(node, down.ns()),
            FaultAction::PowerLoss { down, ref survival } => {
                self.power_loss(node, Left::Planned(survival, strike.draw), down.ns());
            }
            FaultAction::DiskDestroyed { down } => self.destroy(node, down.ns()),
            FaultAction::DiskRolledBack { down, .. } => {
                if let Some(image) = &strike.image {
                    self.roll_back(node, image, down.ns());
                }
            }
            FaultAction::SyncError {
                cache,
                file,
                form,
                skip,
            } => {
                let fault = sync_error::fault(cache.get(), form.get());
                self.arm_disk(node, fault, (file.class(), skip.or_0()), seed);
            }
            FaultAction::ReadError { file } => self.read_error(node, file.class(), seed),
            FaultAction::Rot { file, form } => self.rot(node, file.class(), form.get(), seed),
            FaultAction::MisdirectedWrite { file, skip } => {
                self.misdirect_write(node, (file.class(), skip.or_0()), seed);
            }
            FaultAction::LostWrite { file, skip } => {
                self.lose_write(node, (file.class(), skip.or_0()), seed);
            }
            FaultAction::StrayFile {
                down,
                name,
                content,
            } => self.leave_file(node, (name.get(), content.get()), down.ns(), seed),
            FaultAction::DiskFull { lasts } => self.fill_disk(node, lasts.ns(), seed),
            FaultAction::DiskError {
                lasts,
                error,
                operation,
                file,
            } => {
                let refused = disk_error::refused(error, operation, file);
                self.refuse_operations(node, refused, lasts.ns());
            }
            FaultAction::DiskSlow { extra, lasts } => {
                let slowed = Slowed {
                    extra_ns: extra.ns(),
                    factor: 1,
                };
                self.slow_disk(node, action.kind(), slowed, lasts.ns());
            }
            FaultAction::DiskLimping { lasts, factor } => {
                self.limp_disk(node, factor.low as u32, lasts.ns());
            }
            FaultAction::DiskHung { lasts } => self.hang_disk(node, lasts.ns(), seed),
            FaultAction::DiskLying { lasts } => self.let_disk_lie(node, lasts.ns(), seed),
            FaultAction::Partition {
                lasts,
                shape,
                links,
                cut,
            } => self.part(strike, (shape, links, cut), lasts.ns()),
            FaultAction::LinkLimping {
                links,
                lasts,
                way,
                factor,
            } => self.limp_links(strike, (links, way), factor.low as u32, lasts.ns()),
            FaultAction::ClockSkew { by, way } => self.skew(node, way.signed(by.ns())),
            FaultAction::ClockJump { lasts, by, way } => {
                self.jump(node, way.signed(by.ns()), lasts.ns());
            }
            FaultAction::ClockDrift { lasts, by_ppm, way }
            | FaultAction::ClientClockDrift { lasts, by_ppm, way } => {
                self.drift(node, way.signed(by_ppm.low), lasts.ns());
            }
            FaultAction::Pause { lasts, reading } => {
                self.pause(node, lasts.ns(), reading.or_0() as u32);
            }
            FaultAction::ClientPause { lasts } => self.pause(node, lasts.ns(), 0),
            FaultAction::ClientKill { down } => self.kill_client(node, down.ns()),
            FaultAction::ClientPower { down, ref survival } => {
                self.take_power_of_client(node, (survival, strike.draw), down.ns());
            }
        }
    }

    /// `aim`: the files, and so many of the matching operations that pass before.
    fn arm_disk(&mut self, machine: usize, fault: DiskFault, aim: (FileClass, u64), seed: u64) {
        let (file, skip) = aim;
        let armed = ArmedFault {
            skip,
            ..ArmedFault::next(fault, paths_of(file), seed)
        };
        self.world.lock().disks[machine].model.arm(armed);
    }
}
