//! What a stranger may see: the front door, the terms, whether we are well, and, from this machine, the counters.

use std::sync::Arc;

use minijinja::context;
use poem::web::Data;
use poem::{IntoResponse, Request, Response, Result, handler};
use secrecy::ExposeSecret;

use super::Web;
use super::client::Client;
use super::guard::Anyone;
use crate::crypto::same;
use crate::domain::Error;
use crate::domain::invites::TERMS_VERSION;

/// `GET /`: to the inbox, or to sign in first.
#[handler]
pub fn home(anyone: Anyone) -> Response {
    anyone.go(if anyone.me().is_some() { "/inbox" } else { "/sign-in" })
}

/// `GET /terms`: the terms of use and their version.
#[handler]
pub fn terms(anyone: Anyone) -> Result<Response> {
    anyone.page("pages/terms.html", context! { version => TERMS_VERSION })
}

/// `GET /healthz`: 200 when a read of the store succeeds.
#[handler]
pub async fn health(Data(web): Data<&Arc<Web>>) -> Result<Response> {
    web.portal.run(|portal| portal.healthy()).await?;
    Ok("ok\n".with_content_type("text/plain; charset=utf-8").into_response())
}

/// `GET /metrics`: for programs on this machine, or with the configured token. To all others it does not exist.
#[handler]
pub fn metrics(req: &Request, Data(web): Data<&Arc<Web>>) -> Result<Response> {
    let peer = req.remote_addr().as_socket_addr().map(|peer| peer.ip());
    let is_local = peer.is_some_and(|peer| Client::of(peer, req.headers(), &web.config.trusted_proxies).is_local);
    if !is_local && !has_token(req, web) {
        return Err(Error::NotFound.into());
    }
    Ok(web.metrics.render().with_content_type("text/plain; version=0.0.4; charset=utf-8").into_response())
}

fn has_token(req: &Request, web: &Web) -> bool {
    let given = req.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    match (given, &web.config.metrics_token) {
        (Some(given), Some(token)) => same(given.as_bytes(), token.expose_secret().as_bytes()),
        _ => false,
    }
}
