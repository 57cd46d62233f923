use std::time::Duration;

use futures_util::stream;
use recourse_database::testing::{TestDatabase, id};
use recourse_domain::party::Role;

use super::*;

const PDF: &[u8] = b"%PDF-1.7\nthe whole agreement\n";

struct Place {
    store: EvidenceStore,
    folder: tempfile::TempDir,
    test: TestDatabase,
}

impl Place {
    async fn new() -> Self {
        let (test, folder) = (TestDatabase::new().await, tempfile::tempdir().unwrap());
        let url = format!("file://{}/new/store", folder.path().display());
        Self { store: EvidenceStore::open(test.database.clone(), &url).unwrap(), folder, test }
    }

    async fn put(&self, by: &Actor, name: &str, content: &[u8]) -> Result<StoredEvidence, EvidenceError> {
        let pieces: Vec<_> =
            content.chunks(7).map(|piece| Ok::<_, EvidenceError>(Bytes::copy_from_slice(piece))).collect();
        self.store.put(&id("c-1"), by, name, &limits(), stream::iter(pieces)).await
    }

    /// Every file in the store's folder, by its path in it.
    fn files(&self) -> Vec<String> {
        let root = self.folder.path().join("new/store");
        let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().display().to_string());
                }
            }
        }
        found.sort();
        found
    }

    async fn content(&self, sha256: &str) -> Vec<u8> {
        let (_, content) = self.store.read(&id("c-1"), sha256).await.unwrap();
        content.try_collect::<Vec<_>>().await.unwrap().concat()
    }
}

fn limits() -> EvidenceLimits {
    EvidenceLimits { max_bytes: 20_000_000, ..EvidenceLimits::default() }
}

fn actor(party: Role, name: &str) -> Actor {
    Actor { party, id: id(name) }
}

fn client() -> Actor {
    actor(Role::Client, "cl-1")
}

/// D6: a file comes back as it was uploaded, and a command can refer to it.
#[tokio::test]
async fn a_file_comes_back_as_it_was_uploaded() {
    let place = Place::new().await;
    let stored = place.put(&client(), "../../agreement.pdf", PDF).await.unwrap();
    assert_eq!(stored.evidence.name, "agreement.pdf");
    assert_eq!(limits().check(std::slice::from_ref(&stored.evidence)), Ok(()));
    let sha256 = stored.evidence.sha256.clone();
    // sha256sum of the same bytes.
    assert_eq!(sha256, "d59288aac33519801de299e11fe70a0257abf89d13716767418ad65657b162ff");
    assert_eq!(place.content(&sha256).await, PDF);
    assert_eq!(place.files(), [format!("evidence/c-1/{sha256}")]);
    let as_command: Evidence = serde_json::from_value(serde_json::to_value(&stored).unwrap()).unwrap();
    assert_eq!(as_command, stored.evidence);
    assert!(place.store.find(&id("c-2"), &sha256).await.unwrap().is_none(), "it belongs to this contract");
    assert!(matches!(place.store.read(&id("c-2"), &sha256).await, Err(EvidenceError::NotFound { .. })));
}

/// D6: a file's name does not determine its type.
#[tokio::test]
async fn refused_files_leave_nothing() {
    let place = Place::new().await;
    let page = [b"<html><script>steal()</script>".as_slice(), &b"x".repeat(9_000)].concat();
    let binary_later = [&b"words ".repeat(2_000), b"\0".as_slice()].concat();
    for (name, content, word) in [
        ("invoice.pdf", page.as_slice(), "text/html by its content"),
        ("invoice.pdf", b"MZ\x90\0\x03\0\0\0\x04\0\0\0", "by its content"),
        ("notes.txt", binary_later.as_slice(), "cannot be told"),
        ("notes.txt", b"caf\xc3", "cannot be told"),
        ("run.sh", b"#!/bin/sh\n", "by its content"),
        ("notes.txt", b"", "empty"),
        ("..", PDF, "no name"),
        ("C:\\", PDF, "no name"),
        ("\0\u{202E}", PDF, "no name"),
        ("report\u{202E}fdp.exe", PDF, "by its name"),
    ] {
        let error = place.put(&client(), name, content).await.unwrap_err();
        assert!(error.to_string().contains(word), "{name:?}: {error}");
        assert_eq!(place.files(), Vec::<String>::new(), "{name:?}");
    }
    assert_eq!(place.store.list(&id("c-1")).await.unwrap(), []);
}

