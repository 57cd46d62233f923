//! Evidence files: a party uploads a file, Recourse checks it, and gives it to the parties and to those who decide (D4, D6).
//!
//! A party first uploads a file, then refers to it in a command. Before that only its uploader sees it. The command seals it;
//! then both sides and the mediator see it.

use std::time::Duration;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use recourse_client::CaseId;
use recourse_domain::{
    evidence::{Evidence, EvidenceLimits},
    ids::Id,
    party::{Actor, Role},
};
use recourse_evidence::{EvidenceError, EvidenceStore, StoredEvidence};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Front, Problems,
    extract::{Caller, Of, QueryParams, too_large},
    identity::Identity,
    lists::Page,
    openapi::{InContract, Schemas},
    problem::Problem,
};

/// How many bytes of a refused upload Recourse still reads, so that its sender can read the answer.
const DISCARDED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// For how long it reads them.
const DISCARDED_WITHIN: Duration = Duration::from_secs(20);

/// How long a sender may pause while it still sends.
const DISCARDED_PAUSE: Duration = Duration::from_secs(2);

/// A file's name.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The file's name.
    name: String,
    /// The case that it is for. That case's policy says which files Recourse takes; without a case, the default policy does.
    case: Option<String>,
}

/// Its operations, except uploads, which have a time limit of their own.
pub fn routes() -> OpenApiRouter<Front> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(download))
}

/// The uploads. They have a longer time limit.
pub fn uploads() -> OpenApiRouter<Front> {
    OpenApiRouter::new().routes(routes!(upload))
}

/// Their schemas.
pub fn schemas(schemas: &mut Schemas) {
    schemas.add::<Evidence>();
    schemas.page::<Evidence>("EvidencePage");
}

/// Uploads a file. Its content determines its type, which must fit its name and the case's policy.
///
/// The same content is the same file, so a sender can simply repeat an upload that broke off.
#[utoipa::path(
    post, path = "/v1/contracts/{contract}/evidence", tag = "evidence",
    params(InContract, Named),
    request_body(content_type = "application/octet-stream", content = ref("#/components/schemas/FileContent"), description = "The file."),
    responses((status = 201, description = "It is kept. Refer to it in a command.", body = ref("#/components/schemas/Evidence")), Problems)
)]
pub async fn upload(
    State(front): State<Front>,
    Caller(who): Caller,
    Of(contract): Of<Id>,
    QueryParams(named): QueryParams<Named>,
    body: Body,
) -> Result<Response, Problem> {
    let limits = front.evidence_limits(&who, &contract, named.case.as_deref()).await?;
    let stored = front.upload(&who, &contract, &named.name, &limits, body.into_data_stream()).await?;
    Ok((StatusCode::CREATED, Json(stored.evidence)).into_response())
}

/// Lists the contract's files that you may see, oldest first.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/evidence", tag = "evidence",
    params(InContract),
    responses((status = 200, description = "All of them.", body = ref("#/components/schemas/EvidencePage")), Problems)
)]
pub async fn list(State(front): State<Front>, Caller(who): Caller, Of(id): Of<Id>) -> Result<Response, Problem> {
    Ok(Json(Page { items: front.files(&who, &id).await?, next: None }).into_response())
}

/// Gives out a file.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/evidence/{sha256}", tag = "evidence",
    params(InContract,
           ("sha256" = String, Path, description = "The file's SHA-256, in hexadecimal.")),
    responses((status = 200, description = "The file, to be saved.", content_type = "*/*", body = ref("#/components/schemas/FileContent")), Problems)
)]
pub async fn download(
    State(front): State<Front>,
    Caller(who): Caller,
    Of((contract, sha256)): Of<(Id, String)>,
) -> Result<Response, Problem> {
    front.file(&who, &contract, &sha256).await
}

