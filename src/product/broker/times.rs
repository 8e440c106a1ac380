//! When messages were stored: requests 29 and 32.
//!
//! Times are those of the wall clocks of the brokers that led then. Where those
//! never went back, an offset by time is exact: all below it was stored before.

use super::error::StoreError;
use super::server::{Broker, Serving};
use super::store::Store;
use crate::env::{ConnId, Disk, Env};
use crate::record::Message;
use crate::remoting::offset::{EarliestTime, EarliestTimeResponse, OffsetResponse, SearchOffset};
use crate::remoting::{Command, ResponseCode};

impl<E: Env> Broker<E> {
    /// The first offset of a queue that was stored at a time or later; its end
    /// where none was.
    pub(super) async fn search_offset(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
    ) -> Result<(), StoreError> {
        let Some(request) = self.parse::<SearchOffset<'_>>(conn, command) else {
            return Ok(());
        };
        let reply_to = command.reply_to();
        if !matches!(request.boundary_type, None | Some("" | "LOWER")) {
            let code = ResponseCode::SYSTEM_ERROR;
            let remark = "only boundaryType LOWER is served";
            self.outbox.refuse(conn, reply_to, code, remark);
            return Ok(());
        }
        let offset = match u32::try_from(request.queue_id) {
            Ok(queue_id) => {
                let store = &serving.store;
                let since_ms = u64::try_from(request.timestamp).unwrap_or(0);
                store
                    .stored_since(request.topic, queue_id, since_ms)
                    .await?
            }
            Err(_) => 0,
        };
        let offset = offset as i64;
        let fields = OffsetResponse { offset };
        let code = ResponseCode::SUCCESS;
        self.outbox.answer(conn, reply_to, code, &fields);
        Ok(())
    }

    /// When the first message was stored that a queue still has.
    pub(super) async fn earliest_time(
        &mut self,
        serving: &mut Serving<E>,
        conn: ConnId,
        command: &Command,
    ) -> Result<(), StoreError> {
        let Some(request) = self.parse::<EarliestTime<'_>>(conn, command) else {
            return Ok(());
        };
        let store = &serving.store;
        let stored_ms = match u32::try_from(request.queue_id) {
            Ok(queue_id) => {
                let first = store.queue_start(request.topic, queue_id);
                store.stored_ms(request.topic, queue_id, first).await?
            }
            Err(_) => None,
        };
        let timestamp = stored_ms.map_or(-1, |ms| ms as i64);
        let fields = EarliestTimeResponse { timestamp };
        let code = ResponseCode::SUCCESS;
        self.outbox.answer(conn, command.reply_to(), code, &fields);
        Ok(())
    }
}

impl<D: Disk> Store<D> {
    /// When the message at an offset was stored; `None` where there is none to be
    /// served.
    async fn stored_ms(
        &self,
        topic: &str,
        queue_id: u32,
        offset: u64,
    ) -> Result<Option<u64>, StoreError> {
        let served = self.queue_start(topic, queue_id)..self.queue_end(topic, queue_id);
        let queue = self.topics.queue(topic, queue_id);
        let Some(queue) = queue.filter(|_| served.contains(&offset)) else {
            return Ok(None);
        };
        let entries = queue.entries.read(offset, 1).await?;
        let Some(entry) = entries.first() else {
            return Ok(None);
        };
        let read = self.led_to((topic, queue_id, offset), *entry).await?;
        let message = Message::decode_enveloped(read.record())
            .map_err(|why| StoreError::undecodable(entry.address, why))?;
        Ok(Some(message.store_timestamp_ms))
    }

    /// By halves: so many reads as the queue's length has bits.
    async fn stored_since(
        &self,
        topic: &str,
        queue_id: u32,
        since_ms: u64,
    ) -> Result<u64, StoreError> {
        let mut low = self.queue_start(topic, queue_id);
        let mut high = self.queue_end(topic, queue_id);
        // The usual question is for a time before all of it.
        let mut middle = low;
        while low < high {
            let stored_ms = self.stored_ms(topic, queue_id, middle).await?;
            match stored_ms.is_some_and(|stored_ms| stored_ms < since_ms) {
                true => low = middle + 1,
                false => high = middle,
            }
            middle = low + (high - low) / 2;
        }
        Ok(low)
    }
}
