//! The headers on every answer.

use poem::Response;
use poem::http::{HeaderName, HeaderValue, header};

/// Nothing but our own files; no inline script or style, no frame around us, no form to elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; \
    base-uri 'none'; manifest-src 'self'";

/// `same-origin` and not `no-referrer`: with the latter browsers send `Origin: null` with our own forms, and the check
/// in `csrf` needs the true one. No other site ever sees our addresses.
const ALWAYS: [(&str, &str); 9] = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("x-frame-options", "DENY"),
    ("x-robots-tag", "noindex, nofollow"),
    ("cache-control", "no-store"),
];

/// Two years, as browsers' preload lists ask.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=63072000; includeSubDomains";

/// What assets say instead of `no-store`: their address changes with their contents.
pub const CACHE_FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Sets them all, except where the handler has set its own.
pub fn harden(response: &mut Response, https: bool) {
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(STRICT_TRANSPORT_SECURITY));
    }
    headers.remove(header::SERVER);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_and_a_handler_may_know_better() {
        let mut response = Response::builder().header("cache-control", CACHE_FOREVER).body(());
        harden(&mut response, false);
        for (name, _) in ALWAYS {
            assert!(response.headers().contains_key(name), "{name}");
        }
        assert_eq!(response.headers()["cache-control"], CACHE_FOREVER);
        assert!(!response.headers().contains_key("strict-transport-security"));
        harden(&mut response, true);
        assert!(response.headers().contains_key("strict-transport-security"));
    }

    #[test]
    fn the_policy_is_one_line() {
        assert!(!CONTENT_SECURITY_POLICY.contains("unsafe") && !CONTENT_SECURITY_POLICY.contains("  "));
    }
}
