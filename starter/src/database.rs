//! Opening the database.

use std::path::PathBuf;

use recourse_database::Database;

use super::{DatabaseArg, answer::Failure};

/// Opens an existing database. Does not create one.
pub async fn existing_database(argument: &DatabaseArg) -> Result<Database, Failure> {
    if let Some(path) = sqlite_path(&argument.url)
        && !path.exists()
    {
        let failure = Failure::new("database", 3, format!("there is no ledger at {}", argument.url));
        return Err(failure.hint("make it with `recourse setup`, or set RECOURSE_DATABASE_URL to where it is"));
    }
    let database = Database::connect(&argument.url).await?;
    database.check_schema().await?;
    Ok(database)
}

/// The file of `sqlite:path` and `sqlite://path?mode=…`.
fn sqlite_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_file_is_read_from_its_url() {
        for (url, path) in [
            ("sqlite:recourse.db", Some("recourse.db")),
            ("sqlite:///var/lib/r.db?mode=rw", Some("/var/lib/r.db")),
            ("sqlite:/var/lib/r.db", Some("/var/lib/r.db")),
            ("postgres://host/db", None),
        ] {
            assert_eq!(sqlite_path(url), path.map(PathBuf::from), "{url}");
        }
    }

    #[tokio::test]
    async fn reading_a_missing_ledger_does_not_create_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("none.db");
        let argument = DatabaseArg { url: format!("sqlite:{}", path.display()) };
        let Err(failure) = existing_database(&argument).await else { panic!("opened") };
        assert_eq!(failure.exit, 3);
        assert!(failure.hint.is_some_and(|hint| hint.contains("recourse setup")));
        assert!(!path.exists());
    }
}
