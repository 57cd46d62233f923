//! A contract's files: download the uploaded ones, and upload more (D4, D6).

use std::collections::BTreeSet;

use axum::{
    extract::{Multipart, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use maud::{Markup, html};
use recourse_api::{Front, extract::Of, problem::Problem};
use recourse_domain::{
    evidence::{Evidence, EvidenceLimits},
    ids::Id,
    party::Role,
};
use serde::Deserialize;

use super::{
    contract_view::ContractView,
    forms::{self, Fields},
    page::{Named, csrf, told},
    parts::{case_path, size},
    place::{Done, Mishap, Place},
    query::in_query,
    session::{Session, Visit},
};

/// The files of the side of these roles: those to which they can refer.
///
/// # Errors
/// If the store cannot be read.
pub async fn of_side(front: &Front, contract: &Id, roles: &BTreeSet<Role>) -> Result<Vec<Evidence>, Problem> {
    if !roles.iter().any(|role| Role::PARTIES.contains(role)) {
        return Ok(Vec::new());
    }
    let stored = front.evidence().list(contract).await?;
    Ok(stored.into_iter().filter(|file| roles.contains(&file.uploaded_by.party)).map(|file| file.evidence).collect())
}

/// Files by their names, as download links.
pub fn linked(files: &[Evidence], contract: &Id) -> Markup {
    html! {
        @if !files.is_empty() {
            ul.files {
                @for file in files {
                    li {
                        a.file href={ "/contracts/" (contract) "/evidence/" (file.sha256) } { (file.name) }
                        " " span.small { (size(file.size)) ", " (file.media_type) }
                    }
                }
            }
        }
    }
}

/// The case that a file is for, if known. The case's policy says which files Recourse takes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct For {
    case: Option<String>,
}

impl For {
    /// The path of the contract's files, for this case.
    fn path(&self, contract: &Id) -> String {
        let case = self.case.as_deref().map(|case| format!("?case={}", in_query(case)));
        format!("/contracts/{contract}/evidence{}", case.unwrap_or_default())
    }
}

/// The path for uploading files for a case.
pub fn uploads_for(contract: &Id, case: &str) -> String {
    For { case: Some(case.to_owned()) }.path(contract)
}

/// Shows the contract's files that this person may see.
pub async fn show(
    State(front): State<Front>,
    visit: Visit,
    Of(id): Of<String>,
    Named(wanted): Named<For>,
) -> Result<Response, Mishap> {
    let seen = ContractView::at(&front, visit.who(), &id).await?;
    Ok(page(&front, &seen, &visit, &wanted, StatusCode::OK, None).await?)
}

async fn page(
    front: &Front,
    seen: &ContractView,
    visit: &Visit,
    wanted: &For,
    status: StatusCode,
    alert: Option<&Problem>,
) -> Result<Response, Problem> {
    let files = front.files(visit.who(), &seen.contract.id).await?;
    let limits = front.evidence_limits(visit.who(), &seen.contract.id, wanted.case.as_deref()).await?;
    let is_party = seen.roles.iter().any(|role| Role::PARTIES.contains(role));
    let body = html! {
        p.small { a href={ "/contracts/" (seen.contract.id) } { (seen.title()) } }
        h1 { "Files" }
        @if let Some(problem) = alert { (told(problem)) }
        @if files.is_empty() { p { "There is none that you can see." } } @else { (linked(&files, &seen.contract.id)) }
        @if is_party { (upload_form(&wanted.path(&seen.contract.id), &visit.session, &limits)) }
        @if let Some(case) = &wanted.case { p { a href=(case_path(case)) { "Back to the case" } } }
    };
    Ok(visit.page_with(status, "Files", &body))
}

fn upload_form(to: &str, session: &Session, limits: &EvidenceLimits) -> Markup {
    html! {
        h2 { "Upload" }
        p { "Only your side sees a file until a claim, a rejection or a submission refers to it. Then it is sealed, and both sides see it." }
        form method="post" enctype="multipart/form-data" action=(to) data-once {
            (csrf(session))
            div.field {
                label for="file" { "File" }
                p.hint id="file-hint" { (taken(limits)) }
                input id="file" name="file" type="file" required aria-describedby="file-hint";
            }
            div.buttons { button.primary type="submit" { "Upload" } }
        }
    }
}

/// Which files Recourse takes, in words.
fn taken(limits: &EvidenceLimits) -> String {
    let types: Vec<String> = limits
        .media_types
        .iter()
        .map(|media_type| match media_type.split_once('/') {
            Some(("text", "plain")) => "text".to_owned(),
            Some((family, "*")) => format!("any {family}"),
            Some((_, kind)) => kind.to_uppercase(),
            None => media_type.clone(),
        })
        .collect();
    format!("Taken: {}; at most {}.", types.join(", "), size(limits.max_bytes))
}

/// Takes a file.
pub async fn take(
    State(front): State<Front>,
    visit: Visit,
    Of(id): Of<String>,
    Named(wanted): Named<For>,
    headers: axum::http::HeaderMap,
    mut form: Multipart,
) -> Result<Response, Mishap> {
    forms::check_origin(&headers)?;
    let seen = ContractView::at(&front, visit.who(), &id).await?;
    let limits = front.evidence_limits(visit.who(), &seen.contract.id, wanted.case.as_deref()).await?;
    let broken = |error: axum::extract::multipart::MultipartError| Problem::unreadable(error.body_text());
    let mut believed = false;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("csrf") => {
                let csrf = field.text().await.map_err(broken)?;
                forms::check_csrf(&visit.session, &Fields::new([("csrf".to_owned(), csrf)]))?;
                believed = true;
            }
            // The token field comes before the file on the page. So the server does not even read a forged upload.
            Some("file") if believed => {
                let name = field.file_name().unwrap_or_default().to_owned();
                return match front.upload(visit.who(), &seen.contract.id, &name, &limits, field).await {
                    Ok(_) => {
                        let to = Place::after(&wanted.path(&seen.contract.id), Done::Uploaded);
                        Ok(Redirect::to(&to).into_response())
                    }
                    Err(problem) if problem.is_passing() => Err(problem.into()),
                    Err(problem) => Ok(page(&front, &seen, &visit, &wanted, problem.status(), Some(&problem)).await?),
                };
            }
            _ => {}
        }
    }
    forms::check_csrf(&visit.session, &Fields::default())?;
    Err(Problem::unreadable("there is no file in the form").into())
}

/// Sends a file, as a download.
pub async fn give(
    State(front): State<Front>,
    visit: Visit,
    Of((contract, sha256)): Of<(Id, String)>,
) -> Result<Response, Mishap> {
    Ok(front.file(visit.who(), &contract, &sha256).await?)
}