/// D6: a file that grows too large is stopped at that point, though parts of it are written already.
#[tokio::test]
async fn an_upload_that_grows_too_large_is_stopped() {
    let place = Place::new().await;
    let pulled = std::sync::atomic::AtomicUsize::new(0);
    let endless = stream::repeat_with(|| {
        let number = pulled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let piece = if number == 0 { PDF.to_vec() } else { vec![b'x'; 1_000_000] };
        Ok::<_, EvidenceError>(Bytes::from(piece))
    });
    let error = place.store.put(&id("c-1"), &client(), "a.pdf", &limits(), endless).await.unwrap_err();
    assert!(matches!(error, EvidenceError::TooBig { max_bytes: 20_000_000 }), "{error}");
    assert_eq!(pulled.into_inner(), 21);
    assert_eq!(place.files(), Vec::<String>::new());
}

/// An upload that is cut off leaves nothing, neither in the first part nor when parts are written.
#[tokio::test]
async fn a_broken_stream_leaves_nothing() {
    let place = Place::new().await;
    for pieces in [1, 12] {
        let broken = (0..pieces)
            .map(|number| Ok(Bytes::from(if number == 0 { PDF.to_vec() } else { vec![b'x'; 1_000_000] })))
            .chain([Err(std::io::Error::other("gone"))]);
        let broken: Vec<Result<Bytes, std::io::Error>> = broken.collect();
        let error = place.store.put(&id("c-1"), &client(), "a.pdf", &limits(), stream::iter(broken)).await.unwrap_err();
        assert!(matches!(error, EvidenceError::Interrupted(_)), "{error}");
        assert_eq!(place.files(), Vec::<String>::new());
    }
}

/// A large file is uploaded and read in several parts.
#[tokio::test]
async fn a_file_of_several_parts_is_complete() {
    let place = Place::new().await;
    let content = [PDF, &b"0123456789".repeat(1_300_000)].concat();
    let pieces: Vec<_> =
        content.chunks(900_001).map(|piece| Ok::<_, EvidenceError>(Bytes::copy_from_slice(piece))).collect();
    let stored = place.store.put(&id("c-1"), &client(), "a.pdf", &limits(), stream::iter(pieces)).await.unwrap();
    assert_eq!(stored.evidence.size, content.len() as u64);
    assert!(place.content(&stored.evidence.sha256).await == content);
}

/// The same upload twice is the same evidence. The same content from two uploaders is two pieces of evidence, and one
/// file.
#[tokio::test]
async fn the_same_content_is_one_evidence_for_each_uploader() {
    let place = Place::new().await;
    let first = place.put(&client(), "first.pdf", PDF).await.unwrap();
    let again = place.put(&client(), "again.pdf", PDF).await.unwrap();
    assert_eq!(first, again);
    let other = place.put(&actor(Role::Freelancer, "fl-1"), "other.pdf", PDF).await.unwrap();
    assert_eq!((&other.evidence.sha256, other.evidence.name.as_str()), (&first.evidence.sha256, "other.pdf"));
    assert_eq!(place.store.list(&id("c-1")).await.unwrap(), [first.clone(), other]);
    assert_eq!(place.files().len(), 1);
    assert_eq!(place.store.find(&id("c-1"), &first.evidence.sha256).await.unwrap(), Some(first));
    // An id that looks like a path does not lead out of its folder.
    let pieces = || stream::iter([Ok::<_, EvidenceError>(Bytes::from_static(PDF))]);
    place.store.put(&id(".."), &client(), "a.pdf", &limits(), pieces()).await.unwrap();
    assert!(place.files().iter().all(|file| file.starts_with("evidence/")), "{:?}", place.files());
    assert_eq!(place.files().len(), 2);
}

