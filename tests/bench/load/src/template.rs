// SPDX-License-Identifier: Apache-2.0
//! Preallocated send frames, of which only a few fixed-width holes change from message to message.

use crate::clock::{SECOND, millis_into_month};
use crate::payload::{self, Stamp};
use crate::wire::{
    FLAG_ONEWAY, OPAQUE_BASE, Request, SEND_BATCH_MESSAGE, SEND_MESSAGE_V2, Serialize,
};

const PRODUCER_GROUP: &str = "rmq-load-producer";

/// Stand-ins for the holes while a stencil is built; `~` occurs in no valid topic name.
const BORN: &str = "~BORN~~~~~~~~";
const UNIQ: &str = "~UNIQ~~~~~~~~~~~~~~~~~~~~~~~~~~~";
const KEYS: &str = "~KEYS~~~~~~~~~~~~~~~~~~~";

/// The values that go into the holes of one message. All have a fixed width.
pub struct Marks {
    opaque: u32,
    /// bornTimestamp: milliseconds since the epoch, 13 decimal digits.
    born: [u8; BORN.len()],
    /// UNIQ_KEY: ip, pid, loader hash, milliseconds into the month, counter; in hex.
    uniq: [u8; UNIQ.len()],
    /// KEYS: connection and sequence number, in hex.
    keys: [u8; KEYS.len()],
    born_ms: u64,
    counter: u16,
}

impl Marks {
    pub fn new(run: u64, conn: u32) -> Self {
        let (mut uniq, mut keys) = ([b'0'; UNIQ.len()], [b'0'; KEYS.len()]);
        hex(0x7f00_0001, &mut uniq[0..8]);
        hex(u64::from(std::process::id()), &mut uniq[8..12]);
        hex(run.wrapping_add(u64::from(conn)), &mut uniq[12..20]);
        hex(u64::from(conn), &mut keys[0..8]);
        Self { opaque: 0, born: [b'0'; BORN.len()], uniq, keys, born_ms: 0, counter: 0 }
    }

    /// Sets the time of the messages to come.
    fn set_born(&mut self, wall_ns: u64) {
        let ms = wall_ns / (SECOND / 1000);
        if ms != self.born_ms {
            self.born_ms = ms;
            decimal(ms, &mut self.born);
            hex(u64::from(millis_into_month(ms)), &mut self.uniq[20..28]);
        }
    }

    /// Sets the identity of the next message.
    fn set_message(&mut self, seq: u64) {
        self.counter = self.counter.wrapping_add(1);
        hex(u64::from(self.counter), &mut self.uniq[28..32]);
        hex(seq, &mut self.keys[8..24]);
    }
}

/// Writes the low digits of `value`, as many as fit.
fn hex(mut value: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789ABCDEF"[(value & 15) as usize];
        value >>= 4;
    }
}

fn decimal(mut value: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[derive(Clone, Copy)]
enum Hole {
    OpaqueDecimal,
    OpaqueBinary,
    Born,
    Uniq,
    Keys,
}

/// Constant bytes with holes.
struct Stencil {
    bytes: Vec<u8>,
    holes: Vec<(usize, Hole)>,
}

impl Stencil {
    /// Finds the stand-ins in `bytes`.
    fn new(bytes: Vec<u8>) -> Self {
        let mut holes = Vec::new();
        for (text, hole) in [(BORN, Hole::Born), (UNIQ, Hole::Uniq), (KEYS, Hole::Keys)] {
            holes.extend(find(&bytes, text).map(|at| (at, hole)));
        }
        Self { bytes, holes }
    }

    /// A stencil of a whole frame, whose opaque is a hole as well.
    fn frame(bytes: Vec<u8>, kind: Serialize) -> Self {
        const KEY: &str = "\"opaque\":";
        let opaque = match kind {
            Serialize::Json => {
                let key = find(&bytes, &format!("{KEY}{OPAQUE_BASE}")).expect("JSON has an opaque");
                (key + KEY.len(), Hole::OpaqueDecimal)
            }
            Serialize::Rocketmq => (8 + 5, Hole::OpaqueBinary),
        };
        let mut stencil = Self::new(bytes);
        stencil.holes.push(opaque);
        stencil
    }

    fn append(&self, marks: &Marks, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        for &(at, hole) in &self.holes {
            let rest = &mut out[start + at..];
            match hole {
                Hole::OpaqueDecimal => decimal(u64::from(marks.opaque), &mut rest[..10]),
                Hole::OpaqueBinary => rest[..4].copy_from_slice(&marks.opaque.to_be_bytes()),
                Hole::Born => rest[..BORN.len()].copy_from_slice(&marks.born),
                Hole::Uniq => rest[..UNIQ.len()].copy_from_slice(&marks.uniq),
                Hole::Keys => rest[..KEYS.len()].copy_from_slice(&marks.keys),
            }
        }
    }
}

fn find(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text.as_bytes())
}

