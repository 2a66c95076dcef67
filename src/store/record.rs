//! Values on disk: one version byte, then a MessagePack map.
//!
//! The map names its fields, so a field that is added with `#[serde(default)]` needs neither a migration nor a new
//! version. A change of meaning does: raise [`Record::VERSION`], keep the old shape beside the new one and turn it into
//! the new one in [`Record::upgrade`].
//!
//! The MAC of a guarded row is not part of the value: it is put behind it on the way to the table and taken off on the
//! way back ([`seal`], [`unseal`]).

use super::error::{DecodeError, StoreError};
use super::tables::Table;
use crate::crypto::MacKey;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Length of the MAC behind the value of a guarded row, in bytes (HMAC-SHA256).
const MAC_BYTES: usize = 32;

/// A type that is kept as a row.
pub trait Record: Serialize + DeserializeOwned {
    /// The table that it is kept in.
    const TABLE: Table;

    /// The version that is written now, from 1 on.
    const VERSION: u8;

    /// Reads a body that an earlier version wrote. The default holds as long as only fields with defaults were added.
    fn upgrade(_version: u8, body: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
        rmp_serde::from_slice(body)
    }
}

/// The value of a record, as it is kept (without the MAC of a guarded table).
pub(super) fn encode<T: Record>(record: &T) -> Result<Vec<u8>, StoreError> {
    let mut value = vec![T::VERSION];
    rmp_serde::encode::write_named(&mut value, record)
        .map_err(|source| StoreError::Encode { table: T::TABLE.name, source })?;
    Ok(value)
}

/// The record in a value (without the MAC of a guarded table).
pub(super) fn decode<T: Record>(value: &[u8]) -> Result<T, StoreError> {
    let result = match value.split_first() {
        None => Err(DecodeError::Length),
        Some((version, body)) if *version == T::VERSION => rmp_serde::from_slice(body).map_err(DecodeError::from),
        Some((version, body)) if *version < T::VERSION => T::upgrade(*version, body).map_err(DecodeError::from),
        Some((version, _)) => Err(DecodeError::Version { found: *version, known: T::VERSION }),
    };
    result.map_err(|source| StoreError::Decode { table: T::TABLE.name, source })
}

/// Puts the MAC behind the value of a guarded table; leaves any other as it is.
pub(super) fn seal(row_key: &MacKey, table: Table, key: &[u8], value: &mut Vec<u8>) {
    if table.guarded {
        let mac = row_key.mac(&[table.name.as_bytes(), key, value]);
        value.extend_from_slice(&mac);
    }
}

/// The value of a row, its MAC verified and taken off where the table is guarded.
pub(super) fn unseal<'v>(row_key: &MacKey, table: Table, key: &[u8], row: &'v [u8]) -> Result<&'v [u8], StoreError> {
    if !table.guarded {
        return Ok(row);
    }
    let parts = row.len().checked_sub(MAC_BYTES).and_then(|length| row.split_at_checked(length));
    match parts {
        Some((value, mac)) if row_key.verify(&[table.name.as_bytes(), key, value], mac) => Ok(value),
        _ => Err(StoreError::Tampered { table: table.name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::host::HostKey;
    use crate::store::tables::{META, SLOTS};
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct First {
        name: String,
    }

    impl Record for First {
        const TABLE: Table = META;
        const VERSION: u8 = 1;
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Grown {
        name: String,
        #[serde(default)]
        count: u32,
    }

    impl Record for Grown {
        const TABLE: Table = META;
        const VERSION: u8 = 1;
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Changed {
        names: Vec<String>,
    }

    impl Record for Changed {
        const TABLE: Table = META;
        const VERSION: u8 = 2;

        fn upgrade(_version: u8, body: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
            let old: First = rmp_serde::from_slice(body)?;
            Ok(Self { names: vec![old.name] })
        }
    }

    #[test]
    fn a_record_grows_and_changes_without_a_migration() {
        let value = encode(&First { name: "a".into() }).unwrap();
        assert_eq!(decode::<First>(&value).unwrap(), First { name: "a".into() });
        assert_eq!(decode::<Grown>(&value).unwrap(), Grown { name: "a".into(), count: 0 });
        assert_eq!(decode::<Changed>(&value).unwrap(), Changed { names: vec!["a".into()] });

        let newer = encode(&Changed { names: vec![] }).unwrap();
        let error = decode::<First>(&newer).unwrap_err();
        assert!(
            matches!(error, StoreError::Decode { source: DecodeError::Version { found: 2, known: 1 }, .. }),
            "{error:?}"
        );
        assert!(matches!(decode::<First>(&[]), Err(StoreError::Decode { source: DecodeError::Length, .. })));
    }

    #[test]
    fn a_guarded_row_is_bound_to_its_table_its_key_and_the_host() {
        let (host, other) = (HostKey::generate(), HostKey::generate());
        let mut row = b"value".to_vec();
        seal(host.row_key(), META, b"key", &mut row);
        assert_eq!(unseal(host.row_key(), META, b"key", &row).unwrap(), b"value");

        let tampered = |key: &MacKey, table, at: &[u8], row: &[u8]| {
            matches!(unseal(key, table, at, row), Err(StoreError::Tampered { table: _ }))
        };
        assert!(tampered(host.row_key(), META, b"other", &row));
        assert!(tampered(host.row_key(), Table { name: "other", ..META }, b"key", &row));
        assert!(tampered(other.row_key(), META, b"key", &row));
        assert!(tampered(host.row_key(), META, b"key", b"short"));
        for place in 0..row.len() {
            let mut altered = row.clone();
            altered[place] ^= 1;
            assert!(tampered(host.row_key(), META, b"key", &altered), "byte {place}");
        }

        let mut plain = b"value".to_vec();
        seal(host.row_key(), SLOTS, b"key", &mut plain);
        assert_eq!(plain, b"value");
    }
}
