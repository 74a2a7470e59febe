// SPDX-License-Identifier: Apache-2.0
//! `sink`: a stand-in for a broker that accepts everything at once.
//!
//! Measures what this tool itself can do. Nothing is stored or checked.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;

use crate::cli::SinkCommand;
use crate::clock::{SECOND, now};
use crate::conn::{Conn, Fill};
use crate::poll::{Poller, Ready};
use crate::wire::{self, FLAG_ONEWAY, FLAG_RESPONSE, Frame};

const LISTENER: usize = usize::MAX;
const INBOX: usize = 1 << 20;

/// Serves until killed.
pub fn run(args: &SinkCommand) -> io::Result<Infallible> {
    let listener = TcpListener::bind(args.listen)?;
    listener.set_nonblocking(true)?;
    let poller = Poller::new()?;
    poller.add(&listener, LISTENER)?;
    let mut conns: Vec<Option<Conn>> = Vec::new();
    let mut ready = Vec::new();
    loop {
        let time = now();
        poller.wait(time, time + SECOND, &mut ready)?;
        for &event in &ready {
            if event.token == LISTENER {
                while let Ok((socket, _)) = listener.accept() {
                    let conn = Conn::adopt(socket, INBOX)?;
                    poller.add(&conn.socket, conns.len())?;
                    conns.push(Some(conn));
                }
            } else if let Some(conn) = &mut conns[event.token]
                && serve(conn, event).is_err()
            {
                conns[event.token] = None;
            }
        }
    }
}

/// Answers all requests at hand.
fn serve(conn: &mut Conn, event: Ready) -> io::Result<()> {
    loop {
        let fill = conn.inbox.fill(&conn.socket, event.hangup)?;
        while let Some(frame) = conn.inbox.next_frame()? {
            answer(&frame, &mut conn.outbox.buffer);
        }
        match fill {
            Fill::More => {}
            Fill::Drained => return conn.flush(),
            Fill::Closed => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// As long as the answer of a real broker.
fn answer(request: &Frame, out: &mut Vec<u8>) {
    let header = &request.header;
    if header.flag & FLAG_ONEWAY != 0 {
        return;
    }
    let parts = if header.code == i32::from(wire::SEND_BATCH_MESSAGE) {
        batch_size(request.body)
    } else {
        1
    };
    let id = "7F00000100002A9F0000000000000000";
    let ids = vec![id; parts].join(",");
    let queue = header.queue_id.unwrap_or(0);
    let json = format!(
        "{{\"code\":0,\"extFields\":{{\"queueId\":\"{queue}\",\"TRACE_ON\":\"true\",\
         \"MSG_REGION\":\"DefaultRegion\",\"msgId\":\"{ids}\",\"queueOffset\":\"0\",\
         \"offset\":\"0\",\"transactionId\":\"{id}\"}},\"flag\":{FLAG_RESPONSE},\
         \"language\":\"JAVA\",\"opaque\":{},\"serializeTypeCurrentRPC\":\"JSON\",\"version\":479}}",
        header.opaque
    );
    out.extend_from_slice(&(4 + json.len() as u32).to_be_bytes());
    out.extend_from_slice(&(json.len() as u32).to_be_bytes());
    out.extend_from_slice(json.as_bytes());
}

/// Counts the messages of a batch body.
fn batch_size(mut body: &[u8]) -> usize {
    let mut count = 0;
    while let Some(size) = body.first_chunk::<4>() {
        let size = (u32::from_be_bytes(*size) as usize).max(4);
        body = body.get(size..).unwrap_or_default();
        count += 1;
    }
    count
}
