//! Refusals: why a request was turned away before the domain was asked.

use poem::error::ResponseError;
use poem::http::StatusCode;

use crate::domain::Error;

/// Why a request was turned away before the domain was asked.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nobody is signed in here, or no more.
    #[error("nobody is signed in")]
    SignIn {
        /// The page to come back to.
        next: Option<String>,
        /// They were signed in before.
        was_signed_in: bool,
    },
    /// No proof that one of our pages asked.
    #[error("the request does not come from one of our pages")]
    Forged,
    /// More bytes than allowed.
    #[error("the request is too large")]
    TooLarge,
    /// The client stopped sending.
    #[error("the request stalled")]
    Stalled,
    /// The connection broke.
    #[error("the request broke off")]
    Broken,
    /// Not what it says it is.
    #[error("{0}")]
    Unreadable(&'static str),
    /// Another version of tus than ours, or none.
    #[error("the upload protocol's version is not ours")]
    TusVersion,
    /// The recovery kit comes first.
    #[error("the recovery kit is not confirmed")]
    KitFirst,
    /// A type that this route does not take.
    #[error("the media type is not taken here")]
    MediaType,
    /// A method that this route does not know.
    #[error("the method is not known here")]
    Method {
        /// Those that it knows, as the `Allow` header lists them.
        allow: String,
    },
}

impl Refusal {
    /// What an error while reading the request means.
    pub fn of_io(fault: &std::io::Error) -> Self {
        if fault.kind() == std::io::ErrorKind::TimedOut { Self::Stalled } else { Self::Broken }
    }
}

impl ResponseError for Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::SignIn { .. } => StatusCode::UNAUTHORIZED,
            Self::Forged => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::TusVersion => StatusCode::PRECONDITION_FAILED,
            Self::KitFirst => StatusCode::FORBIDDEN,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
        }
    }
}

impl ResponseError for Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Expired => StatusCode::GONE,
            Self::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
