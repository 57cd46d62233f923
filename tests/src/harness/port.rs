//! Ports for programs that need a fixed one.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// Below the ports that a system gives to any program: such a port may get another owner before the test uses it.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A free port that this run has not used before.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Two runs on one machine begin at different ports.
    let begin = std::process::id().wrapping_mul(389);
    (0..COUNT)
        .map(|_| FIRST + begin.wrapping_add(GIVEN.fetch_add(1, Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one of thousands of ports is free")
}

/// The system never chooses one of these ports, and no two are the same.
#[test]
fn ports_are_given_once() {
    let (one, other) = (free_port(), free_port());
    assert_ne!(one, other);
    let by_chance = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert!([one, other].iter().all(|port| u32::from(*port) < FIRST + COUNT) && u32::from(by_chance) >= FIRST + COUNT);
}
