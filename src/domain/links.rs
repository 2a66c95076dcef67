//! Links of invitations: a random token each, of which only a hash is stored.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::ids::{AccountId, MessageId};
use super::portal::{DAY, Error};
use super::time::Timestamp;
use crate::crypto::random;
use crate::crypto::secret::sha256;
use crate::store::tables::INVITE_LINKS;
use crate::store::{Direction, Record, Table, Tx, WriteTx};

/// Life of a link, in milliseconds.
pub const LINK_LIFE: i64 = 7 * DAY;
/// One link that was sent. Key: the hash of its token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Link {
    /// Whose it is.
    pub account: AccountId,
    /// The message whose notice carried it.
    pub message: Option<MessageId>,
    /// Until when it leads anywhere.
    pub expires: Timestamp,
}

impl Record for Link {
    const TABLE: Table = INVITE_LINKS;
    const VERSION: u8 = 1;
}

/// Key of a link.
pub(super) fn token_hash(token: &str) -> Vec<u8> {
    sha256(&[b"sealpost link v1", token.as_bytes()]).to_vec()
}

/// Makes a link's token and writes its row.
pub(super) fn new_link(
    tx: &mut WriteTx<'_>,
    account: AccountId,
    message: Option<MessageId>,
    now: Timestamp,
) -> Result<String, Error> {
    let token = BASE64URL_NOPAD.encode(&random::<32>());
    tx.put_record(&token_hash(&token), &Link { account, message, expires: now.plus(LINK_LIFE) })?;
    Ok(token)
}

/// Voids every link of an account.
pub(super) fn void(tx: &mut WriteTx<'_>, account: AccountId) -> Result<(), Error> {
    forget(tx, |link| link.account == account)
}

/// Removes links that have been over for their own life several times. For upkeep.
pub(super) fn tidy(tx: &mut WriteTx<'_>, now: Timestamp) -> Result<(), Error> {
    forget(tx, |link| link.expires.plus(LINK_LIFE * 4) <= now)
}

fn forget(tx: &mut WriteTx<'_>, which: impl Fn(&Link) -> bool) -> Result<(), Error> {
    let links = tx.records::<Link>(&[], &[], Direction::Forward, usize::MAX)?;
    for (key, _) in links.into_iter().filter(|(_, link)| which(link)) {
        tx.delete_record::<Link>(&key);
    }
    Ok(())
}
