//! What happens around each request, in one place: the origin is looked at, a panic becomes an answer, an error becomes
//! a page, the headers are set, the answer is counted.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use poem::http::{HeaderValue, Method, header};
use poem::{Body, Endpoint, Request, Response, Result, Route};

use super::answer::{self, Question};
use super::{Web, csrf, headers, internal, routes};

/// The outermost endpoint. It never fails.
pub struct Front {
    web: Arc<Web>,
    routes: Route,
}

impl Front {
    /// Around all routes.
    pub fn new(web: Arc<Web>) -> Self {
        Self { web, routes: routes::all() }
    }

    async fn answer(&self, mut req: Request, question: &Question) -> Response {
        let handled = async {
            csrf::check_origin(&question.method, &question.headers, self.web.public_url())?;
            req.set_data(Arc::clone(&self.web));
            self.routes.call(req).await
        };
        let error = match AssertUnwindSafe(handled).catch_unwind().await {
            Ok(Ok(response)) => return response,
            Ok(Err(error)) if error.is_from_response() => return error.into_response(),
            Ok(Err(error)) => error,
            // Where it happened is in the log already: see the panic hook in main.
            Err(_) => internal("a handler panicked").into(),
        };
        answer::failed(&self.web, question, error).await
    }
}

impl Endpoint for Front {
    type Output = Response;

    async fn call(&self, req: Request) -> Result<Response> {
        let room = req.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
        let question = Question { method: req.method().clone(), room, headers: req.headers().clone() };
        let mut response = self.answer(req, &question).await;
        headers::harden(&mut response, self.web.public_url().is_https());
        if question.method == Method::HEAD {
            take_body(&mut response);
        }
        self.web.metrics.answered(response.status().as_u16());
        Ok(response)
    }
}