impl Front {
    /// The contract's files that somebody may see, oldest first.
    ///
    /// # Errors
    /// 404 if the contract is not theirs.
    pub async fn files(&self, who: &Identity, id: &Id) -> Result<Vec<Evidence>, Problem> {
        let (_, roles) = self.contract(who, id).await?;
        let mut files: Vec<Evidence> = Vec::new();
        for file in self.evidence().list(id).await? {
            let is_new = !files.iter().any(|seen| seen.sha256 == file.evidence.sha256);
            if is_new && may_see(&file, roles.iter().copied()) {
                files.push(file.evidence);
            }
        }
        Ok(files)
    }

    /// Which evidence Recourse takes (D6): by the policy of this case of the contract, or by the default policy.
    ///
    /// # Errors
    /// 404 if the case is not theirs, 422 if it belongs to another contract.
    pub async fn evidence_limits(
        &self,
        who: &Identity,
        id: &Id,
        case: Option<&str>,
    ) -> Result<EvidenceLimits, Problem> {
        let Some(case) = case else { return Ok(EvidenceLimits::default()) };
        self.case(who, case).await?;
        if CaseId::read(case)?.contract != *id {
            return Err(Problem::invalid(format!("case: {case} is not of contract {id}")));
        }
        Ok(self.client().policy(case).await?.evidence)
    }

    /// Stores a party's file.
    ///
    /// # Errors
    /// 404 if the contract is not theirs, 403 if they are no party of it, 413 and 422 for a file that Recourse does not take.
    pub async fn upload<S, E>(
        &self,
        who: &Identity,
        id: &Id,
        name: &str,
        limits: &EvidenceLimits,
        content: S,
    ) -> Result<StoredEvidence, Problem>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: std::fmt::Display + Send,
    {
        let (contract, roles) = self.contract(who, id).await?;
        let party = Role::PARTIES.into_iter().find(|role| roles.contains(role));
        let party = party.ok_or_else(|| Problem::forbidden("only a party of the contract uploads evidence"))?;
        let by = Actor { party, id: who.id_as(party, &contract) };
        let mut bytes = content.map_err(|error| error.to_string());
        let stored = self.evidence().put(id, &by, name, limits, &mut bytes).await;
        if stored.as_ref().is_err_and(|error| !matches!(error, EvidenceError::TooSlow { .. })) {
            // Otherwise a sender that is still sending sees a broken connection, and not the reason.
            let rest = async {
                let mut read = 0;
                while let Ok(Some(Ok(piece))) = tokio::time::timeout(DISCARDED_PAUSE, bytes.next()).await
                    && read <= DISCARDED_BYTES_MAX
                {
                    read += piece.len();
                }
            };
            let _ = tokio::time::timeout(DISCARDED_WITHIN, rest).await;
        }
        Ok(stored?)
    }

