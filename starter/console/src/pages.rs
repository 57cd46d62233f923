//! The position in each list on a page. Each list has its own cursor in the query, the same as the API's.

use axum::{extract::Query, http::Uri};
use maud::{Markup, html};
use recourse_api::lists::{LIMIT_MAX, Limit};

use super::{forms::Fields, query::in_query, session::Visit};

/// The positions in the lists on a page.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    path: String,
    query: Vec<(String, String)>,
}

impl Visit {
    /// The positions in its lists.
    pub fn pages(&self) -> Pages {
        Pages::of(&self.place.path)
    }
}

impl Pages {
    /// The positions in a path and its query.
    pub fn of(place: &str) -> Self {
        let uri: Uri = place.parse().unwrap_or_default();
        let query = Query::<Vec<(String, String)>>::try_from_uri(&uri).map(|Query(query)| query);
        // The page before has already said what was done.
        let query = query.unwrap_or_default().into_iter().filter(|(name, _)| name != "done").collect();
        Self { path: uri.path().to_owned(), query }
    }

    /// The position in this list, in the API's form. Without `limit` a page is as long as the API allows.
    pub fn page(&self, list: &str) -> Limit {
        let fields = Fields::new(self.query.iter().cloned());
        let limit = fields.get("limit").parse().unwrap_or(LIMIT_MAX);
        Limit::new(limit, Some(fields.get(list).to_owned()).filter(|after| !after.is_empty()))
    }

    /// The text for an empty list: `none` if the whole list is empty.
    pub fn nothing(&self, list: &str, none: &str) -> Markup {
        let is_later = self.page(list).after().is_some();
        html! { p { @if is_later { "There is nothing more." } @else { (none) } } }
    }

    /// Links to a list's first and next page, if they exist. `list` is also the id of its heading.
    pub fn links(&self, list: &str, what: &str, next: Option<&str>) -> Markup {
        let is_later = self.page(list).after().is_some();
        html! {
            @if is_later || next.is_some() {
                p.pages {
                    @if is_later { a href=(self.at(list, None)) { "First page of " (what) } }
                    @if let Some(next) = next { a href=(self.at(list, Some(next))) { "Next page of " (what) } }
                }
            }
        }
    }

    fn at(&self, list: &str, after: Option<&str>) -> String {
        let others =
            self.query.iter().filter(|(name, _)| name != list).map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs: Vec<String> = others
            .chain(after.map(|after| (list, after)))
            .map(|(name, value)| format!("{}={}", in_query(name), in_query(value)))
            .collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        format!("{}{query}#{list}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_has_its_own_cursor() {
        let pages = Pages::of("/?open=0a%3D&limit=2&done=taken");
        assert_eq!((pages.page("open").limit(), pages.page("open").after()), (2, Some("0a=")));
        assert_eq!(pages.page("contracts").after(), None);
        let links = pages.links("contracts", "contracts", Some("c-2")).into_string();
        assert!(links.contains("href=\"/?open=0a%3D&amp;limit=2&amp;contracts=c-2#contracts\""), "{links}");
        assert!(!links.contains("First page"), "{links}");
        let links = pages.links("open", "open cases", None).into_string();
        assert!(
            links.contains("href=\"/?limit=2#open\">First page of open cases") && !links.contains("Next"),
            "{links}"
        );
        assert_eq!(Pages::of("/").links("open", "open cases", None).into_string(), "");
        assert_eq!(Pages::of("/?limit=0").page("open").limit(), 1);
        assert_eq!(Pages::of("/?limit=9999").page("open").limit(), LIMIT_MAX);
    }

    #[test]
    fn an_empty_later_page_says_nothing_more() {
        let pages = Pages::of("/?open=0a");
        assert!(pages.nothing("open", "No case is open.").into_string().contains("nothing more"));
        assert!(pages.nothing("closed", "No case is closed.").into_string().contains("No case is closed."));
    }
}
