//! Proof that a change was asked for by one of our own pages, twice over: the browser's word for the origin, and a
//! token that only our pages know.

use poem::http::{HeaderMap, Method, header};
use poem::{Body, Request, RequestBody};

use super::body;
use super::refusal::Refusal;
use crate::config::PublicUrl;
use crate::crypto::{Key32, MacKey, same};

/// The request header that carries it for scripts.
pub const HEADER: &str = "x-csrf-token";

/// Makes and checks tokens. Its secret lives as long as the process.
pub struct Csrf(MacKey);

impl Default for Csrf {
    /// With a fresh secret.
    fn default() -> Self {
        Self(MacKey::new(Key32::generate()))
    }
}

impl Csrf {
    /// The token of all forms of the browser that holds this cookie token.
    pub fn token(&self, cookie_token: &str) -> String {
        data_encoding::HEXLOWER.encode(&self.0.mac(&[cookie_token.as_bytes()]))
    }
}

/// Whether this method changes something.
pub fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// The browser's word, looked at before any handler: `Origin`, else `Referer`, must be ours when there is one, and
/// `Sec-Fetch-Site` must not speak of another site.
pub fn check_origin(method: &Method, headers: &HeaderMap, ours: &PublicUrl) -> Result<(), Refusal> {
    if !is_unsafe(method) {
        return Ok(());
    }
    let said = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    let from = said(header::ORIGIN).or_else(|| said(header::REFERER));
    if matches!(site, None | Some(b"same-origin" | b"none")) && from.is_none_or(|from| is_ours(from, ours)) {
        Ok(())
    } else {
        Err(Refusal::Forged)
    }
}

/// A loopback installation goes by several names (`localhost`, `127.0.0.1`); on its own port they are all ours.
fn is_ours(from: &str, ours: &PublicUrl) -> bool {
    let Ok(url) = url::Url::parse(from) else { return false };
    let Ok(from) = url.origin().ascii_serialization().parse::<PublicUrl>() else { return false };
    from == *ours || (ours.is_loopback() && from.is_loopback() && !from.is_https() && from.port() == ours.port())
}

/// The token, on every request that changes something: in the header, or in the field of an urlencoded form. Such a
/// form is read here (at most `limit` bytes) and put back for the handler, so that no handler can forget the check.
/// Multipart has its own door, `guard::Upload`.
pub async fn check_token(req: &Request, body: &mut RequestBody, tokens: &[&str], limit: usize) -> Result<(), Refusal> {
    if !is_unsafe(req.method()) {
        return Ok(());
    }
    if let Some(given) = req.header(HEADER) {
        return matching(given, tokens);
    }
    if !body::is_urlencoded(req) {
        return Err(Refusal::Forged);
    }
    let bytes = body::read(req, body.take().map_err(|_| Refusal::Broken)?, limit).await?;
    let result = body::Form::parse(&bytes).and_then(|form| matching(form.get(body::CSRF_FIELD), tokens));
    *body = RequestBody::new(Body::from_bytes(bytes));
    result
}

/// In constant time.
pub fn matching(given: &str, tokens: &[&str]) -> Result<(), Refusal> {
    let found = tokens.iter().any(|token| same(token.as_bytes(), given.as_bytes()));
    if found { Ok(()) } else { Err(Refusal::Forged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str, said: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.insert(*name, value.parse().unwrap());
        }
        check_origin(&Method::POST, &headers, &url.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_our_own_origin() {
        let ours = "https://mail.example.org";
        assert!(origin(ours, &[]));
        assert!(origin(ours, &[("origin", ours), ("sec-fetch-site", "same-origin")]));
        assert!(origin(ours, &[("referer", "https://mail.example.org/compose?draft=1")]));
        assert!(origin(ours, &[("sec-fetch-site", "none")]));
        for bad in [
            "https://evil.example",
            "http://mail.example.org",
            "https://mail.example.org:8443",
            "https://mail.example.org.evil.example",
            "null",
            "",
        ] {
            assert!(!origin(ours, &[("origin", bad)]), "{bad}");
        }
        assert!(!origin(ours, &[("referer", "https://evil.example/https://mail.example.org")]));
        assert!(!origin(ours, &[("origin", ours), ("sec-fetch-site", "same-site")]));
        assert!(!origin(ours, &[("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn loopback_goes_by_several_names() {
        let ours = "http://127.0.0.1:8080";
        assert!(origin(ours, &[("origin", "http://localhost:8080")]));
        assert!(origin(ours, &[("origin", "http://[::1]:8080")]));
        assert!(!origin(ours, &[("origin", "http://localhost:8081")]));
        assert!(!origin(ours, &[("origin", "http://evil.example:8080")]));
        assert!(!origin("https://mail.example.org", &[("origin", "http://localhost:443")]));
    }

    #[test]
    fn reading_needs_no_origin() {
        let mut headers = HeaderMap::new();
        headers.insert("origin", "https://evil.example".parse().unwrap());
        let ours = "https://mail.example.org".parse().unwrap();
        assert!(check_origin(&Method::GET, &headers, &ours).is_ok());
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(check_origin(&method, &headers, &ours).is_err());
        }
    }

    #[test]
    fn tokens_belong_to_one_cookie_and_one_process() {
        let (one, other) = (Csrf::default(), Csrf::default());
        assert_eq!(one.token("a"), one.token("a"));
        assert_ne!(one.token("a"), one.token("b"));
        assert_ne!(one.token("a"), other.token("a"));
        assert_eq!(one.token("a").len(), 64);
    }

    async fn posted(kind: Option<&str>, header: Option<&str>, form: &'static str) -> Result<Vec<u8>, Refusal> {
        let mut request = Request::builder().method(Method::POST);
        if let Some(kind) = kind {
            request = request.content_type(kind);
        }
        if let Some(token) = header {
            request = request.header(HEADER, token);
        }
        let (req, mut body) = request.body(form).split();
        check_token(&req, &mut body, &["right"], 64).await?;
        Ok(body.take().unwrap().into_vec().await.unwrap())
    }

    const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

    #[tokio::test]
    async fn a_form_with_the_token_is_handed_on_whole() {
        assert_eq!(posted(FORM, None, "csrf=right&a=1").await.unwrap(), b"csrf=right&a=1");
        assert_eq!(posted(None, Some("right"), "raw").await.unwrap(), b"raw");
    }

    #[tokio::test]
    async fn everything_else_is_refused() {
        for (kind, header, form) in [
            (FORM, None, "a=1"),
            (FORM, None, "csrf=wrong"),
            (FORM, None, "csrf="),
            (FORM, Some("wrong"), "csrf=right"),
            (None, None, "csrf=right"),
            (Some("text/plain"), None, "csrf=right"),
            (Some("multipart/form-data; boundary=x"), None, "csrf=right"),
        ] {
            assert!(matches!(posted(kind, header, form).await, Err(Refusal::Forged)), "{kind:?} {form}");
        }
        assert!(matches!(posted(FORM, None, "csrf=right&csrf=right").await, Err(Refusal::Unreadable(_))));
        let long = "csrf=right&a=0123456789012345678901234567890123456789012345678901234567890123456789";
        assert!(matches!(posted(FORM, None, long).await, Err(Refusal::TooLarge)));
    }
}
