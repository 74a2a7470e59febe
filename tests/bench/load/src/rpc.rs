// SPDX-License-Identifier: Apache-2.0
//! The few blocking calls made before and after a run: topics, offsets, routes.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::wire::{self, Frame, Header, Request, SUCCESS, Serialize};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Consumer queues that a broker creates by default are irrelevant: queues are always given.
const DEFAULT_TOPIC: &str = "TBW102";

/// A blocking connection, one request at a time.
pub struct Client {
    socket: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    pub fn connect(addr: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&addr, TIMEOUT)
            .map_err(|e| Error::new(e.kind(), format!("cannot connect to {addr}: {e}")))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { socket, answer: Vec::new() })
    }

    /// Sends a request and waits for its answer; one that is no success is an error.
    fn call(&mut self, what: &str, code: i16, ext: &[(&str, &str)]) -> io::Result<Frame<'_>> {
        let opaque = wire::opaque(0, 0);
        let mut request = Vec::new();
        Request { code, flag: 0, opaque, ext }.encode(Serialize::Json, 0, &mut request);
        self.socket.write_all(&request)?;
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > wire::MAX_FRAME {
            return Err(Error::new(ErrorKind::InvalidData, "frame length out of range"));
        }
        self.answer.resize(length, 0);
        self.socket.read_exact(&mut self.answer)?;
        let frame =
            Frame::decode(&self.answer).map_err(|e| Error::new(ErrorKind::InvalidData, e))?;
        if !frame.is_response() || frame.header.opaque != opaque as i32 {
            return Err(Error::new(ErrorKind::InvalidData, format!("{what}: unexpected frame")));
        }
        if frame.header.code != SUCCESS {
            let remark = frame.header.remark_text();
            let why = format!("{what}: code {}: {remark}", frame.header.code);
            return Err(Error::other(why));
        }
        Ok(frame)
    }

    /// Creates a topic, or changes its number of queues.
    pub fn create_topic(&mut self, topic: &str, queues: u32) -> io::Result<()> {
        let queues = queues.to_string();
        let ext = [
            ("topic", topic),
            ("defaultTopic", DEFAULT_TOPIC),
            ("readQueueNums", &queues),
            ("writeQueueNums", &queues),
            ("perm", "6"),
            ("topicFilterType", "SINGLE_TAG"),
            ("topicSysFlag", "0"),
            ("order", "false"),
        ];
        self.call(&format!("create topic {topic}"), wire::UPDATE_AND_CREATE_TOPIC, &ext)?;
        Ok(())
    }

    fn offset(&mut self, what: &str, code: i16, topic: &str, queue: u32) -> io::Result<u64> {
        let queue = queue.to_string();
        let frame = self.call(what, code, &[("topic", topic), ("queueId", &queue)])?;
        let offset = |header: &Header| header.offset.and_then(|value| value.try_into().ok());
        offset(&frame.header)
            .ok_or_else(|| Error::new(ErrorKind::InvalidData, format!("{what}: no offset")))
    }

    /// The offset that a queue's next message will get.
    pub fn max_offset(&mut self, topic: &str, queue: u32) -> io::Result<u64> {
        self.offset("get max offset", wire::GET_MAX_OFFSET, topic, queue)
    }

    /// The offset of a queue's oldest message.
    pub fn min_offset(&mut self, topic: &str, queue: u32) -> io::Result<u64> {
        self.offset("get min offset", wire::GET_MIN_OFFSET, topic, queue)
    }

    /// Asks a name server for the masters of a topic: broker name and address.
    pub fn route(&mut self, topic: &str) -> io::Result<Vec<(String, String)>> {
        let ext = [("topic", topic), ("acceptStandardJsonOnly", "true")];
        let frame = self.call("get route", wire::GET_ROUTEINFO_BY_TOPIC, &ext)?;
        let route: serde_json::Value = serde_json::from_slice(frame.body)?;
        let brokers = route["brokerDatas"].as_array().cloned().unwrap_or_default();
        let master = |broker: &serde_json::Value| {
            let name = broker["brokerName"].as_str()?.to_owned();
            Some((name, broker["brokerAddrs"]["0"].as_str()?.to_owned()))
        };
        Ok(brokers.iter().filter_map(master).collect())
    }
}

/// The current end of every queue, topics first.
pub fn max_offsets(addr: SocketAddr, topics: &[String], queues: u32) -> io::Result<Vec<u64>> {
    let mut client = Client::connect(addr)?;
    let mut offsets = Vec::new();
    for topic in topics {
        for queue in 0..queues {
            offsets.push(client.max_offset(topic, queue)?);
        }
    }
    Ok(offsets)
}