    /// A file as an answer, for the browser to save and never to show in place.
    ///
    /// # Errors
    /// 404 if there is none that they may see.
    pub async fn file(&self, who: &Identity, id: &Id, sha256: &str) -> Result<Response, Problem> {
        let unknown = || Problem::not_found(format!("contract {id} has no such file that you may see"));
        let (_, roles) = self.contract(who, id).await?;
        let all = self.evidence().list(id).await?;
        let of_them = |file: &&StoredEvidence| file.evidence.sha256 == sha256 && may_see(file, roles.iter().copied());
        let file = all.iter().find(of_them).ok_or_else(unknown)?.evidence.clone();
        let (_, content) = self.evidence().read(id, sha256).await?;
        let mut response = Body::from_stream(content).into_response();
        let headers = response.headers_mut();
        let name: String = file.name.bytes().map(percent).collect();
        for (name, value) in [
            (header::CONTENT_TYPE, file.media_type),
            (header::CONTENT_LENGTH, file.size.to_string()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{name}")),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        ] {
            let value = HeaderValue::from_str(&value).map_err(|error| Problem::unexpected(&error))?;
            headers.insert(name, value);
        }
        Ok(response)
    }

    /// The files that a command's fields refer to. The sender's side must have uploaded each one, and the fields must describe
    /// it correctly.
    ///
    /// # Errors
    /// 422 with the file for which this is not true.
    pub async fn files_in(
        &self,
        contract: &Id,
        role: Role,
        fields: &Map<String, Value>,
    ) -> Result<Vec<String>, Problem> {
        let mut named = Vec::new();
        for field in ["evidence", "files"] {
            let files = fields.get(field).cloned().unwrap_or_else(|| Value::Array(Vec::new()));
            let files: Vec<Evidence> =
                serde_json::from_value(files).map_err(|error| Problem::invalid(format!("{field}: {error}")))?;
            named.extend(files);
        }
        self.check_files(contract, role, &named).await?;
        Ok(named.into_iter().map(|file| file.sha256).collect())
    }

    /// Whether the side of this role uploaded these files, and their descriptions are correct.
    ///
    /// # Errors
    /// 422 with the file for which this is not true.
    pub async fn check_files(&self, contract: &Id, role: Role, files: &[Evidence]) -> Result<(), Problem> {
        if files.is_empty() {
            return Ok(());
        }
        let kept = self.evidence().list(contract).await?;
        for file in files {
            let is_theirs = kept.iter().any(|kept| kept.uploaded_by.party == role && kept.evidence == *file);
            if !is_theirs {
                let detail = format!("the {role} has uploaded no file {} like this", file.name);
                return Err(Problem::invalid(detail).hint("upload it first, and refer to it by what was answered"));
            }
        }
        Ok(())
    }

    /// Seals the files to which a command of this side refers.
    pub async fn seal(&self, contract: &Id, side: Role, files: &[String], case: &str) {
        if files.is_empty() {
            return;
        }
        // The case has the command. The store keeps an unsealed file for days, and the next command that refers to the file
        // seals it.
        if let Err(error) = self.evidence().seal(contract, side, files, case).await {
            tracing::error!(%error, case, "evidence is not sealed");
        }
    }

    /// The store.
    pub fn evidence(&self) -> &EvidenceStore {
        &self.parts().evidence
    }
}

/// Whether a person with these roles sees a file. Its uploader's side always sees it. All others, also the platform's staff,
/// see it once a command refers to it.
fn may_see(file: &StoredEvidence, roles: impl Iterator<Item = Role> + Clone) -> bool {
    let is_uploader = roles.clone().any(|role| role == file.uploaded_by.party);
    is_uploader || (file.sealed_at.is_some() && roles.count() > 0)
}

/// A byte of a file's name in a header.
fn percent(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        let detail = error.to_string();
        match error {
            EvidenceError::TooBig { max_bytes } => too_large(usize::try_from(max_bytes).unwrap_or(usize::MAX)),
            EvidenceError::Empty
            | EvidenceError::Nameless
            | EvidenceError::Unrecognised
            | EvidenceError::NotTaken { .. }
            | EvidenceError::Disguised { .. } => {
                let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", "This file is not taken", detail);
                Self { rule: Some("D6".to_owned()), ..problem }
            }
            EvidenceError::Interrupted(_) => Self::unreadable(detail),
            EvidenceError::NotFound { .. } => Self::not_found(detail),
            EvidenceError::TooSlow { .. } => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "TooSlow", "The file came too slowly", detail)
            }
            EvidenceError::TooManyAtOnce { .. } => {
                let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooMany", "Too many files at once", detail);
                Self { retry_after: Some(15), ..problem }
            }
            EvidenceError::Full { .. } => {
                let problem =
                    Self::new(StatusCode::INSUFFICIENT_STORAGE, "TooMuch", "There is no room for another file", detail);
                Self { rule: Some("D6".to_owned()), ..problem }
            }
            EvidenceError::Busy | EvidenceError::BeingDeleted => Self::unavailable(detail),
            _ => {
                tracing::error!(%error, "the store of evidence cannot be used");
                Self::unavailable("the store of evidence cannot be used now")
            }
        }
    }
}
