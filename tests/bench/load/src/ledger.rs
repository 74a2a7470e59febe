// SPDX-License-Identifier: Apache-2.0
//! The ledger: one record per message that the broker said it stored.
//!
//! A JSON line of [`Meta`], then binary records (little-endian): id length u8, status u8, topic
//! index u16, queue u32, connection u32, queue offset u64, sequence u64, offset message id. Workers
//! append whole records only; a torn last record is ignored when reading.

use std::fs::{File, OpenOptions};
use std::io::{self, Error, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::wire::Bytes;

const FORMAT: &str = "rmq-load ledger 1";
const FLUSH_AT: usize = 256 << 10;

/// What is needed to read the messages back.
#[derive(Serialize, Deserialize)]
pub struct Meta {
    format: String,
    pub run: u64,
    pub topics: Vec<String>,
    pub queues: u32,
    pub size: usize,
    /// The end of every queue before the run, topics first.
    pub base_offsets: Vec<u64>,
}

impl Meta {
    pub fn new(
        run: u64,
        topics: Vec<String>,
        queues: u32,
        size: usize,
        base_offsets: Vec<u64>,
    ) -> Self {
        Self { format: FORMAT.into(), run, topics, queues, size, base_offsets }
    }
}

/// One acknowledged message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The answer's code: 0, or 10, 11, 12 for stored but not as durable as asked.
    pub status: u8,
    pub topic: u16,
    pub queue: u32,
    pub conn: u32,
    pub offset: u64,
    pub seq: u64,
    /// The offset message id, decoded: store host and physical offset.
    pub id: Box<[u8]>,
}

/// Appends to a ledger; every worker has its own clone, with its own buffer.
#[derive(Clone)]
pub struct Writer {
    file: Arc<File>,
    buffer: Vec<u8>,
}

impl Writer {
    pub fn create(path: &Path, meta: &Meta) -> io::Result<Self> {
        let named = |e: Error| Error::new(e.kind(), format!("{}: {e}", path.display()));
        File::create(path).map_err(named)?;
        let mut file = OpenOptions::new().append(true).open(path)?;
        let mut line = serde_json::to_vec(meta)?;
        line.push(b'\n');
        file.write_all(&line)?;
        Ok(Self { file: Arc::new(file), buffer: Vec::with_capacity(FLUSH_AT + 4096) })
    }

    /// Adds the entries of one answer: consecutive offsets, sequences and ids.
    pub fn add<'a>(
        &mut self,
        first: &Entry,
        hex_ids: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        for (i, hex_id) in hex_ids.enumerate() {
            let start = self.buffer.len();
            self.buffer.extend_from_slice(&[0, first.status]);
            self.buffer.extend_from_slice(&first.topic.to_le_bytes());
            self.buffer.extend_from_slice(&first.queue.to_le_bytes());
            self.buffer.extend_from_slice(&first.conn.to_le_bytes());
            self.buffer.extend_from_slice(&(first.offset + i as u64).to_le_bytes());
            self.buffer.extend_from_slice(&(first.seq + i as u64).to_le_bytes());
            let id_start = self.buffer.len();
            self.buffer.extend(hex_id.chunks(2).map(from_hex));
            self.buffer[start] = (self.buffer.len() - id_start) as u8;
        }
        if self.buffer.len() >= FLUSH_AT { self.flush() } else { Ok(()) }
    }

    /// Hands everything to the kernel.
    pub fn flush(&mut self) -> io::Result<()> {
        let written = (&*self.file).write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}

fn from_hex(pair: &[u8]) -> u8 {
    pair.iter().fold(0, |byte, &digit| {
        let value = (digit as char).to_digit(16).unwrap_or(0) as u8;
        byte << 4 | value
    })
}

/// Reads a whole ledger.
pub fn read(path: &Path) -> io::Result<(Meta, Vec<Entry>)> {
    let bad = |why: &str| Error::new(ErrorKind::InvalidData, format!("{}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| bad(&e.to_string()))?;
    let end = bytes.iter().position(|&b| b == b'\n').ok_or_else(|| bad("no ledger"))?;
    let meta: Meta = serde_json::from_slice(&bytes[..end]).map_err(|e| bad(&e.to_string()))?;
    if meta.format != FORMAT {
        return Err(bad("unknown ledger format"));
    }
    let mut rest = Bytes(&bytes[end + 1..]);
    let mut entries = Vec::new();
    while let Ok(entry) = Entry::cut(&mut rest) {
        if entry.topic as usize >= meta.topics.len() || entry.queue >= meta.queues {
            return Err(bad("entry of an unknown queue"));
        }
        entries.push(entry);
    }
    Ok((meta, entries))
}

impl Entry {
    fn cut(bytes: &mut Bytes) -> Result<Self, crate::wire::Malformed> {
        let [id_len, status] = bytes.array()?;
        Ok(Self {
            status,
            topic: u16::from_le_bytes(bytes.array()?),
            queue: u32::from_le_bytes(bytes.array()?),
            conn: u32::from_le_bytes(bytes.array()?),
            offset: u64::from_le_bytes(bytes.array()?),
            seq: u64::from_le_bytes(bytes.array()?),
            id: bytes.take(id_len as usize)?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_with_torn_tail() {
        let path = std::env::temp_dir().join(format!("rmq-load-test-{}", std::process::id()));
        let meta = Meta::new(9, vec!["T".into()], 4, 100, vec![0; 4]);
        let mut writer = Writer::create(&path, &meta).unwrap();
        let id = Box::from([0x7f, 0, 0xab]);
        let first = Entry { status: 10, topic: 0, queue: 3, conn: 1, offset: 50, seq: 7, id };
        writer.add(&first, [&b"7F00AB"[..], b"7F00AC"].into_iter()).unwrap();
        writer.flush().unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&[3, 0, 1]).unwrap();
        let (meta, entries) = read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((meta.run, entries.len()), (9, 2));
        assert_eq!(entries[0], first);
        assert_eq!((entries[1].offset, entries[1].seq, entries[1].id[2]), (51, 8, 0xac));
    }
}
