// SPDX-License-Identifier: Apache-2.0
//! Non-blocking framed connections.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::wire::{Frame, MAX_FRAME};

/// What a read left behind.
#[derive(PartialEq, Eq)]
pub enum Fill {
    /// The socket is empty; the poller will tell when there is more.
    Drained,
    /// Read again once the frames at hand are handled.
    More,
    /// The peer closed the connection.
    Closed,
}

/// Received bytes, cut into frames.
pub struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    fn new(capacity: usize) -> Self {
        Self { buffer: vec![0; capacity], start: 0, end: 0 }
    }

    /// Reads once. With `hangup` the end of the stream is looked for even after a short read.
    pub fn fill(&mut self, mut socket: &TcpStream, hangup: bool) -> io::Result<Fill> {
        self.make_room();
        let space = &mut self.buffer[self.end..];
        let wanted = space.len();
        match socket.read(space) {
            Ok(0) => Ok(Fill::Closed),
            Ok(n) => {
                self.end += n;
                Ok(if n == wanted || hangup { Fill::More } else { Fill::Drained })
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(Fill::Drained),
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(Fill::More),
            Err(e) => Err(e),
        }
    }

    /// Moves a partial frame to the front and makes sure that there is space to read into.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < self.buffer.len() / 4 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() - self.end < self.buffer.len() / 4 {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
    }

    /// The next complete frame.
    pub fn next_frame(&mut self) -> io::Result<Option<Frame<'_>>> {
        let unread = &self.buffer[self.start..self.end];
        let Some((length, rest)) = unread.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length + 4 > MAX_FRAME {
            return Err(malformed("frame length out of range"));
        }
        let Some(bytes) = rest.get(..length) else { return Ok(None) };
        self.start += 4 + length;
        Frame::decode(bytes).map(Some).map_err(malformed)
    }
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("malformed frame: {why}"))
}

/// Bytes waiting to be sent.
#[derive(Default)]
pub struct Outbox {
    pub buffer: Vec<u8>,
    sent: usize,
}

impl Outbox {
    /// How many bytes the socket has not taken yet.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.sent
    }

    /// Writes as much as the socket takes.
    pub fn flush(&mut self, mut socket: &TcpStream) -> io::Result<()> {
        while self.pending() > 0 {
            match socket.write(&self.buffer[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.buffer.clear();
        self.sent = 0;
        Ok(())
    }
}

/// A connection: socket and buffers, apart so that they can be borrowed apart.
pub struct Conn {
    pub socket: TcpStream,
    pub inbox: Inbox,
    pub outbox: Outbox,
}

impl Conn {
    /// Connects within `timeout`, then goes non-blocking.
    pub fn connect(addr: SocketAddr, timeout: Duration, inbox: usize) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&addr, timeout)?;
        Self::adopt(socket, inbox)
    }

    /// Wraps an accepted socket.
    pub fn adopt(socket: TcpStream, inbox: usize) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, inbox: Inbox::new(inbox), outbox: Outbox::default() })
    }

    /// Writes what is pending.
    pub fn flush(&mut self) -> io::Result<()> {
        self.outbox.flush(&self.socket)
    }
}