/// What the messages of a run look like.
pub struct Shape {
    pub topics: Vec<String>,
    pub queues: u32,
    pub size: usize,
    /// Messages per request; more than one uses SEND_BATCH_MESSAGE.
    pub batch: usize,
    pub oneway: bool,
    pub tags: Vec<String>,
    pub keys: bool,
    pub more: Vec<(String, String)>,
    pub wait_store: bool,
    pub serialize: Serialize,
    pub broker_name: String,
    pub run: u64,
}

impl Shape {
    /// The number of (topic, queue) pairs; their index is `topic * queues + queue`.
    pub fn streams(&self) -> usize {
        self.topics.len() * self.queues as usize
    }

    /// Topic and queue of a stream.
    pub fn place(&self, stream: usize) -> (u16, u32) {
        let queues = self.queues as usize;
        ((stream / queues) as u16, (stream % queues) as u32)
    }

    fn properties(&self, tag: Option<&String>) -> String {
        let mut text = format!("UNIQ_KEY\u{1}{UNIQ}\u{2}WAIT\u{1}{}\u{2}", self.wait_store);
        if let Some(tag) = tag {
            text.push_str(&format!("TAGS\u{1}{tag}\u{2}"));
        }
        if self.keys {
            text.push_str(&format!("KEYS\u{1}{KEYS}\u{2}"));
        }
        for (name, value) in &self.more {
            text.push_str(&format!("{name}\u{1}{value}\u{2}"));
        }
        text
    }
}

/// Appends send requests to an output buffer.
pub struct Generator {
    shape: Shape,
    bodies: payload::Writer,
    /// Frame heads up to the body, by stream and tag.
    heads: Vec<Stencil>,
    /// What surrounds each body inside a batch, by tag.
    parts: Vec<(Vec<u8>, Stencil)>,
}