/// The answer to HEAD: the same headers, also the length, without the body.
fn take_body(response: &mut Response) {
    use http_body_util::combinators::BoxBody;
    let body: BoxBody<bytes::Bytes, std::io::Error> = response.take_body().into();
    if let Some(length) = hyper::body::Body::size_hint(&body).exact() {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    response.set_body(Body::empty());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::domain::time::TestClock;
    use crate::domain::{Clock, Error, Timestamp};
    use crate::metrics::Metrics;
    use crate::web::body::Form;
    use crate::web::guard::{Anyone, Signed, Upload};
    use crate::web::methods::{get, post};
    use poem::http::StatusCode;
    use poem::http::uri::Scheme;
    use poem::web::{LocalAddr, RemoteAddr};
    use poem::{Addr, handler};
    use std::net::SocketAddr;

    #[handler]
    fn breaks() -> Response {
        panic!("a secret")
    }

    #[handler]
    fn fails() -> Result<Response> {
        Err(internal("the disk is full").into())
    }

    #[handler]
    fn limited() -> Result<Response> {
        Err(Error::Limited { retry_after: std::time::Duration::from_secs(7) }.into())
    }

    /// Hands its token out, as a page does in its forms, and takes it back.
    #[handler]
    fn shows(anyone: Anyone) -> Result<String> {
        Ok(anyone.visit().unwrap_or_default().to_owned())
    }

    #[handler]
    fn takes(_anyone: Anyone, form: Form) -> String {
        form.get("a").to_owned()
    }

    #[handler]
    fn private(_signed: Signed) -> &'static str {
        "private"
    }

    #[handler]
    fn upload(_upload: Upload) -> &'static str {
        "private"
    }

    struct Fixture {
        front: Front,
        _folder: tempfile::TempDir,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let config = Arc::new(Config::loopback(&folder.path().join("data")).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(TestClock::at(Timestamp(1_795_399_200_000)));
        let portal = crate::serve::open_portal(&config, Arc::clone(&clock)).unwrap();
        let web = Arc::new(Web::new(portal, config, Arc::new(Metrics::default()), clock).unwrap());
        let routes = Route::new()
            .at("/breaks", get(breaks))
            .at("/fails", get(fails))
            .at("/limited", get(limited))
            .at("/form", get(shows).post(takes))
            .at("/private", get(private).post(private))
            .at("/upload", post(upload));
        Fixture { front: Front { web, routes }, _folder: folder }
    }

    async fn ask(
        fixture: &Fixture,
        method: Method,
        path: &'static str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (Response, String) {
        let mut head = poem::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            head = head.header(*name, *value);
        }
        let (head, ()) = head.body(()).unwrap().into_parts();
        let local = LocalAddr(Addr::from(SocketAddr::from(([127, 0, 0, 1], 8080))));
        let peer = RemoteAddr(Addr::from(SocketAddr::from(([127, 0, 0, 1], 4711))));
        let head = poem::RequestParts::from((head, local, peer, Scheme::HTTP));
        let request = Request::from_parts(head, body.to_owned().into());
        let mut response = fixture.front.get_response(request).await;
        let text = response.take_body().into_string().await.unwrap();
        (response, text)
    }

    const JSON: (&str, &str) = ("accept", "application/json");
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    #[tokio::test]
    async fn panics_and_faults_become_a_reference_number_and_nothing_else() {
        let fixture = fixture();
        for path in ["/breaks", "/fails"] {
            let (response, text) = ask(&fixture, Method::GET, path, &[JSON], "").await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(response.headers().contains_key("content-security-policy"));
            let said: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(said["reference"].as_str().unwrap().len(), 8, "{text}");
            assert!(!text.contains("secret") && !text.contains("disk"), "{text}");
        }
        assert_eq!(fixture.front.web.metrics.faults.get(), 2);
    }

    #[tokio::test]
    async fn limits_say_how_long_to_wait() {
        let (response, text) = ask(&fixture(), Method::GET, "/limited", &[], "").await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["retry-after"], "7");
        assert!(text.contains("<"), "a page: {text}");
    }

    #[tokio::test]
    async fn a_visitors_form_needs_the_token_of_their_cookie() {
        let fixture = fixture();
        let visit = "visit-token";
        let csrf = fixture.front.web.csrf.token(visit);
        let (cookie, body) = (format!("sealpost-visit={visit}"), format!("csrf={csrf}&a=1"));
        let cookie = ("cookie", cookie.as_str());
        let (response, text) = ask(&fixture, Method::POST, "/form", &[cookie, FORM], &body).await;
        assert_eq!((response.status(), text.as_str()), (StatusCode::OK, "1"));
        for (headers, body) in [
            (vec![cookie, FORM], "a=1"),
            (vec![FORM], body.as_str()),
            (vec![("cookie", "sealpost-visit=other"), FORM], body.as_str()),
            (vec![cookie, FORM, ("origin", "https://evil.example")], body.as_str()),
        ] {
            let (response, _) = ask(&fixture, Method::POST, "/form", &headers, body).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{headers:?} {body}");
        }
    }

    #[tokio::test]
    async fn a_form_that_is_too_large_is_refused_while_it_streams() {
        let fixture = fixture();
        let long = format!("a={}", "x".repeat(70_000));
        let (response, _) = ask(&fixture, Method::POST, "/form", &[FORM], &long).await;
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn strangers_are_sent_to_sign_in_and_scripts_are_told() {
        let fixture = fixture();
        let (response, _) = ask(&fixture, Method::GET, "/private?a=b", &[], "").await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()["location"], "/sign-in?next=%2Fprivate%3Fa%3Db");
        let stale = [("cookie", "sealpost=long-gone")];
        let (response, _) = ask(&fixture, Method::POST, "/private", &stale, "").await;
        assert_eq!(response.headers()["location"], "/sign-in?idle=1");
        let (response, text) = ask(&fixture, Method::POST, "/private", &[JSON], "").await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{text}");
        let kind = [("content-type", "multipart/form-data; boundary=x")];
        let (response, text) = ask(&fixture, Method::POST, "/upload", &kind, "--x--\r\n").await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{text}");
    }
}
