//! The files that pages need, embedded into the program: style and scripts from `ui/`, pictures and vendored code from
//! `assets/`. What is not in the list made at start does not exist.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use poem::http::{HeaderValue, header};
use poem::web::{Data, Path};
use poem::{IntoResponse, Response, Result, handler};
use rust_embed::RustEmbed;

use super::{Web, headers};
use crate::crypto::secret::{Hasher, sha256};
use crate::domain::Error;

/// Templates, style, scripts.
#[derive(RustEmbed)]
#[folder = "ui/"]
pub(super) struct Ui;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Pictures;

/// Every file that is served, by its path below `/assets/<version>/`.
pub struct Assets {
    files: BTreeMap<String, Asset>,
    version: String,
}

struct Asset {
    bytes: Cow<'static, [u8]>,
    kind: &'static str,
}

impl Assets {
    /// All of them. The version is a hash over all names and contents: one for all, so that scripts can import each
    /// other by relative paths.
    pub fn collect() -> Self {
        let from_ui = Ui::iter().filter(|path| path.starts_with("css/") || path.starts_with("js/"));
        let ui = from_ui.filter_map(|path| Some((Ui::get(&path)?.data, path)));
        let pictures = Pictures::iter().filter_map(|path| Some((Pictures::get(&path)?.data, path)));
        let files: BTreeMap<String, Asset> = ui
            .chain(pictures)
            .filter_map(|(bytes, path)| Some((path.to_string(), Asset { bytes, kind: kind(&path)? })))
            .collect();
        let mut hash = Hasher::default();
        for (path, file) in &files {
            hash.update(path.as_bytes());
            hash.update(&[0]);
            hash.update(&sha256(&[&file.bytes]));
        }
        let version = data_encoding::HEXLOWER.encode(&hash.finish()).chars().take(16).collect();
        Self { files, version }
    }

    /// The address of a file, if there is one of this name.
    pub fn url(&self, path: &str) -> Option<String> {
        self.files.contains_key(path).then(|| format!("/assets/{}/{path}", self.version))
    }
}

/// The media type of what we serve; other files (licences, notes) are not served.
fn kind(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => return None,
    })
}

/// `/assets/<version>/<path>`. A page from before an upgrade asks with the old version: it gets today's file, without
/// leave to keep it.
#[handler]
pub fn serve(Path((version, path)): Path<(String, String)>, Data(web): Data<&Arc<Web>>) -> Result<Response> {
    let asset = web.assets.files.get(&path).ok_or(Error::NotFound)?;
    let bytes = match &asset.bytes {
        Cow::Borrowed(bytes) => bytes::Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes::Bytes::copy_from_slice(bytes),
    };
    let mut response = bytes.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    if version == web.assets.version {
        response.headers_mut().insert(header::CACHE_CONTROL, headers::CACHE_FOREVER);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_kinds_are_served() {
        assert_eq!(kind("css/a.css"), Some("text/css; charset=utf-8"));
        for path in ["vendor/LICENSE", "vendor/tus.md", "pages/a.html", ".hidden", "a.js.map"] {
            assert_eq!(kind(path), None, "{path}");
        }
    }

    #[test]
    fn templates_are_no_assets() {
        let assets = Assets::collect();
        assert!(assets.files.keys().all(|path| !path.starts_with("pages/") && !path.starts_with("mail/")));
        assert_eq!(assets.version.len(), 16);
        assert_eq!(assets.url("../Cargo.toml"), None);
    }
}
