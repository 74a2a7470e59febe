// SPDX-License-Identifier: Apache-2.0
//! A thin epoll wrapper.
//!
//! Edge-triggered, with nanosecond timeouts (`epoll_pwait2`): an open loop at thousands of messages
//! per second cannot be paced with the millisecond timeouts of the common event-loop crates.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::Timespec;

use crate::clock::SECOND;

/// Most events taken at once.
const MAX_EVENTS: usize = 256;

/// A set of sockets to wait on.
pub struct Poller {
    epoll: OwnedFd,
}

/// One socket that wants attention.
#[derive(Clone, Copy)]
pub struct Ready {
    pub token: usize,
    /// The peer closed its side or the connection failed: read until the end shows.
    pub hangup: bool,
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Watches a socket in both directions; closing it ends the watch.
    pub fn add(&self, socket: impl AsFd, token: usize) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token as u64), flags)?)
    }

    /// Waits until `deadline` (monotonic, seen from `now`) and lists what is ready in `ready`.
    pub fn wait(&self, now: u64, deadline: u64, ready: &mut Vec<Ready>) -> io::Result<()> {
        let wait = deadline.saturating_sub(now);
        let timeout = Timespec { tv_sec: (wait / SECOND) as i64, tv_nsec: (wait % SECOND) as _ };
        let mut space = [const { MaybeUninit::<epoll::Event>::uninit() }; MAX_EVENTS];
        ready.clear();
        let events = match epoll::wait(&self.epoll, &mut space, Some(&timeout)) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let gone = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        ready.extend(events.iter().map(|event| {
            let (flags, data) = (event.flags, event.data);
            Ready { token: data.u64() as usize, hangup: flags.intersects(gone) }
        }));
        Ok(())
    }
}
