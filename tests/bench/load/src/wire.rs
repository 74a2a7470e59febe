// SPDX-License-Identifier: Apache-2.0
//! Remoting frames: encoding requests and decoding the answers' headers.
//!
//! A frame is `length, type << 24 | header length, header, body`, all big-endian; the header is
//! JSON (type 0) or the ROCKETMQ binary form (type 1).

use std::io::Write;

pub const SEND_MESSAGE_V2: i16 = 310;
pub const SEND_BATCH_MESSAGE: i16 = 320;
pub const PULL_MESSAGE: i16 = 11;
pub const UPDATE_AND_CREATE_TOPIC: i16 = 17;
pub const GET_MAX_OFFSET: i16 = 30;
pub const GET_MIN_OFFSET: i16 = 31;
pub const GET_ROUTEINFO_BY_TOPIC: i16 = 105;

pub const SUCCESS: i32 = 0;
pub const PULL_NOT_FOUND: i32 = 19;
pub const PULL_RETRY_IMMEDIATELY: i32 = 20;
pub const PULL_OFFSET_MOVED: i32 = 21;

pub const FLAG_RESPONSE: i32 = 1;
pub const FLAG_ONEWAY: i32 = 2;

/// Largest frame either Java end accepts, its length field included.
pub const MAX_FRAME: usize = 16 << 20;

/// All opaques are `OPAQUE_BASE + (generation << 16 | slot)`: always ten decimal digits, so that a
/// JSON frame can be patched in place.
pub const OPAQUE_BASE: u32 = 1_000_000_000;
const GENERATIONS: u32 = 1 << 13;

/// The opaque of the `generation`-th use of a slot.
pub fn opaque(slot: usize, generation: u32) -> u32 {
    OPAQUE_BASE + ((generation % GENERATIONS) << 16 | slot as u32 & 0xffff)
}

/// The slot that an opaque belongs to, if it is one of ours.
pub fn slot_of(opaque: i32) -> Option<usize> {
    let value = (opaque as u32).checked_sub(OPAQUE_BASE)?;
    (value < GENERATIONS << 16).then_some((value & 0xffff) as usize)
}

/// How request headers are written. Answers are understood in either form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Serialize {
    Json,
    Rocketmq,
}

/// A request without its body.
pub struct Request<'a> {
    pub code: i16,
    pub flag: i32,
    pub opaque: u32,
    pub ext: &'a [(&'a str, &'a str)],
}

const LANGUAGE_JAVA: u8 = 0;
/// V5_3_3, the newest version number that the fact sheets name.
const VERSION: i16 = 479;

impl Request<'_> {
    /// Appends the frame up to its body, which the caller appends: `body_len` bytes.
    pub fn encode(&self, kind: Serialize, body_len: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 8]);
        match kind {
            Serialize::Json => self.json(out),
            Serialize::Rocketmq => self.binary(out),
        }
        let header_len = (out.len() - start - 8) as u32;
        let kind_byte = (kind == Serialize::Rocketmq) as u32;
        let total = 4 + header_len + body_len as u32;
        out[start..start + 4].copy_from_slice(&total.to_be_bytes());
        out[start + 4..start + 8].copy_from_slice(&(kind_byte << 24 | header_len).to_be_bytes());
    }

    fn json(&self, out: &mut Vec<u8>) {
        let _ = write!(out, "{{\"code\":{},\"extFields\":{{", self.code);
        for (i, (key, value)) in self.ext.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let _ = write!(out, "{comma}\"{key}\":");
            let _ = serde_json::to_writer(&mut *out, value);
        }
        let _ = write!(
            out,
            "}},\"flag\":{},\"language\":\"JAVA\",\"opaque\":{},\
             \"serializeTypeCurrentRPC\":\"JSON\",\"version\":{VERSION}}}",
            self.flag, self.opaque
        );
    }

    fn binary(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.code.to_be_bytes());
        out.push(LANGUAGE_JAVA);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.opaque.to_be_bytes());
        out.extend_from_slice(&self.flag.to_be_bytes());
        out.extend_from_slice(&0i32.to_be_bytes()); // no remark
        let ext_len: usize = self.ext.iter().map(|(k, v)| 6 + k.len() + v.len()).sum();
        out.extend_from_slice(&(ext_len as i32).to_be_bytes());
        for (key, value) in self.ext {
            out.extend_from_slice(&(key.len() as u16).to_be_bytes());
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(&(value.len() as u32).to_be_bytes());
            out.extend_from_slice(value.as_bytes());
        }
    }
}

