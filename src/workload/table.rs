//! A small table on a disk: which orders are settled and how, or which have
//! their red packet.
//!
//! One row to a sector, appended and synced: a row that is torn costs only
//! itself, and nothing that was kept before shares its sector.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;

use crate::env::{Disk, File};
use crate::history::{ClientId, Value};

/// Client 4, number 8, digest 8, flag 1, checksum 4.
const ROW_BYTES: usize = 25;

/// One row for each order, the first one that was put there.
pub(super) struct Table<D: Disk> {
    file: D::File,
    sector_bytes: usize,
    end: u64,
    rows: BTreeMap<(ClientId, u64), (Value, bool)>,
}

impl<D: Disk> Table<D> {
    /// Opens it, or makes it.
    pub(super) async fn open(disk: &D, name: &str) -> io::Result<Self> {
        let sector_bytes = disk.sector_bytes();
        let file = match disk.open(name).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(name).await?,
            opened => opened?,
        };
        // A process that died may have left a name that is not durable.
        disk.sync_dir("").await?;
        let mut table = Self {
            file,
            sector_bytes,
            end: 0,
            rows: BTreeMap::new(),
        };
        table.read().await?;
        Ok(table)
    }

    async fn read(&mut self) -> io::Result<()> {
        let size_bytes = self.file.size_bytes().await? as usize;
        let bytes = self.file.read_at(0, size_bytes).await?;
        for (value, flag) in rows_in(&bytes, self.sector_bytes) {
            self.rows.entry(key(value)).or_insert((value, flag));
        }
        // Behind whatever is there, torn or not.
        self.end = size_bytes.next_multiple_of(self.sector_bytes) as u64;
        // Rows that a process that died had not synced are relied on from here on.
        self.file.sync_all().await
    }

    /// Every row, in the order of clients and their numbers.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Value, bool)> {
        self.rows.values().copied()
    }

    /// The flag of an order's row; `None`: it has none.
    pub(super) fn get(&self, value: Value) -> Option<bool> {
        self.rows.get(&key(value)).map(|(_, flag)| *flag)
    }

    /// Keeps rows durably, by one sync; gives those that were not there. Of
    /// several of one order the first is kept.
    pub(super) async fn put(&mut self, rows: &[(Value, bool)]) -> io::Result<Vec<(Value, bool)>> {
        let mut new = BTreeMap::new();
        for (value, flag) in rows {
            if self.get(*value).is_none() {
                new.entry(key(*value)).or_insert((*value, *flag));
            }
        }
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let mut sectors = vec![0; new.len() * self.sector_bytes];
        for (sector, row) in sectors.chunks_mut(self.sector_bytes).zip(new.values()) {
            encode(sector, *row);
        }
        let bytes = sectors.len() as u64;
        self.file.write_at(self.end, Bytes::from(sectors)).await?;
        self.file.sync_data().await?;
        self.end += bytes;
        let added = new.values().copied().collect();
        self.rows.append(&mut new);
        Ok(added)
    }
}

fn key(value: Value) -> (ClientId, u64) {
    (value.client, value.sequence)
}

/// Every row in the bytes of a table's file, in the order in which they stand
/// there, repeated ones too.
pub fn rows_in(bytes: &[u8], sector_bytes: usize) -> impl Iterator<Item = (Value, bool)> {
    bytes.chunks(sector_bytes).filter_map(decode)
}

fn encode(sector: &mut [u8], (value, flag): (Value, bool)) {
    sector[..4].copy_from_slice(&value.client.to_be_bytes());
    sector[4..12].copy_from_slice(&value.sequence.to_be_bytes());
    sector[12..20].copy_from_slice(&value.digest.to_be_bytes());
    sector[20] = u8::from(flag);
    let crc = crc32fast::hash(&sector[..21]);
    sector[21..ROW_BYTES].copy_from_slice(&crc.to_be_bytes());
}

fn decode(sector: &[u8]) -> Option<(Value, bool)> {
    let row = sector.first_chunk::<ROW_BYTES>()?;
    let crc = u32::from_be_bytes(row[21..].try_into().ok()?);
    let value = Value {
        client: u32::from_be_bytes(row[..4].try_into().ok()?),
        sequence: u64::from_be_bytes(row[4..12].try_into().ok()?),
        digest: u64::from_be_bytes(row[12..20].try_into().ok()?),
    };
    // A sector of zeros has the checksum of none.
    (crc32fast::hash(&row[..21]) == crc).then_some((value, row[20] == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(client: u32, sequence: u64) -> Value {
        Value {
            client,
            sequence,
            digest: 9,
        }
    }

    #[test]
    fn a_row_is_read_back_and_a_torn_one_is_none() {
        let mut sector = [0; 512];
        assert_eq!(decode(&sector), None);
        for row in [(value(0, 0), false), (value(3, 7 << 32), true)] {
            encode(&mut sector, row);
            assert_eq!(decode(&sector), Some(row));
        }
        sector[20] ^= 1;
        assert_eq!(decode(&sector), None);
        assert_eq!(decode(&sector[..24]), None);
    }

    #[test]
    fn a_repeated_row_is_seen_twice() {
        let mut sectors = [0; 3 * 512];
        for place in [0, 2] {
            encode(&mut sectors[512 * place..], (value(1, 1), true));
        }
        let rows: Vec<_> = rows_in(&sectors, 512).collect();
        assert_eq!(rows, [(value(1, 1), true); 2]);
    }
}
