//! Our three cookies. Each holds one opaque random token and nothing else.

use poem::http::{HeaderMap, HeaderValue, header};

use std::time::Duration;

/// Characters of a token that we accept; ours have 43 (32 bytes in base64url).
const TOKEN_CHARS_MAX: usize = 128;

/// Which cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// Somebody who is signed in.
    Session,
    /// Somebody before signing in: ties their forms to their browser.
    Visit,
    /// Somebody who followed the link of an invitation.
    Invite,
}

/// Names and attributes.
///
/// SameSite is Lax, not Strict: a person comes from the link in a notice, which is another site, and Strict would show
/// the sign-in page to somebody who is signed in. What Lax leaves open, forged posts, needs a token and our own origin
/// (see `csrf`).
#[derive(Clone, Copy, Debug)]
pub struct Cookies {
    https: bool,
}

impl Cookies {
    /// Over TLS the names begin with `__Host-`: no subdomain and no plain-HTTP page can set them. Browsers refuse that
    /// prefix without TLS, so a loopback installation does without.
    pub fn new(https: bool) -> Self {
        Self { https }
    }

    fn name(self, cookie: Cookie) -> &'static str {
        match (self.https, cookie) {
            (true, Cookie::Session) => "__Host-sealpost",
            (true, Cookie::Visit) => "__Host-sealpost-visit",
            (true, Cookie::Invite) => "__Host-sealpost-invite",
            (false, Cookie::Session) => "sealpost",
            (false, Cookie::Visit) => "sealpost-visit",
            (false, Cookie::Invite) => "sealpost-invite",
        }
    }

    /// The token that the browser sent, if it looks like one of ours.
    pub fn read(self, headers: &HeaderMap, cookie: Cookie) -> Option<&str> {
        let name = self.name(cookie);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, token)| token)
            .filter(|token| is_token(token))
    }

    /// Keeps `token` until the browser closes, or for `keep`. `None` when it is no token.
    pub fn set(self, cookie: Cookie, token: &str, keep: Option<Duration>) -> Option<HeaderValue> {
        let age = keep.map(|keep| format!("; Max-Age={}", keep.as_secs())).unwrap_or_default();
        if is_token(token) { self.line(cookie, token, &age) } else { None }
    }

    /// Makes the browser forget it.
    pub fn clear(self, cookie: Cookie) -> Option<HeaderValue> {
        self.line(cookie, "", "; Max-Age=0")
    }

    fn line(self, cookie: Cookie, token: &str, age: &str) -> Option<HeaderValue> {
        let secure = if self.https { "; Secure" } else { "" };
        let line = format!("{}={token}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", self.name(cookie));
        HeaderValue::from_str(&line).ok()
    }
}

fn is_token(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= TOKEN_CHARS_MAX && text.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(line: &str, https: bool, cookie: Cookie) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, line.parse().unwrap());
        Cookies::new(https).read(&headers, cookie).map(str::to_owned)
    }

    #[test]
    fn reads_its_own_name_only() {
        assert_eq!(sent("a=b; sealpost=tok_-1; c=d", false, Cookie::Session).as_deref(), Some("tok_-1"));
        assert_eq!(sent("sealpost-visit=v", false, Cookie::Session), None);
        assert_eq!(sent("sealpost-visit=v; sealpost=s", false, Cookie::Visit).as_deref(), Some("v"));
        assert_eq!(sent("sealpost=s", true, Cookie::Session), None);
        assert_eq!(sent("__Host-sealpost=s", true, Cookie::Session).as_deref(), Some("s"));
    }

    #[test]
    fn what_is_no_token_is_no_cookie() {
        for line in ["sealpost=", "sealpost=a b", "sealpost=\"a\"", "sealpost=a%20", "sealpost"] {
            assert_eq!(sent(line, false, Cookie::Session), None, "{line}");
        }
        assert_eq!(sent(&format!("sealpost={}", "a".repeat(129)), false, Cookie::Session), None);
        assert_eq!(Cookies::new(true).set(Cookie::Session, "a; Domain=evil", None), None);
    }

    #[test]
    fn attributes() {
        let line = |https| Cookies::new(https).set(Cookie::Session, "t", None).unwrap();
        assert_eq!(line(true), "__Host-sealpost=t; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(line(false), "sealpost=t; Path=/; HttpOnly; SameSite=Lax");
        let invite = Cookies::new(false).set(Cookie::Invite, "t", Some(Duration::from_secs(600))).unwrap();
        assert!(invite.to_str().unwrap().ends_with("; Max-Age=600"));
        assert!(Cookies::new(true).clear(Cookie::Visit).unwrap().to_str().unwrap().contains("-visit=; "));
    }
}
