// SPDX-License-Identifier: Apache-2.0
//! Stored messages, as a pull answer carries them.

use crate::wire::{Bytes, Malformed};

const MAGIC_V1: u32 = 0xdaa3_20a7;
const MAGIC_V2: u32 = 0xdaa3_20ab;
const BORN_HOST_V6: i32 = 0x10;
const STORE_HOST_V6: i32 = 0x20;

/// The fields of a stored message that this tool checks.
#[derive(Debug)]
pub struct Record<'a> {
    pub body_crc: u32,
    pub queue_id: i32,
    pub queue_offset: i64,
    /// Store host (address and port) and physical offset: the bytes of the message's offset id.
    pub store_host: &'a [u8],
    pub physical_offset: i64,
    pub body: &'a [u8],
    pub topic: &'a [u8],
}

impl<'a> Record<'a> {
    /// Cuts the first record off `bytes`.
    pub fn cut(bytes: &mut &'a [u8]) -> Result<Self, Malformed> {
        let size = bytes.first_chunk::<4>().ok_or("truncated record")?;
        let size = u32::from_be_bytes(*size) as usize;
        let (record, rest) = bytes.split_at_checked(size).ok_or("record exceeds body")?;
        *bytes = rest;
        Self::parse(Bytes(record.get(4..).ok_or("record too short")?))
    }

    fn parse(mut bytes: Bytes<'a>) -> Result<Self, Malformed> {
        let magic = u32::from_be_bytes(bytes.array()?);
        if magic != MAGIC_V1 && magic != MAGIC_V2 {
            return Err("wrong record magic");
        }
        let body_crc = u32::from_be_bytes(bytes.array()?);
        let queue_id = i32::from_be_bytes(bytes.array()?);
        bytes.take(4)?; // flag
        let queue_offset = i64::from_be_bytes(bytes.array()?);
        let physical_offset = i64::from_be_bytes(bytes.array()?);
        let sys_flag = i32::from_be_bytes(bytes.array()?);
        let host_len = |bit| if sys_flag & bit == 0 { 8 } else { 20 };
        bytes.take(8 + host_len(BORN_HOST_V6))?; // born timestamp and host
        bytes.take(8)?; // store timestamp
        let store_host = bytes.take(host_len(STORE_HOST_V6))?;
        bytes.take(4 + 8)?; // reconsume times, prepared transaction offset
        let body_len = u32::from_be_bytes(bytes.array()?);
        let body = bytes.take(body_len as usize)?;
        let topic_len = match magic {
            MAGIC_V1 => bytes.array::<1>()?[0] as usize,
            _ => u16::from_be_bytes(bytes.array()?) as usize,
        };
        let topic = bytes.take(topic_len)?;
        let properties_len = u16::from_be_bytes(bytes.array()?);
        bytes.take(properties_len as usize)?;
        if !bytes.0.is_empty() {
            return Err("record size does not match its fields");
        }
        Ok(Self { body_crc, queue_id, queue_offset, store_host, physical_offset, body, topic })
    }

    /// Whether this record's offset id is the one in `id` (store host and physical offset).
    pub fn has_id(&self, id: &[u8]) -> bool {
        id.strip_prefix(self.store_host) == Some(&self.physical_offset.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut out = vec![0; 4];
        out.extend(MAGIC_V1.to_be_bytes());
        for word in [11u32, 2, 0] {
            out.extend(word.to_be_bytes());
        }
        out.extend(77i64.to_be_bytes());
        out.extend(4096i64.to_be_bytes());
        out.extend(0i32.to_be_bytes());
        out.extend([0; 8 + 8 + 8]);
        out.extend([127, 0, 0, 1, 0, 0, 0x2a, 0x9f]);
        out.extend([0; 12]);
        out.extend(3u32.to_be_bytes());
        out.extend(b"abc\x01T\x00\x02pq");
        let size = out.len() as u32;
        out[..4].copy_from_slice(&size.to_be_bytes());
        out
    }

    #[test]
    fn parses_and_rejects() {
        let mut two = sample();
        two.extend(sample());
        let mut rest = &two[..];
        let record = Record::cut(&mut rest).unwrap();
        assert_eq!((record.queue_id, record.queue_offset, record.body_crc), (2, 77, 11));
        assert_eq!((record.body, record.topic), (&b"abc"[..], &b"T"[..]));
        assert!(record.has_id(&[127, 0, 0, 1, 0, 0, 0x2a, 0x9f, 0, 0, 0, 0, 0, 0, 16, 0]));
        assert!(!record.has_id(b""));
        Record::cut(&mut rest).unwrap();
        assert!(rest.is_empty());
        for cut in 0..sample().len() {
            assert!(Record::cut(&mut &sample()[..cut]).is_err());
        }
        let mut bad = sample();
        bad[3] -= 1;
        assert!(Record::cut(&mut &bad[..]).is_err());
    }
}
