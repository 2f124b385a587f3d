//! Encodes versions and contents in PostgreSQL's binary format, without intermediate values.

use std::borrow::Borrow;
use std::error::Error;
use std::fmt::Debug;

use bytes::{BufMut as _, BytesMut};
use switchyard_database::{Body, Version};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

type Fallible<T> = Result<T, Box<dyn Error + Sync + Send>>;

/// A version, stored as its sixteen bytes.
#[derive(Debug)]
pub(crate) struct StoredVersion(pub(crate) Version);

impl<'a> FromSql<'a> for StoredVersion {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Fallible<Self> {
        Ok(Self(Version::from_bytes(raw.try_into()?)))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::BYTEA
    }
}

impl ToSql for StoredVersion {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Fallible<IsNull> {
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::BYTEA
    }

    to_sql_checked!();
}

/// The only version of jsonb's binary format. This byte precedes the text.
const JSONB_FORMAT: u8 = 1;

/// The content of a document, when it is read.
#[derive(Debug)]
pub(crate) struct StoredBody(pub(crate) Body);

impl<'a> FromSql<'a> for StoredBody {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Fallible<Self> {
        match raw.split_first() {
            Some((&JSONB_FORMAT, text)) => Ok(Self(serde_json::from_str(std::str::from_utf8(text)?)?)),
            _ => Err("unknown jsonb format".into()),
        }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSONB
    }
}

/// The content of a document, when it is written.
#[derive(Debug)]
pub(crate) struct WrittenBody<B>(pub(crate) B);

impl<B: Borrow<Body> + Debug> ToSql for WrittenBody<B> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Fallible<IsNull> {
        out.put_u8(JSONB_FORMAT);
        serde_json::to_writer(out.writer(), self.0.borrow())?;
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSONB
    }

    to_sql_checked!();
}