/// One received frame.
#[derive(Debug)]
pub struct Frame<'a> {
    pub header: Header<'a>,
    pub body: &'a [u8],
}

/// The fields of an answer's header that this tool looks at; absent ones are `None` or empty.
#[derive(Debug, Default)]
pub struct Header<'a> {
    pub code: i32,
    pub flag: i32,
    pub opaque: i32,
    pub remark: &'a [u8],
    pub msg_id: &'a [u8],
    pub queue_id: Option<i64>,
    pub queue_offset: Option<i64>,
    pub next_begin_offset: Option<i64>,
    pub max_offset: Option<i64>,
    pub offset: Option<i64>,
}

/// Why received bytes are not a frame.
pub type Malformed = &'static str;

impl<'a> Frame<'a> {
    /// Decodes the bytes that follow a frame's length field.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (word, rest) = bytes.split_first_chunk::<4>().ok_or("frame shorter than 4 bytes")?;
        let word = u32::from_be_bytes(*word);
        let header_len = (word & 0xff_ffff) as usize;
        let (header, body) = rest.split_at_checked(header_len).ok_or("header exceeds frame")?;
        let header = match word >> 24 {
            0 => json_header(header)?,
            1 => binary_header(header)?,
            _ => return Err("unknown serialize type"),
        };
        Ok(Frame { header, body })
    }

    /// Whether this answers one of our requests.
    pub fn is_response(&self) -> bool {
        self.header.flag & FLAG_RESPONSE != 0
    }
}

impl<'a> Header<'a> {
    /// The remark as text.
    pub fn remark_text(&self) -> String {
        String::from_utf8_lossy(self.remark).into_owned()
    }

    fn set_ext(&mut self, key: &[u8], value: &'a [u8]) {
        match key {
            b"msgId" => self.msg_id = value,
            // "e" is the queue id of a send request: the sink reads requests.
            b"queueId" | b"e" => self.queue_id = decimal(value),
            b"queueOffset" => self.queue_offset = decimal(value),
            b"nextBeginOffset" => self.next_begin_offset = decimal(value),
            b"maxOffset" => self.max_offset = decimal(value),
            b"offset" => self.offset = decimal(value),
            _ => {}
        }
    }
}

/// Parses a signed decimal number that spans all of `text`.
fn decimal(text: &[u8]) -> Option<i64> {
    let (digits, negative) = match text.split_first()? {
        (b'-', rest) => (rest, true),
        _ => (text, false),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0i64;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(digit as i64)?;
    }
    Some(if negative { -value } else { value })
}

fn json_header(bytes: &[u8]) -> Result<Header<'_>, Malformed> {
    let mut header = Header::default();
    let mut json = Json { bytes, at: 0 };
    json.object(|key, json| {
        match key {
            b"code" => header.code = json.int()?,
            b"flag" => header.flag = json.int()?,
            b"opaque" => header.opaque = json.int()?,
            b"remark" => header.remark = json.scalar()?,
            b"extFields" if json.peek() == Some(b'{') => json.object(|key, json| {
                header.set_ext(key, json.scalar()?);
                Ok(())
            })?,
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(header)
}

/// A cursor over JSON text that hands out raw (still escaped) slices, without allocating.
struct Json<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Json<'a> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err("malformed JSON header");
        }
        self.at += 1;
        Ok(())
    }

    /// Calls `member` with each key, the cursor standing before its value.
    fn object(
        &mut self,
        mut member: impl FnMut(&'a [u8], &mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            return self.expect(b'}');
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            self.peek();
            member(key, self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => return self.expect(b'}'),
            }
        }
    }

    fn string(&mut self) -> Result<&'a [u8], Malformed> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err("unterminated JSON string"),
            }
        }
        self.at += 1;
        Ok(&self.bytes[start..self.at - 1])
    }

    /// A string without its quotes, or a bare number or word; `null` is empty.
    fn scalar(&mut self) -> Result<&'a [u8], Malformed> {
        if self.peek() == Some(b'"') {
            return self.string();
        }
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(|b| !matches!(b, b',' | b'}' | b']')) {
            self.at += 1;
        }
        match self.bytes[start..self.at].trim_ascii_end() {
            b"" => Err("missing JSON value"),
            b"null" => Ok(b""),
            word => Ok(word),
        }
    }

    fn int(&mut self) -> Result<i32, Malformed> {
        decimal(self.scalar()?).map(|value| value as i32).ok_or("JSON value is not a number")
    }

    /// Skips any value.
    fn skip(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'{') => self.object(|_, json| json.skip()),
            Some(b'[') => {
                self.at += 1;
                while self.peek() != Some(b']') {
                    self.skip()?;
                    if self.peek() == Some(b',') {
                        self.at += 1;
                    }
                }
                self.expect(b']')
            }
            _ => self.scalar().map(|_| ()),
        }
    }
}