impl Generator {
    pub fn new(shape: Shape) -> Self {
        let tags: Vec<Option<&String>> = match shape.tags.is_empty() {
            true => vec![None],
            false => shape.tags.iter().map(Some).collect(),
        };
        let parts: Vec<_> = tags.iter().map(|tag| part(&shape, *tag)).collect();
        let heads = (0..shape.streams())
            .flat_map(|stream| tags.iter().zip(&parts).map(move |(tag, part)| (stream, tag, part)))
            .map(|(stream, tag, part)| head(&shape, stream, *tag, part))
            .collect();
        let bodies = payload::Writer::new(shape.run, shape.size);
        Self { bodies, heads, parts, shape }
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Appends one request: messages `first.seq ..` of a stream, as many as a batch holds.
    pub fn append(
        &self,
        stream: usize,
        opaque: u32,
        first: Stamp,
        marks: &mut Marks,
        out: &mut Vec<u8>,
    ) {
        let tag = first.seq as usize % self.parts.len();
        marks.opaque = opaque;
        marks.set_born(first.sent);
        marks.set_message(first.seq);
        self.heads[stream * self.parts.len() + tag].append(marks, out);
        if self.shape.batch == 1 {
            self.bodies.write(&first, out);
            return;
        }
        let (before, after) = &self.parts[tag];
        for seq in first.seq..first.seq + self.shape.batch as u64 {
            marks.set_message(seq);
            out.extend_from_slice(before);
            self.bodies.write(&Stamp { seq, ..first }, out);
            after.append(marks, out);
        }
    }
}

/// The bytes before and after a body inside a batch.
fn part(shape: &Shape, tag: Option<&String>) -> (Vec<u8>, Stencil) {
    let properties = shape.properties(tag);
    let total = 20 + shape.size + 2 + properties.len();
    let words = [total as u32, 0, 0, 0, shape.size as u32]; // size, magic, crc, flag, body size
    let before = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let mut after = (properties.len() as u16).to_be_bytes().to_vec();
    after.extend_from_slice(properties.as_bytes());
    (before, Stencil::new(after))
}

/// A frame up to its body, with the header fields that the Java producer sends.
fn head(shape: &Shape, stream: usize, tag: Option<&String>, part: &(Vec<u8>, Stencil)) -> Stencil {
    let (topic, queue) = shape.place(stream);
    let batched = shape.batch > 1;
    let properties = match batched {
        true => format!("UNIQ_KEY\u{1}{UNIQ}\u{2}WAIT\u{1}{}\u{2}", shape.wait_store),
        false => shape.properties(tag),
    };
    let body_len = match batched {
        true => shape.batch * (part.0.len() + shape.size + part.1.bytes.len()),
        false => shape.size,
    };
    let ext = [
        ("a", PRODUCER_GROUP),
        ("b", &shape.topics[topic as usize]),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", &queue.to_string()),
        ("f", "0"),
        ("g", BORN),
        ("h", "0"),
        ("i", &properties),
        ("j", "0"),
        ("k", "false"),
        ("m", if batched { "true" } else { "false" }),
        ("n", &shape.broker_name),
    ];
    let request = Request {
        code: if batched { SEND_BATCH_MESSAGE } else { SEND_MESSAGE_V2 },
        flag: if shape.oneway { FLAG_ONEWAY } else { 0 },
        opaque: OPAQUE_BASE,
        ext: &ext,
    };
    let mut bytes = Vec::new();
    request.encode(shape.serialize, body_len, &mut bytes);
    Stencil::frame(bytes, shape.serialize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, opaque};

    fn shape(batch: usize, serialize: Serialize) -> Shape {
        Shape {
            topics: vec!["A".into(), "B".into()],
            queues: 3,
            size: 100,
            batch,
            oneway: false,
            tags: vec!["x".into(), "yy".into()],
            more: vec![("DELAY".into(), "1".into())],
            keys: true,
            wait_store: true,
            serialize,
            broker_name: "broker-a".into(),
            run: 1,
        }
    }

    #[test]
    fn frames_are_complete() {
        for serialize in [Serialize::Json, Serialize::Rocketmq] {
            for batch in [1, 4] {
                let generator = Generator::new(shape(batch, serialize));
                let mut marks = Marks::new(1, 2);
                let mut out = Vec::new();
                let stamp = Stamp { run: 1, conn: 2, topic: 1, queue: 2, seq: 5, sent: 1 << 60 };
                generator.append(5, opaque(3, 4), stamp, &mut marks, &mut out);
                let length = u32::from_be_bytes(out[..4].try_into().unwrap()) as usize;
                assert_eq!(length + 4, out.len());
                let frame = Frame::decode(&out[4..]).unwrap();
                assert_eq!(frame.header.opaque, opaque(3, 4) as i32);
                let body = if batch == 1 { frame.body } else { &frame.body[20..120] };
                let crc = crc32fast::hash(body) & 0x7fff_ffff;
                assert_eq!(payload::read(body, crc), Ok(stamp));
                assert_eq!(find(&out, "~"), None);
            }
        }
    }
}
