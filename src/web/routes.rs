//! Every route on one screen: everything that a stranger can ask.
//!
//! | method and path | who may ask | what happens |
//! |---|---|---|
//! | GET `/` | Anyone | to the inbox, or to sign in |
//! | GET `/terms` | Anyone | the terms of use |
//! | GET `/healthz` | nobody in particular | whether the store answers |
//! | GET `/metrics` | this machine, or with the token | the counters |
//! | GET `/assets/{version}/…` | nobody in particular | style, scripts, pictures |

use poem::Route;

use super::methods::get;
use super::{assets, open};

/// All of them.
pub fn all() -> Route {
    Route::new()
        .at("/", get(open::home))
        .at("/terms", get(open::terms))
        .at("/healthz", get(open::health))
        .at("/metrics", get(open::metrics))
        .at("/assets/:version/*path", get(assets::serve))
}
