//! Where people open the console, as the configuration says. No header of a request decides this: its sender, or a proxy on the
//! way, can write anything into it.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::problem::Problem;

/// How browsers reach this server, and which pages may sign people in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Whether browsers speak TLS with the proxy in front of this server.
    secure: bool,
    /// The origins whose pages may sign people in here.
    sign_in_from: Vec<String>,
}

impl Default for Site {
    fn default() -> Self {
        Self { secure: true, sign_in_from: Vec::new() }
    }
}

impl Site {
    /// A server on this machine, where plain HTTP is safe.
    pub fn loopback() -> Self {
        Self { secure: false, ..Self::default() }
    }

    /// A server at this public URL: `https` unless its host is this machine. Without a URL, Recourse assumes that browsers
    /// speak TLS.
    ///
    /// # Errors
    /// Why the URL cannot be used, in words.
    pub fn at(public_url: Option<&str>) -> Result<Self, String> {
        let Some(text) = public_url else { return Ok(Self::default()) };
        let url = url::Url::parse(text).map_err(|error| format!("\"{text}\" is no URL: {error}"))?;
        match (url.scheme(), url.host_str()) {
            ("https", Some(_)) => Ok(Self::default()),
            ("http", Some(host)) if is_loopback(host) => Ok(Self::loopback()),
            ("http", Some(_)) => Err(format!(
                "\"{text}\" is not encrypted, so that everybody on the way could take over whoever is signed in; use https"
            )),
            _ => Err(format!("\"{text}\" is no URL of a console; write it like https://disputes.example.com")),
        }
    }

    /// The same, with pages of these origins that may sign people in.
    #[must_use]
    pub fn with_sign_in_from(mut self, origins: Vec<String>) -> Self {
        self.sign_in_from = origins;
        self
    }

    /// Whether browsers send cookies only over TLS.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The name of the cookie with the session. Because of its prefix, a browser takes it from this host only, and never from a
    /// page of a neighbouring name.
    pub const fn cookie(&self) -> &'static str {
        if self.secure { "__Host-recourse_session" } else { "recourse_session" }
    }

    /// Refuses to sign a person in for a page that is neither of this site nor of the platform. Such a page could belong to
    /// anybody and bring anybody's token. Its visitors would then act here as somebody else.
    ///
    /// # Errors
    /// A problem of status 403.
    pub fn check_sign_in(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        let origin = text("origin");
        let is_platform = origin.is_some_and(|origin| self.sign_in_from.iter().any(|known| known.as_bytes() == origin));
        let is_own = match text("sec-fetch-site") {
            Some(site) => matches!(site, b"same-origin" | b"none"),
            // An older browser, or a program. Nobody can make a program send something.
            None => origin.is_none_or(|origin| {
                let host = text(header::HOST.as_str()).unwrap_or_default();
                [&b"https://"[..], b"http://"].iter().any(|scheme| origin.strip_prefix(*scheme) == Some(host))
            }),
        };
        if is_platform || is_own {
            return Ok(());
        }
        Err(Problem::forbidden("you were sent here signed in by a site that may not do so; nobody was signed in").hint(
            "sign in on the platform; its operator adds the origin of its sign-in page to RECOURSE_SIGN_IN_ORIGINS, and sends it with the form",
        ))
    }
}

/// Whether a host's name can only mean this machine. The owner of a name can make it lead here.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_need_tls_unless_the_public_url_is_this_machine() {
        for (url, secure) in [
            (None, true),
            (Some("https://disputes.example.com"), true),
            (Some("https://localhost:8443"), true),
            (Some("http://localhost:8080"), false),
            (Some("http://127.0.0.1:8080/"), false),
            (Some("http://[::1]:8080"), false),
        ] {
            assert_eq!(Site::at(url).unwrap().is_secure(), secure, "{url:?}");
        }
        for wrong in
            ["disputes.example.com", "http://disputes.example.com", "http://127.0.0.1.example.com", "ftp://x", ""]
        {
            assert!(Site::at(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_this_site_and_the_platform_sign_people_in() {
        let site = Site::default().with_sign_in_from(vec!["https://platform.example".to_owned()]);
        for (headers, taken) in [
            (vec![], true),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "null")], true),
            (vec![("sec-fetch-site", "none")], true),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "https://platform.example")], true),
            (vec![("origin", "https://platform.example")], true),
            (vec![("origin", "https://here.example"), ("host", "here.example")], true),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], false),
            (vec![("sec-fetch-site", "same-site"), ("origin", "https://blog.platform.example")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "null")], false),
            (
                vec![("sec-fetch-site", "cross-site"), ("origin", "https://here.example"), ("host", "here.example")],
                false,
            ),
            (vec![("origin", "https://evil.example"), ("host", "here.example")], false),
            (vec![("origin", "null"), ("host", "here.example")], false),
            (vec![("origin", "https://platform.example.evil.example")], false),
        ] {
            let mut map = HeaderMap::new();
            map.extend(
                headers
                    .iter()
                    .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value))),
            );
            assert_eq!(site.check_sign_in(&map).is_ok(), taken, "{headers:?}");
        }
    }

    #[test]
    fn ownable_host_names_are_not_loopback() {
        for (host, here) in [
            ("localhost", true),
            ("LocalHost", true),
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("[::1]", true),
            ("", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("0.0.0.0", false),
            ("192.168.0.7", false),
        ] {
            assert_eq!(is_loopback(host), here, "{host}");
        }
    }
}
