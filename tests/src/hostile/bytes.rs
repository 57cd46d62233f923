//! Runs the targets on the fuzzer's corpus, and on bytes made from it: flipped bits, cut, doubled and nested parts, and
//! inserted numbers and texts that break parsers. `make fuzz` looks for more.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;

use super::targets;

/// The inserted texts.
const STUMBLING: [&[u8]; 28] = [
    b"null",
    b"true",
    b"-1",
    b"-0",
    b"0.0",
    b"1e400",
    b"1e-400",
    b"NaN",
    b"Infinity",
    b"9007199254740992",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"\"\"",
    b"{}",
    b"[]",
    b"\"by\":{},",
    b"\\ud800",
    b"\\u0000",
    b"\\u001b[2J",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\0",
    b"\x1b",
    "\u{202e}".as_bytes(),
    b"-009999-01-01T00:00:00Z",
    b"9999-12-30T22:00:00.999999999Z",
    b"2026-12-31T23:59:60Z",
];

/// Ways to change bytes.
#[derive(Debug, Clone)]
enum Spoil {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Double(prop::sample::Index, usize),
    Insert(prop::sample::Index, usize),
    Nest(prop::sample::Index, u8, u8),
    Repeat(prop::sample::Index, u8, usize),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, bits)| Spoil::Flip(at, bits)),
        1 => at().prop_map(Spoil::Cut),
        2 => (at(), 1_usize..40).prop_map(|(at, length)| Spoil::Remove(at, length)),
        2 => (at(), 1_usize..200).prop_map(|(at, length)| Spoil::Double(at, length)),
        4 => (at(), 0..STUMBLING.len()).prop_map(|(at, what)| Spoil::Insert(at, what)),
        1 => (at(), any::<u8>(), any::<u8>()).prop_map(|(at, depth, kind)| Spoil::Nest(at, depth, kind)),
        1 => (at(), any::<u8>(), 1_usize..40_000).prop_map(|(at, byte, times)| Spoil::Repeat(at, byte, times)),
    ]
}

impl Spoil {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: &prop::sample::Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match self {
            Self::Flip(at, bits) => {
                let at = place(at, bytes);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bits);
            }
            Self::Cut(at) => bytes.truncate(place(at, bytes)),
            Self::Remove(at, length) => {
                let at = place(at, bytes);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Self::Double(at, length) => {
                let at = place(at, bytes);
                let part = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            Self::Insert(at, what) => {
                let at = place(at, bytes);
                bytes.splice(at..at, STUMBLING[*what].iter().copied());
            }
            Self::Nest(at, depth, kind) => {
                let at = place(at, bytes);
                let open: &[u8] = if kind & 1 == 0 { b"[" } else { b"{\"a\":" };
                bytes.splice(at..at, open.repeat(usize::from(*depth)));
            }
            Self::Repeat(at, byte, times) => {
                let at = place(at, bytes);
                bytes.splice(at..at, std::iter::repeat_n(*byte, *times));
            }
        }
    }
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// The fuzzer's inputs still hold, and so do inputs made from them.
fn holds(target: &str, cases: u32) {
    let corpus = corpus(target);
    for (path, bytes) in &corpus {
        println!("{}", path.display());
        targets::run(target, bytes);
    }
    let seeds: Vec<Vec<u8>> = corpus.into_iter().map(|(_, bytes)| bytes).collect();
    let seed = prop_oneof![
        6 => prop::sample::select(seeds),
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => any::<String>().prop_map(String::into_bytes),
    ];
    let made = (seed, prop::collection::vec(spoil(), 0..6)).prop_map(|(mut bytes, spoils)| {
        for spoil in &spoils {
            spoil.apply(&mut bytes);
        }
        bytes
    });
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result = runner.run(&made, |bytes| {
        targets::run(target, &bytes);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{target}: {error}");
    }
}

#[test]
fn a_command_is_read_or_refused_whatever_its_bytes() {
    holds("commands", 4_000);
}

#[test]
fn a_start_is_read_or_refused_whatever_its_bytes() {
    holds("starts", 4_000);
}

#[test]
fn a_file_is_read_or_refused_whatever_its_text() {
    holds("files", 4_000);
}

/// L1: no text and no sum becomes an invalid amount.
#[test]
fn an_amount_is_valid_or_refused() {
    holds("amounts", 4_000);
}

#[test]
fn a_name_is_as_typed_or_refused() {
    holds("words", 4_000);
}

/// L2, L3, L7, E10: a case stays sound whatever it gets, and every minor unit is accounted for.
#[test]
fn a_case_stays_sound_whatever_it_gets() {
    holds("cases", 500);
}

/// R8: only an event that Stripe signed counts, and it names only the refund in its text.
#[test]
fn an_event_is_signed_by_stripe_or_refused() {
    holds("events", 4_000);
}

#[test]
fn a_file_of_keys_is_read_or_refused_and_shows_none() {
    holds("keys", 4_000);
}

#[test]
fn a_payload_is_decrypted_or_left_as_it_is() {
    holds("payloads", 4_000);
}

#[test]
fn every_target_has_a_corpus() {
    for (target, _) in targets::ALL {
        assert!(!corpus(target).is_empty());
    }
}
