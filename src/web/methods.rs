//! What one address does for each method. Unlike poem's own, it says in `Allow` what it knows.

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Endpoint, EndpointExt, IntoEndpoint, Request, Response, Result};

use super::refusal::Refusal;

/// The methods of one address.
#[derive(Default)]
pub struct Methods(Vec<(Method, BoxEndpoint<'static>)>);

impl Methods {
    /// Answers `method` by `handler`.
    pub fn on<E: IntoEndpoint<Endpoint: 'static>>(mut self, method: Method, handler: E) -> Self {
        self.0.push((method, handler.into_endpoint().map_to_response().boxed()));
        self
    }

    /// Also answers POST.
    pub fn post<E: IntoEndpoint<Endpoint: 'static>>(self, handler: E) -> Self {
        self.on(Method::POST, handler)
    }

    /// Those it answers; HEAD wherever GET is.
    fn allow(&self) -> String {
        let mut names: Vec<&str> = self.0.iter().map(|(method, _)| method.as_str()).collect();
        if names.contains(&"GET") && !names.contains(&"HEAD") {
            names.push("HEAD");
        }
        names.join(", ")
    }

    fn find(&self, method: &Method) -> Option<&BoxEndpoint<'static>> {
        self.0.iter().find(|(known, _)| known == method).map(|(_, handler)| handler)
    }
}

/// Answers GET, and HEAD by the same handler: the front takes the body away.
pub fn get<E: IntoEndpoint<Endpoint: 'static>>(handler: E) -> Methods {
    Methods::default().on(Method::GET, handler)
}

/// Answers POST.
pub fn post<E: IntoEndpoint<Endpoint: 'static>>(handler: E) -> Methods {
    Methods::default().post(handler)
}

impl Endpoint for Methods {
    type Output = Response;

    async fn call(&self, req: Request) -> Result<Response> {
        let instead = (req.method() == Method::HEAD).then_some(&Method::GET);
        let found = self.find(req.method()).or_else(|| self.find(instead?));
        match found {
            Some(handler) => poem::endpoint::DynEndpoint::call(handler.as_ref(), req).await,
            None => Err(Refusal::Method { allow: self.allow() }.into()),
        }
    }
}
