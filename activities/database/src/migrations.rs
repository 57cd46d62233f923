//! The tables of both databases, step by step, as SQL that is part of the program.
//!
//! A delivered step never changes: each database keeps the checksums of the steps that it has applied. The steps are
//! listed here because `sqlx`'s macro would make Cargo compile everything that talks to a database twice.

use std::sync::LazyLock;

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

macro_rules! steps {
    ($folder:literal: $($file:literal)*) => {
        LazyLock::new(|| {
            let sql = [$(($file, include_str!(concat!("../migrations/", $folder, "/", $file, ".sql")))),*];
            Migrator::with_migrations(sql.map(|(file, sql)| step(file, sql)).to_vec())
        })
    };
}

/// A version number means the same on both databases.
pub static SQLITE: LazyLock<Migrator> = steps!(
    "sqlite":
    "0001_ledger"
    "0002_notices"
    "0003_sandbox"
    "0004_milestones"
    "0005_refunds"
    "0006_evidence"
    "0007_webhooks"
    "0008_contract_files"
    "0009_requests"
    "0010_chain"
    "0011_stripe"
    "0012_less_per_posting"
    "0013_open_holds"
    "0014_found_by_keys"
    "0015_grounds"
    "0016_sources"
);

/// Begins with the ninth step, which contains the earlier ones.
pub static POSTGRES: LazyLock<Migrator> = steps!(
    "postgres":
    "0009_tables"
    "0010_chain"
    "0011_stripe"
    "0012_less_per_posting"
    "0013_open_holds"
    "0014_found_by_keys"
    "0015_grounds"
    "0016_sources"
);

/// A step by the name of its file, `0001_ledger`.
fn step(file: &'static str, sql: &'static str) -> Migration {
    let (version, name) = file.split_once('_').expect("a migration file's name has a version and a name");
    let version = version.parse().expect("a migration's version is a number");
    Migration::new(version, name.replace('_', " ").into(), MigrationType::Simple, sql.into_sql_str(), false)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::{Migrator, POSTGRES, SQLITE};

    /// A file that is in the folder and not in the list would never be applied.
    #[test]
    fn every_migration_file_is_in_the_list() {
        let lists: [(&str, &Migrator); 2] = [("sqlite", &SQLITE), ("postgres", &POSTGRES)];
        for (folder, steps) in lists {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
            let listed =
                steps.iter().map(|step| format!("{:04}_{}.sql", step.version, step.description.replace(' ', "_")));
            assert_eq!(listed.collect::<BTreeSet<_>>(), files.collect::<BTreeSet<_>>());
        }
    }
}
