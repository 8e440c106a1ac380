//! The durable content of the services' databases when everything is over.

use super::phases::Run;
use crate::history::{ClientId, Event, Value};
use crate::scenario::Workload;
use crate::workload::{ORDERS_FILE, PACKETS_FILE, rows_in};

impl Run<'_> {
    /// Puts into the history what a power loss now would leave of every order
    /// database and every red-packet service's.
    pub(super) fn read_databases(&mut self) {
        for database in self.scenario.databases() {
            let orders = self.durable_rows(database, ORDERS_FILE);
            self.note_rows(database, Event::FinalOrders { orders });
        }
        let mut first = 0;
        for workload in &self.scenario.workloads {
            let next = first + workload.client_count();
            if matches!(workload, Workload::RedPacket(_)) {
                for service in first..next {
                    let rows = self.durable_rows(service, PACKETS_FILE).into_iter();
                    let packets = rows.map(|(value, _)| value).collect();
                    self.note_rows(service, Event::FinalPackets { packets });
                }
            }
            first = next;
        }
    }

    fn note_rows(&self, client: ClientId, event: Event) {
        self.recorder.record(self.world.now_ns(), client, event);
    }

    fn durable_rows(&self, client: ClientId, file: &str) -> Vec<(Value, bool)> {
        let inner = self.world.lock();
        let disk = &inner.disks[self.clients[client as usize].node as usize].model;
        let bytes = disk.durable_file(file).map(|content| content.to_vec());
        let sector_bytes = disk.sector_bytes() as usize;
        rows_in(&bytes.unwrap_or_default(), sector_bytes).collect()
    }
}
