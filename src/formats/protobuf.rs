//! The wire format of protobuf messages (protobuf.dev, "Encoding"), as SentencePiece models use it.

use std::fmt::Display;

use crate::error::{Error, Result};

/// The value of one field.
pub enum FieldValue<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
    Fixed64,
}

impl<'a> FieldValue<'a> {
    fn wrong(key: impl Display, expected: &str) -> Error {
        Error::artifact("damaged SentencePiece model: a field of another type")
            .key(key.to_string())
            .expected(expected)
    }
    pub fn varint(&self, key: impl Display) -> Result<u64> {
        match self {
            Self::Varint(v) => Ok(*v),
            _ => Err(Self::wrong(key, "a number")),
        }
    }
    pub fn bytes(&self, key: impl Display) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(b) => Ok(b),
            _ => Err(Self::wrong(key, "bytes or a message")),
        }
    }
    pub fn text(&self, key: impl Display) -> Result<String> {
        let bytes = self.bytes(&key)?;
        let text = std::str::from_utf8(bytes).map_err(|e| {
            Error::artifact("damaged SentencePiece model: text is not UTF-8")
                .key(key.to_string())
                .cause(e.to_string())
        })?;
        Ok(text.to_string())
    }
    pub fn float(&self, key: impl Display) -> Result<f32> {
        match self {
            Self::Fixed32(b) => Ok(f32::from_le_bytes(*b)),
            _ => Err(Self::wrong(key, "a 32-bit float")),
        }
    }
}

/// The fields of a message, in order.
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Number and value of the next field; `message` is what errors name.
    pub fn next(&mut self, message: impl Display) -> Result<Option<(u64, FieldValue<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let fault = |cause: &str| {
            Error::artifact("not a SentencePiece model, or a damaged one")
                .key(message.to_string())
                .cause(cause.to_string())
        };
        let key = self.varint().ok_or_else(|| fault("a field number is cut off"))?;
        let cut = || fault("a field is longer than what is left");
        let value = match key & 7 {
            0 => FieldValue::Varint(self.varint().ok_or_else(cut)?),
            1 => {
                self.take(8).ok_or_else(cut)?;
                FieldValue::Fixed64
            }
            2 => {
                let len = self.varint().and_then(|n| usize::try_from(n).ok()).ok_or_else(cut)?;
                FieldValue::Bytes(self.take(len).ok_or_else(cut)?)
            }
            5 => {
                let bytes = self.take(4).and_then(|b| b.try_into().ok()).ok_or_else(cut)?;
                FieldValue::Fixed32(bytes)
            }
            other => return Err(fault(&format!("a field has wire type {other}"))),
        };
        Ok(Some((key >> 3, value)))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