/// D6: a file that a command referred to stays, whatever else is swept; a file that nobody referred to is deleted.
#[tokio::test]
async fn sealed_files_stay_and_others_are_swept() {
    let place = Place::new().await;
    let kept = place.put(&client(), "kept.pdf", PDF).await.unwrap().evidence.sha256;
    place.put(&actor(Role::Freelancer, "fl-1"), "kept too.pdf", PDF).await.unwrap();
    let unused = place.put(&client(), "unused.txt", b"nobody refers to this").await.unwrap().evidence.sha256;
    let contract = id("c-1");
    let missing = "0".repeat(64);
    let error = place.store.seal(&contract, Role::Client, &[kept.clone(), missing], "dispute:c-1").await.unwrap_err();
    assert!(matches!(error, EvidenceError::NotFound { .. }), "{error}");
    assert!(place.store.find(&contract, &kept).await.unwrap().unwrap().sealed_at.is_none(), "all or none");
    for case in ["dispute:c-1", "payment-refund:c-1"] {
        place.store.seal(&contract, Role::Client, std::slice::from_ref(&kept), case).await.unwrap();
    }
    let sealed = place.store.find(&contract, &kept).await.unwrap().unwrap();
    assert_eq!(sealed.sealed_by_case.as_deref(), Some("dispute:c-1"));
    assert!(sealed.sealed_at.is_some());
    let freelancers =
        place.store.list(&contract).await.unwrap().into_iter().find(|file| file.evidence.name == "kept too.pdf");
    assert!(freelancers.unwrap().sealed_at.is_none(), "the other side's draft stays one");
    // A crash leaves an upload that was being written, and one that was not moved yet.
    let uploads = place.folder.path().join("new/store/uploads");
    std::fs::write(uploads.join("a#1"), b"half").unwrap();
    std::fs::write(uploads.join("b"), b"whole").unwrap();
    assert_eq!(place.store.sweep(Duration::from_hours(1)).await.unwrap(), Swept::default(), "too young");
    for left in ["a#1", "b"] {
        let file = std::fs::File::options().append(true).open(uploads.join(left)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    place.test.run("UPDATE evidence SET fresh_at = 0").await.unwrap();
    assert_eq!(place.store.sweep(Duration::from_hours(1)).await.unwrap(), Swept { broken_off: 2, unsealed: 1 });
    assert_eq!(place.store.find(&contract, &unused).await.unwrap(), None);
    assert_eq!(place.store.list(&contract).await.unwrap().len(), 2);
    assert_eq!(place.files(), [format!("evidence/c-1/{kept}")]);
    assert!(place.test.run("DELETE FROM evidence").await.unwrap_err().contains("D4"));
    assert!(place.test.run("UPDATE evidence SET name = 'x'").await.unwrap_err().contains("D4"));
    place.put(&client(), "unused.txt", b"nobody refers to this").await.unwrap();
    assert_eq!(place.content(&unused).await, b"nobody refers to this", "it can come back");
}

/// Whatever step a crash interrupts, no incomplete file is served, and the same upload or the next sweep repairs it.
#[tokio::test]
async fn a_crash_leaves_no_incomplete_file_that_is_served() {
    let place = Place::new().await;
    let (contract, sha256) = (id("c-1"), place.put(&client(), "a.pdf", PDF).await.unwrap().evidence.sha256);
    // A program died before the move.
    place.test.run("UPDATE evidence SET placed = 0").await.unwrap();
    assert_eq!(place.store.find(&contract, &sha256).await.unwrap(), None);
    assert_eq!(place.store.list(&contract).await.unwrap(), []);
    assert!(place.store.seal(&contract, Role::Client, std::slice::from_ref(&sha256), "dispute:c-1").await.is_err());
    place.put(&client(), "a.pdf", PDF).await.unwrap();
    assert_eq!(place.content(&sha256).await, PDF);
    // A sweep died before its end.
    place.test.run("UPDATE evidence SET going = 1").await.unwrap();
    assert!(place.store.seal(&contract, Role::Client, std::slice::from_ref(&sha256), "dispute:c-1").await.is_err());
    for by in [client(), actor(Role::Freelancer, "fl-1")] {
        let error = place.put(&by, "a.pdf", PDF).await.unwrap_err();
        assert!(matches!(error, EvidenceError::BeingDeleted), "{by}: {error}");
    }
    assert_eq!(place.store.sweep(Duration::from_hours(1)).await.unwrap().unsealed, 1);
    assert_eq!(place.files(), Vec::<String>::new());
    place.put(&client(), "a.pdf", PDF).await.unwrap();
    assert_eq!(place.content(&sha256).await, PDF);
}

#[tokio::test]
async fn only_folders_and_buckets_are_stores() {
    let place = Place::new().await;
    for url in ["evidence", "http://example.com/x", "file://host/x", "s3:///x", ""] {
        let error = EvidenceStore::open(place.test.database.clone(), url).unwrap_err();
        assert!(matches!(error, EvidenceError::Location { .. }), "{url}: {error}");
    }
    for url in ["s3://bucket", "s3://bucket/some/prefix/"] {
        EvidenceStore::open(place.test.database.clone(), url).unwrap();
    }
    let taken = format!("file://{}/file", place.folder.path().display());
    std::fs::write(place.folder.path().join("file"), b"").unwrap();
    let error = EvidenceStore::open(place.test.database.clone(), &taken).unwrap_err();
    assert!(matches!(error, EvidenceError::Folder { .. }), "{error}");
}

/// D6: an upload that stops, or is too slow, ends and leaves nothing; others that waited for its memory get it then.
#[tokio::test]
async fn a_stalled_upload_ends_and_makes_room() {
    let place = Place::new().await;
    let (of, by, limits) = (id("c-1"), actor(Role::Freelancer, "fl-1"), limits());
    let short = Duration::from_millis(100);
    for intake in [
        IntakeLimits { stalled: short, memory: 1, wait: Duration::from_mins(1), ..IntakeLimits::default() },
        IntakeLimits {
            head_start: short,
            stalled: Duration::from_hours(1),
            memory: 1,
            wait: Duration::from_mins(1),
            ..IntakeLimits::default()
        },
    ] {
        let store = place.store.clone().with_intake(intake);
        let head = stream::iter([Ok::<_, String>(Bytes::from_static(b"some text\n"))]);
        let still = store.put(&of, &by, "a.txt", &limits, head.chain(stream::pending()));
        let other = store.put(&of, &by, "b.txt", &limits, text("other text\n"));
        let both = async { tokio::join!(still, other) };
        let (still, other) = tokio::time::timeout(Duration::from_secs(10), both).await.expect("it is cut off");
        assert!(matches!(still, Err(EvidenceError::TooSlow { .. })), "{still:?}");
        assert_eq!(other.unwrap().evidence.name, "b.txt");
    }
    let store = place.store.clone().with_intake(IntakeLimits { memory: 1, wait: short, ..IntakeLimits::default() });
    let (let_in, is_in) = tokio::sync::oneshot::channel();
    let still = stream::once(async move {
        let_in.send(()).unwrap();
        std::future::pending::<Result<Bytes, String>>().await
    });
    let still = store.put(&of, &by, "a.txt", &limits, still);
    let other = async {
        is_in.await.unwrap();
        store.put(&of, &by, "c.txt", &limits, text("more text\n")).await
    };
    tokio::select! {
        still = still => panic!("{still:?}"),
        other = other => assert!(matches!(other, Err(EvidenceError::Busy)), "{other:?}"),
    }
}

/// D6: if a party uploads many files at once, others can still upload. The party's further files wait, and then get an
/// error with the reason.
#[tokio::test]
async fn a_party_leaves_room_for_others() {
    let place = Place::new().await;
    let (of, by, limits) = (id("c-1"), actor(Role::Freelancer, "fl-1"), limits());
    let wait = Duration::from_millis(300);
    let store = place.store.clone().with_intake(IntakeLimits { at_once: 2, wait, ..IntakeLimits::default() });
    let (let_in, mut are_in) = tokio::sync::mpsc::unbounded_channel();
    let still = |name: &'static str| {
        let (store, of, by, limits, let_in) = (&store, &of, &by, &limits, let_in.clone());
        async move {
            let still = stream::once(async move {
                let_in.send(()).unwrap();
                std::future::pending::<Result<Bytes, String>>().await
            });
            store.put(of, by, name, limits, Box::pin(still)).await
        }
    };
    let others = async {
        are_in.recv().await.unwrap();
        are_in.recv().await.unwrap();
        let other = client();
        let (third, clients) = tokio::join!(
            store.put(&of, &by, "c.txt", &limits, text("more text\n")),
            store.put(&of, &other, "d.txt", &limits, text("the client's\n")),
        );
        assert!(matches!(third, Err(EvidenceError::TooManyAtOnce { at_once: 2 })), "{third:?}");
        assert_eq!(clients.unwrap().evidence.name, "d.txt");
    };
    tokio::select! {
        still = async { tokio::join!(still("a.txt"), still("b.txt")) } => panic!("{still:?}"),
        () = others => {}
    }
    store.put(&of, &by, "c.txt", &limits, text("more text\n")).await.expect("the waiting uploads succeed");
}

fn text(content: &'static str) -> impl Stream<Item = Result<Bytes, String>> + Send {
    stream::iter([Ok(Bytes::from_static(content.as_bytes()))])
}

/// D6: files that nothing refers to are limited for each contract and side, in number and in bytes. Files that a case
/// refers to do not count.
#[tokio::test]
async fn a_sides_unsealed_files_are_limited() {
    let place = Place::new().await;
    for intake in [
        IntakeLimits { draft_files: 2, ..IntakeLimits::default() },
        IntakeLimits { draft_bytes: 25, ..IntakeLimits::default() },
    ] {
        let store = place.store.clone().with_intake(intake);
        let of = id(&format!("c-{}-{}", intake.draft_files, intake.draft_bytes));
        let put = async |by: Actor, content: &'static str| store.put(&of, &by, "a.txt", &limits(), text(content)).await;
        let first = put(actor(Role::Freelancer, "fl-1"), "first text\n").await.unwrap();
        put(actor(Role::Freelancer, "fl-1"), "other text\n").await.unwrap();
        let full = put(actor(Role::Freelancer, "fl-1"), "third text\n").await.unwrap_err();
        assert!(matches!(full, EvidenceError::Full { files: 2, bytes: 22, .. }), "{full:?}");
        put(actor(Role::Freelancer, "fl-1"), "first text\n").await.expect("the same content takes no more room");
        put(client(), "third text\n").await.expect("the other side has its own limit");
        store.seal(&of, Role::Freelancer, &[first.evidence.sha256], "dispute:c-1").await.unwrap();
        put(actor(Role::Freelancer, "fl-1"), "third text\n").await.expect("a sealed file does not count");
    }
}

/// If others could enter a folder, the program corrects that; others can never enter a new one.
#[tokio::test]
async fn other_users_of_the_machine_cannot_enter_the_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new().await;
    let root = place.folder.path().join("new/store");
    let mode = || std::fs::metadata(&root).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o700);
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    EvidenceStore::open(place.test.database.clone(), &format!("file://{}", root.display())).unwrap();
    assert_eq!(mode(), 0o700);
}
