//! The order service's own database: which orders are settled, and how.
//!
//! One record to a sector, appended and synced: a record that is torn costs only
//! itself, and nothing that was settled before shares its sector.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;

use crate::env::{Disk, File};

const FILE: &str = "orders.db";
/// Order 8, how 1, checksum 4.
const RECORD_BYTES: usize = 13;

/// The orders that are settled, by their number: paid, or barred from ever being
/// paid.
pub(super) struct Database<D: Disk> {
    file: D::File,
    sector_bytes: usize,
    end: u64,
    settled: BTreeMap<u64, bool>,
}

impl<D: Disk> Database<D> {
    /// Opens it, or makes it.
    pub(super) async fn open(disk: &D) -> io::Result<Self> {
        let sector_bytes = disk.sector_bytes();
        let file = match disk.open(FILE).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = disk.create(FILE).await?;
                disk.sync_dir("").await?;
                file
            }
            opened => opened?,
        };
        let mut database = Self {
            file,
            sector_bytes,
            end: 0,
            settled: BTreeMap::new(),
        };
        database.read().await?;
        Ok(database)
    }

    async fn read(&mut self) -> io::Result<()> {
        let size_bytes = self.file.size_bytes().await? as usize;
        let bytes = self.file.read_at(0, size_bytes).await?;
        for sector in bytes.chunks(self.sector_bytes) {
            if let Some((order, paid)) = decode(sector) {
                self.settled.insert(order, paid);
            }
        }
        // Behind whatever is there, torn or not.
        self.end = size_bytes.next_multiple_of(self.sector_bytes) as u64;
        // What a process that died had not synced is relied on from here on.
        self.file.sync_all().await
    }

    /// How an order is settled; `None`: it is not.
    pub(super) fn settled(&self, order: u64) -> Option<bool> {
        self.settled.get(&order).copied()
    }

    /// Settles an order durably, if nothing has before; gives how it is settled.
    pub(super) async fn settle(&mut self, order: u64, paid: bool) -> io::Result<bool> {
        if let Some(settled) = self.settled(order) {
            return Ok(settled);
        }
        let mut sector = vec![0; self.sector_bytes];
        encode(&mut sector, order, paid);
        self.file.write_at(self.end, Bytes::from(sector)).await?;
        self.file.sync_data().await?;
        self.end += self.sector_bytes as u64;
        self.settled.insert(order, paid);
        Ok(paid)
    }
}

fn encode(sector: &mut [u8], order: u64, paid: bool) {
    sector[..8].copy_from_slice(&order.to_be_bytes());
    sector[8] = u8::from(paid);
    let crc = crc32fast::hash(&sector[..9]);
    sector[9..RECORD_BYTES].copy_from_slice(&crc.to_be_bytes());
}

fn decode(sector: &[u8]) -> Option<(u64, bool)> {
    let record = sector.first_chunk::<RECORD_BYTES>()?;
    let crc = u32::from_be_bytes(record[9..].try_into().ok()?);
    let order = u64::from_be_bytes(record[..8].try_into().ok()?);
    // A sector of zeros has the checksum of none.
    (crc32fast::hash(&record[..9]) == crc).then_some((order, record[8] == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_torn_one_is_none() {
        let mut sector = [0; 512];
        assert_eq!(decode(&sector), None);
        for (order, paid) in [(0, false), (7 << 32, true)] {
            encode(&mut sector, order, paid);
            assert_eq!(decode(&sector), Some((order, paid)));
        }
        sector[8] ^= 1;
        assert_eq!(decode(&sector), None);
        assert_eq!(decode(&sector[..12]), None);
    }
}
