//! Ports for programs that have to be told theirs.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// Below the ports that a system gives to whoever asks for any: one of those may have another owner before it is used.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A port that is free, and that this run has given to nobody before.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Two runs on one machine begin at different places.
    let begin = std::process::id().wrapping_mul(389);
    (0..COUNT)
        .map(|_| FIRST + begin.wrapping_add(GIVEN.fetch_add(1, Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one of thousands of ports is free")
}

/// No port of a system's own choice is ever one of these, and no two are the same.
#[test]
fn ports_are_given_once() {
    let (one, other) = (free_port(), free_port());
    assert_ne!(one, other);
    let by_chance = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert!([one, other].iter().all(|port| u32::from(*port) < FIRST + COUNT) && u32::from(by_chance) >= FIRST + COUNT);
}
