use std::os::unix::fs::PermissionsExt as _;

use sqlx::Row as _;

use super::{
    testing::{TestDatabase, new_database},
    *,
};

#[tokio::test]
async fn a_new_database_needs_setup_and_setup_is_safe_to_repeat() {
    let (url, _directory) = new_database().await;
    let database = Database::connect(&url).await.unwrap();
    let error = database.check_schema().await.unwrap_err();
    assert!(matches!(error, DatabaseError::OldSchema { found: 0, .. }), "{error:?}");
    assert!(error.hint().contains("recourse setup"));
    let other = Database::connect(&url).await.unwrap();
    let (one, two) = tokio::join!(database.migrate(), other.migrate());
    one.unwrap();
    two.unwrap();
    database.migrate().await.unwrap();
    database.check_schema().await.unwrap();
    database.close().await;
}

/// L5: a database may roll a transaction back by itself, as `SQLite` does when its disk is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_the_database_rolls_back_breaks_no_other() {
    let test = TestDatabase::new().await;
    for _ in 0..20 {
        let mut write = test.database.write().await.unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut *write).await.unwrap();
        drop(write);
        test.database.write().await.unwrap().commit().await.unwrap();
    }
}

/// L5: a writer that does not get the lock in time leaves a failed transaction that the driver does not know of.
#[tokio::test]
async fn a_failed_begin_leaves_no_broken_connection() {
    let test = TestDatabase::new().await;
    if test.database.kind == Kind::Sqlite {
        return;
    }
    for _ in 0..10 {
        let mut connection = test.database.writers().acquire().await.unwrap();
        sqlx::raw_sql("BEGIN; SELECT 1 / 0").execute(&mut *connection).await.unwrap_err();
    }
    test.database.write().await.unwrap().commit().await.unwrap();
}

/// L5: a worker that stops cancels its writers at any point.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cancelled_writers_do_not_block_others() {
    let test = TestDatabase::new().await;
    for round in 0..20_u64 {
        let first = test.database.write().await.unwrap();
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let database = test.database.clone();
                tokio::spawn(async move { database.write().await.map(drop) })
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(round * 250)).await;
        for one in waiting {
            one.abort();
        }
        drop(first);
        let next = tokio::time::timeout(Duration::from_secs(5), test.database.write()).await;
        next.unwrap().unwrap().commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_programs_can_set_up_the_same_new_database_at_once() {
    let (url, _directory) = new_database().await;
    let programs: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move {
                let database = Database::connect(&url).await?;
                database.migrate().await?;
                database.check_schema().await
            })
        })
        .collect();
    for program in programs {
        program.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn tables_of_a_later_version_are_left_alone() {
    let test = TestDatabase::new().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', TRUE, 'x', 0)",
    )
    .execute(test.database.pool())
    .await
    .unwrap();
    for result in [test.database.check_schema().await, test.database.migrate().await] {
        assert!(matches!(result, Err(DatabaseError::NewerSchema { found: 9999, .. })), "{result:?}");
    }
}

#[tokio::test]
async fn an_unusable_database_says_where_and_what_to_do() {
    let error = Database::connect("sqlite:/no/such/directory/x.db").await.unwrap_err();
    assert!(matches!(&error, DatabaseError::Unreachable { .. }));
    assert!(error.to_string().contains("/no/such/directory"), "{error}");
    assert!(error.hint().contains("directory"));
    let error = Database::connect("postgres://me:secret@127.0.0.1:1/x?password=secret").await.unwrap_err();
    assert!(matches!(&error, DatabaseError::Unreachable { .. }));
    assert!(error.to_string().contains("postgres://…@127.0.0.1:1/x cannot"), "{error}");
    let DatabaseError::Unreachable { source, .. } = &error else { unreachable!() };
    assert!(matches!(source, sqlx::Error::Io(_)), "it says why: {source}");
    assert!(error.hint().contains("server"));
    let error = Database::connect("mysql://me:secret@host/x").await.unwrap_err();
    assert!(matches!(error, DatabaseError::UnknownKind { .. }));
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// Whatever the umask allows others, they cannot read the ledger; a file that they could read is corrected.
#[tokio::test]
async fn only_the_owner_may_read_the_files_of_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recourse.db");
    let url = format!("sqlite:{}", path.display());
    let modes = || {
        let files = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
        files.map(|file| (file.file_name(), file.metadata().unwrap().permissions().mode() & 0o777)).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        let database = Database::connect(&url).await.unwrap();
        database.migrate().await.unwrap();
        let found = modes();
        assert!(found.len() > 1, "with the files beside it: {found:?}");
        assert!(found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
        // An earlier version left such files, under an umask of 022.
        for (name, _) in found {
            std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        drop(database);
    }
}

#[tokio::test]
async fn every_connection_is_durable_and_patient() {
    let test = TestDatabase::new().await;
    let wanted = match test.database.kind {
        Kind::Sqlite => &[
            ("PRAGMA journal_mode", "wal"),
            ("PRAGMA synchronous", "2"),
            ("PRAGMA foreign_keys", "1"),
            ("PRAGMA busy_timeout", "10000"),
        ][..],
        Kind::Postgres => &[
            ("SHOW synchronous_commit", "on"),
            ("SHOW lock_timeout", "10s"),
            ("SHOW idle_in_transaction_session_timeout", "30s"),
        ][..],
    };
    let mut connections = Vec::new();
    for _ in 0..test.database.kind.readers_max() {
        connections.push(test.database.pool().acquire().await.unwrap());
    }
    for _ in 0..test.database.kind.writers_max() {
        connections.push(test.database.writers().acquire().await.unwrap());
    }
    for connection in &mut connections {
        for (setting, wanted) in wanted {
            let row = sqlx::query(*setting).fetch_one(&mut **connection).await.unwrap();
            let found: String = row.try_get(0).or_else(|_| row.try_get::<i64, _>(0).map(|n| n.to_string())).unwrap();
            assert_eq!(found, *wanted, "{setting}");
        }
    }
}

/// Two writers: the second waits, and reads what the first wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_take_turns() {
    let test = TestDatabase::new().await;
    let mut first = test.database.write().await.unwrap();
    let database = test.database.clone();
    let second = tokio::spawn(async move {
        let mut write = database.write().await.unwrap();
        let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sandbox_faults").fetch_one(&mut *write).await.unwrap();
        write.commit().await.unwrap();
        rows
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished(), "it did not wait");
    sqlx::query("INSERT INTO sandbox_faults (source, fault, times_left) VALUES ('card-1', 'late', 1)")
        .execute(&mut *first)
        .await
        .unwrap();
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), 1);
}

/// All reads of a transaction see the same instant, whatever others write meanwhile.
#[tokio::test]
async fn reads_of_a_transaction_see_the_same_instant() {
    let test = TestDatabase::new().await;
    let mut read = test.database.read().await.unwrap();
    let count = "SELECT COUNT(*) FROM sandbox_faults";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut *read).await.unwrap();
    test.run("INSERT INTO sandbox_faults (source, fault, times_left) VALUES ('card-1', 'late', 1)").await.unwrap();
    let after: i64 = sqlx::query_scalar(count).fetch_one(&mut *read).await.unwrap();
    assert_eq!((before, after), (0, 0));
}

#[test]
fn secrets_in_a_url_are_not_shown() {
    assert_eq!(shown("postgres://me:secret@host:5432/x?sslkey=secret"), "postgres://…@host:5432/x");
    assert_eq!(shown("sqlite:a/b.db?mode=ro"), "sqlite:a/b.db");
}
