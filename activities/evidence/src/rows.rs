//! The rows of evidence. A row is made before its content moves to its place, and the content is served only after
//! that.

use jiff::Timestamp;
use recourse_database::Database;
use recourse_domain::{
    evidence::Evidence,
    ids::Id,
    party::{Actor, Role},
};
use sqlx::{Row as _, any::AnyRow};

use super::{EvidenceError, StoredEvidence};

const COLUMNS: &str =
    "contract, sha256, name, size, media_type, uploader_role, uploader, at, sealed_by_case, sealed_at";

/// Whether a side of a contract may have another file that nothing refers to: there is a limit for their number, and
/// one for their bytes. The same content again takes no more room.
pub(super) async fn check_room<'e>(
    executor: impl sqlx::Executor<'e, Database = sqlx::Any>,
    contract: &Id,
    by: &Actor,
    new: Option<&Evidence>,
    (files_max, bytes_max): (u64, u64),
) -> Result<(), EvidenceError> {
    let row = sqlx::query(
        "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM evidence
         WHERE contract = $1 AND uploader_role = $2 AND sealed_at IS NULL AND sha256 <> $3",
    )
    .bind(contract.as_str())
    .bind(by.party.name())
    .bind(new.map_or_else(String::new, |new| new.sha256.clone()))
    .fetch_one(executor)
    .await?;
    let count = |at: usize| row.try_get::<i64, _>(at).map(|count| u64::try_from(count).unwrap_or(0));
    let (files, bytes) = (count(0)?, count(1)?);
    let size = new.map_or(0, |new| new.size);
    // Before the content is known, the check must admit a file that exists already.
    let (files_with, bytes_with) = (files + u64::from(new.is_some()), bytes + size);
    if files_with > files_max || bytes_with > bytes_max {
        let contract = contract.clone();
        return Err(EvidenceError::Full { contract, side: by.party, files, bytes, files_max, bytes_max });
    }
    Ok(())
}

/// Begins to keep a content that an uploader sent, or records that it was sent again.
///
/// # Errors
/// [`EvidenceError::BeingDeleted`] if a sweep is deleting the same content.
pub(super) async fn begin(
    database: &Database,
    contract: &Id,
    by: &Actor,
    evidence: &Evidence,
    drafts: (u64, u64),
    now: Timestamp,
) -> Result<(), EvidenceError> {
    let mut write = database.write().await?;
    let going: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM evidence WHERE contract = $1 AND sha256 = $2 AND going = 1")
            .bind(contract.as_str())
            .bind(&evidence.sha256)
            .fetch_one(&mut *write)
            .await?;
    if going > 0 {
        return Err(EvidenceError::BeingDeleted);
    }
    check_room(&mut *write, contract, by, Some(evidence), drafts).await?;
    sqlx::query(
        "INSERT INTO evidence (contract, sha256, name, size, media_type, uploader_role, uploader, at, fresh_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         ON CONFLICT (contract, sha256, uploader_role, uploader) DO UPDATE SET fresh_at = excluded.fresh_at",
    )
    .bind(contract.as_str())
    .bind(&evidence.sha256)
    .bind(&evidence.name)
    .bind(i64::try_from(evidence.size).unwrap_or(i64::MAX))
    .bind(&evidence.media_type)
    .bind(by.party.name())
    .bind(by.id.as_str())
    .bind(now.as_millisecond())
    .execute(&mut *write)
    .await?;
    write.commit().await?;
    Ok(())
}