fn binary_header(bytes: &[u8]) -> Result<Header<'_>, Malformed> {
    let mut rest = Bytes(bytes);
    let mut header =
        Header { code: i16::from_be_bytes(rest.array()?) as i32, ..Default::default() };
    rest.take(3)?; // language, version
    header.opaque = i32::from_be_bytes(rest.array()?);
    header.flag = i32::from_be_bytes(rest.array()?);
    let remark_len = u32::from_be_bytes(rest.array()?);
    header.remark = rest.take(remark_len as usize)?;
    let ext_len = u32::from_be_bytes(rest.array()?);
    let mut ext = Bytes(rest.take(ext_len as usize)?);
    while !ext.0.is_empty() {
        let key_len = u16::from_be_bytes(ext.array()?);
        let key = ext.take(key_len as usize)?;
        let value_len = u32::from_be_bytes(ext.array()?);
        header.set_ext(key, ext.take(value_len as usize)?);
    }
    Ok(header)
}

/// A bounds-checked big-endian reader.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(len).ok_or("truncated")?;
        self.0 = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or("truncated")?;
        self.0 = rest;
        Ok(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_answer() {
        let text = br#"{"code":0,"extFields":{"msgId":"7F","queueId":"3","queueOffset":"12",
            "TRACE_ON":"true"},"flag":1,"language":"JAVA","opaque":1000000007,"remark":"a\"b",
            "x":[1,{"y":null}],"version":481}"#;
        let header = json_header(text).unwrap();
        assert_eq!((header.code, header.flag, header.opaque), (0, 1, 1_000_000_007));
        assert_eq!((header.queue_id, header.queue_offset), (Some(3), Some(12)));
        assert_eq!((header.msg_id, header.remark), (&b"7F"[..], &br#"a\"b"#[..]));
        assert!(json_header(b"{\"code\":").is_err());
        assert!(json_header(b"[]").is_err());
        assert!(json_header(b"{\"code\":\"\\").is_err());
    }

    #[test]
    fn both_forms_decode_alike() {
        let ext = [("queueId", "5"), ("msgId", "a\u{1}b")];
        let request = Request { code: 310, flag: 1, opaque: opaque(9, 2), ext: &ext };
        for kind in [Serialize::Json, Serialize::Rocketmq] {
            let mut out = Vec::new();
            request.encode(kind, 3, &mut out);
            out.extend_from_slice(b"abc");
            let length = u32::from_be_bytes(out[..4].try_into().unwrap()) as usize;
            assert_eq!(length, out.len() - 4);
            let frame = Frame::decode(&out[4..]).unwrap();
            assert_eq!((frame.header.code, frame.body), (310, &b"abc"[..]));
            assert_eq!(frame.header.queue_id, Some(5));
            assert_eq!(slot_of(frame.header.opaque), Some(9));
            assert!(frame.is_response());
        }
    }

    #[test]
    fn bad_frames_are_errors() {
        assert!(Frame::decode(&[0, 0, 0]).is_err());
        assert!(Frame::decode(&[0, 0, 0, 9, b'{']).is_err());
        assert!(Frame::decode(&[7, 0, 0, 2, b'{', b'}']).is_err());
        assert!(Frame::decode(&[1, 0, 0, 2, b'{', b'}']).is_err());
        assert_eq!(slot_of(-1), None);
        assert_eq!(slot_of(12), None);
    }
}
