// SPDX-License-Identifier: Apache-2.0
//! The message body: who sent it, when, and proof that it is intact.
//!
//! ```text
//!  0 magic "RMQL"   4 connection u32   8 run u64   16 sequence u64   24 sent, ns since epoch u64
//! 32 topic u16     34 queue u16       36 body length u32            40 pseudo-random padding
//! last 4: CRC-32 of everything before
//! ```
//! Integers are little-endian. Sequences count per (run, connection, topic, queue) from 0.

use crc32fast::Hasher;

const MAGIC: u32 = u32::from_le_bytes(*b"RMQL");
const HEAD: usize = 40;
const TAIL: usize = 4;
/// The smallest body that holds the stamp and its checksum.
pub const MIN_SIZE: usize = HEAD + TAIL;

/// Identity of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub run: u64,
    pub conn: u32,
    pub topic: u16,
    pub queue: u16,
    pub seq: u64,
    /// Intended send time, nanoseconds since the epoch.
    pub sent: u64,
}

/// Why a body could not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Not written by this tool.
    Foreign,
    /// Written by this tool, but damaged.
    Corrupt,
}

/// Writes bodies of one size.
pub struct Writer {
    noise: Vec<u8>,
    size: usize,
}

/// Padding starts at one of this many places of the noise.
const NOISE_STARTS: usize = 1 << 16;

impl Writer {
    pub fn new(run: u64, size: usize) -> Self {
        let mut state = run | 1;
        let words = (NOISE_STARTS + size).div_ceil(8);
        let noise = (0..words).flat_map(|_| xorshift(&mut state).to_le_bytes()).collect();
        Self { noise, size }
    }

    /// Appends the body of `stamp`.
    pub fn write(&self, stamp: &Stamp, out: &mut Vec<u8>) {
        let start = out.len();
        let mut head = [0u8; HEAD];
        head[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        head[4..8].copy_from_slice(&stamp.conn.to_le_bytes());
        head[8..16].copy_from_slice(&stamp.run.to_le_bytes());
        head[16..24].copy_from_slice(&stamp.seq.to_le_bytes());
        head[24..32].copy_from_slice(&stamp.sent.to_le_bytes());
        head[32..34].copy_from_slice(&stamp.topic.to_le_bytes());
        head[34..36].copy_from_slice(&stamp.queue.to_le_bytes());
        head[36..40].copy_from_slice(&(self.size as u32).to_le_bytes());
        out.extend_from_slice(&head);
        let from =
            (stamp.seq.wrapping_mul(40_503) ^ u64::from(stamp.conn) << 7) as usize % NOISE_STARTS;
        out.extend_from_slice(&self.noise[from..from + self.size - MIN_SIZE]);
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// Checks a stored body and reads its stamp.
///
/// `stored_crc` is the broker's own checksum of the whole body (31 bits); a mismatch is corruption
/// whoever wrote the message.
pub fn read(body: &[u8], stored_crc: u32) -> Result<Stamp, Flaw> {
    let mut hasher = Hasher::new();
    let split = body.len().saturating_sub(TAIL);
    hasher.update(&body[..split]);
    let own_crc = hasher.clone().finalize();
    hasher.update(&body[split..]);
    if hasher.finalize() & 0x7fff_ffff != stored_crc {
        return Err(Flaw::Corrupt);
    }
    let u32_at = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().unwrap());
    if body.len() < MIN_SIZE || u32_at(0) != MAGIC {
        return Err(Flaw::Foreign);
    }
    if u32_at(split) != own_crc || u32_at(36) as usize != body.len() {
        return Err(Flaw::Corrupt);
    }
    let shorts = u32_at(32);
    Ok(Stamp {
        conn: u32_at(4),
        run: u64_at(8),
        seq: u64_at(16),
        sent: u64_at(24),
        topic: shorts as u16,
        queue: (shorts >> 16) as u16,
    })
}

/// The half of every run id that names this machine's boot.
fn machine() -> u32 {
    let boot_id = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    crc32fast::hash(&boot_id)
}

/// A fresh run id: which machine, and when.
pub fn new_run(wall_ns: u64) -> u64 {
    let mut state = wall_ns | 1;
    u64::from(machine()) << 32 | xorshift(&mut state) >> 32
}

/// Whether a run was started on this machine, so that its clock is ours.
pub fn is_local(run: u64, local_run: u64) -> bool {
    run >> 32 == local_run >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { run: 7, conn: 3, topic: 2, queue: 5, seq: 99, sent: 1 << 60 };

    #[test]
    fn round_trip_and_damage() {
        for size in [MIN_SIZE, 256, 70_000] {
            let mut body = Vec::new();
            Writer::new(7, size).write(&STAMP, &mut body);
            assert_eq!(body.len(), size);
            let crc = crc32fast::hash(&body) & 0x7fff_ffff;
            assert_eq!(read(&body, crc), Ok(STAMP));
            assert_eq!(read(&body, crc ^ 1), Err(Flaw::Corrupt));
            body[size / 2] ^= 1;
            let crc = crc32fast::hash(&body) & 0x7fff_ffff;
            assert_eq!(read(&body, crc), Err(Flaw::Corrupt));
        }
    }

    #[test]
    fn foreign_bodies() {
        for body in [&b"hi"[..], &[b'x'; 100]] {
            assert_eq!(read(body, crc32fast::hash(body) & 0x7fff_ffff), Err(Flaw::Foreign));
        }
    }
}