/// Records that the content is in its place, and returns the evidence.
pub(super) async fn placed(
    database: &Database,
    contract: &Id,
    by: &Actor,
    sha256: &str,
) -> Result<StoredEvidence, EvidenceError> {
    let sql = format!(
        "UPDATE evidence SET placed = 1
         WHERE contract = $1 AND sha256 = $2 AND uploader_role = $3 AND uploader = $4 AND going = 0
         RETURNING {COLUMNS}"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(contract.as_str())
        .bind(sha256)
        .bind(by.party.name())
        .bind(by.id.as_str())
        .fetch_optional(database.pool())
        .await?;
    read(&row.ok_or(EvidenceError::BeingDeleted)?)
}

pub(super) async fn find(
    database: &Database,
    contract: &Id,
    sha256: &str,
) -> Result<Option<StoredEvidence>, EvidenceError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM evidence
         WHERE contract = $1 AND sha256 = $2 AND placed = 1 AND going = 0 ORDER BY sequence LIMIT 1"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(contract.as_str())
        .bind(sha256)
        .fetch_optional(database.pool())
        .await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn list(database: &Database, contract: &Id) -> Result<Vec<StoredEvidence>, EvidenceError> {
    let sql =
        format!("SELECT {COLUMNS} FROM evidence WHERE contract = $1 AND placed = 1 AND going = 0 ORDER BY sequence");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(contract.as_str()).fetch_all(database.pool()).await?;
    rows.iter().map(read).collect()
}

/// Seals contents that this side uploaded, all or none. If the other side has the same content, that stays a draft.
pub(super) async fn seal(
    database: &Database,
    contract: &Id,
    side: Role,
    sha256s: &[String],
    case: &str,
    now: Timestamp,
) -> Result<(), EvidenceError> {
    let mut write = database.write().await?;
    for sha256 in sha256s {
        let sealed = sqlx::query(
            "UPDATE evidence SET sealed_by_case = COALESCE(sealed_by_case, $1), sealed_at = COALESCE(sealed_at, $2)
             WHERE contract = $3 AND sha256 = $4 AND uploader_role = $5 AND placed = 1 AND going = 0",
        )
        .bind(case.to_owned())
        .bind(now.as_millisecond())
        .bind(contract.as_str())
        .bind(sha256)
        .bind(side.name())
        .execute(&mut *write)
        .await?;
        if sealed.rows_affected() == 0 {
            return Err(EvidenceError::NotFound { contract: contract.clone(), sha256: sha256.clone() });
        }
    }
    write.commit().await?;
    Ok(())
}

/// Contents that nobody has sealed, or uploaded again, since `before`; and those that an earlier sweep did not finish.
pub(super) async fn stale(database: &Database, before: Timestamp) -> Result<Vec<(Id, String)>, EvidenceError> {
    let rows = sqlx::query(
        "SELECT contract, sha256 FROM evidence
         GROUP BY contract, sha256
         HAVING MAX(going) = 1 OR (COUNT(sealed_at) = 0 AND MAX(fresh_at) < $1)",
    )
    .bind(before.as_millisecond())
    .fetch_all(database.pool())
    .await?;
    rows.iter().map(|row| Ok((read_id("contract", row.try_get("contract")?)?, row.try_get("sha256")?))).collect()
}

/// Marks a content as being deleted, so that meanwhile nobody is served it or uploads it again. False if it was sealed
/// or uploaded again since the sweep found it.
pub(super) async fn let_go(
    database: &Database,
    contract: &Id,
    sha256: &str,
    before: Timestamp,
) -> Result<bool, EvidenceError> {
    let let_go = sqlx::query(
        "UPDATE evidence SET going = 1
         WHERE contract = $1 AND sha256 = $2
           AND (going = 1 OR NOT EXISTS (
               SELECT 1 FROM evidence AS kept
               WHERE kept.contract = $1 AND kept.sha256 = $2 AND (kept.sealed_at IS NOT NULL OR kept.fresh_at >= $3)))",
    )
    .bind(contract.as_str())
    .bind(sha256.to_owned())
    .bind(before.as_millisecond())
    .execute(database.writers())
    .await?;
    Ok(let_go.rows_affected() > 0)
}

/// Deletes the row of a deleted content.
pub(super) async fn forget(database: &Database, contract: &Id, sha256: &str) -> Result<(), EvidenceError> {
    sqlx::query("DELETE FROM evidence WHERE contract = $1 AND sha256 = $2 AND going = 1")
        .bind(contract.as_str())
        .bind(sha256.to_owned())
        .execute(database.writers())
        .await?;
    Ok(())
}

fn read(row: &AnyRow) -> Result<StoredEvidence, EvidenceError> {
    let role: &str = row.try_get("uploader_role")?;
    let size: i64 = row.try_get("size")?;
    let sealed_at: Option<i64> = row.try_get("sealed_at")?;
    Ok(StoredEvidence {
        evidence: Evidence {
            sha256: row.try_get("sha256")?,
            name: row.try_get("name")?,
            size: u64::try_from(size).map_err(|_| damaged("size", &size))?,
            media_type: row.try_get("media_type")?,
        },
        contract: read_id("contract", row.try_get("contract")?)?,
        uploaded_by: Actor {
            party: Role::ALL
                .into_iter()
                .find(|known| known.name() == role)
                .ok_or_else(|| damaged("uploader_role", role))?,
            id: read_id("uploader", row.try_get("uploader")?)?,
        },
        at: read_instant("at", row.try_get("at")?)?,
        sealed_by_case: row.try_get("sealed_by_case")?,
        sealed_at: sealed_at.map(|at| read_instant("sealed_at", at)).transpose()?,
    })
}

fn read_id(field: &'static str, text: &str) -> Result<Id, EvidenceError> {
    Id::new(text).map_err(|_| damaged(field, text))
}

fn read_instant(field: &'static str, milliseconds: i64) -> Result<Timestamp, EvidenceError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| damaged(field, &milliseconds))
}

fn damaged(field: &'static str, value: &(impl ToString + ?Sized)) -> EvidenceError {
    EvidenceError::Damaged { field, value: value.to_string() }
}
