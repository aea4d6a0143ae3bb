// SPDX-License-Identifier: Apache-2.0
//! The types that cross the border, and the guards that let no panic cross it. Unsafe code is in
//! this file, in the other functions of the C interface, where values are read, and in the arena
//! and its users.

use crate::shapes::Document;
use ff_core::partition::PartitionKeyParseError;
use ff_core::types::{ExecutionId, ExecutionIdParseError, LaneIdError};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok = 0,
    Rejected = 1,
    NotUtf8 = 2,
    Panicked = 3,
    InvalidArgument = 4,
}

/// `ffref_view`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct View {
    data: *const u8,
    size: usize,
}

impl View {
    pub const EMPTY: View = View { data: std::ptr::null(), size: 0 };

    pub fn of(bytes: impl AsRef<[u8]>) -> View {
        let bytes = bytes.as_ref();
        View { data: bytes.as_ptr(), size: bytes.len() }
    }

    /// # Safety
    /// The bytes belong to the caller and must live for `'a`.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            return &[];
        }
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }

    /// # Safety
    /// The same as for `bytes`.
    pub unsafe fn text<'a>(self) -> Result<&'a str, Status> {
        std::str::from_utf8(unsafe { self.bytes() }).map_err(|_| Status::NotUtf8)
    }
}

/// `ffref_rejection`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Rejection {
    pub error: u32,
    pub payload: View,
}

impl Rejection {
    pub const NONE: Rejection = Rejection { error: 0, payload: View::EMPTY };
}

/// `ffref_value`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Value {
    pub present: u8,
    pub number: u64,
    pub text: View,
    pub list: *const View,
    pub list_size: usize,
}

pub const MAX_VALUES: usize = 10;

impl Value {
    pub const ABSENT: Value =
        Value { present: 0, number: 0, text: View::EMPTY, list: std::ptr::null(), list_size: 0 };
}

pub enum LastError {
    None,
    PartitionKey(PartitionKeyParseError),
    ExecutionId(ExecutionIdParseError),
    Lane(LaneIdError),
    Json(serde_json::Error),
}

/// `ffref_scratch`: owns the memory to which returned views point.
pub struct Scratch {
    pub error: LastError,
    pub key_error: Option<PartitionKeyParseError>,
    pub id: Option<ExecutionId>,
    pub document: Document,
    pub values: [Value; MAX_VALUES],
    pub list: Vec<View>,
    pub text: String,
    pub member: String,
    pub json: Vec<u8>,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch {
            error: LastError::None,
            key_error: None,
            id: None,
            document: Document::None,
            values: [Value::ABSENT; MAX_VALUES],
            list: Vec::new(),
            text: String::new(),
            member: String::new(),
            json: Vec::new(),
        }
    }

    /// Writes into the scratch's text, whose memory is kept from call to call.
    pub fn write(&mut self, arguments: std::fmt::Arguments) -> View {
        self.text.clear();
        self.text.write_fmt(arguments).expect("a String takes everything");
        View::of(&self.text)
    }
}

/// Runs a call that may panic.
pub fn guard(call: impl FnOnce() -> Result<(), Status>) -> Status {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => Status::Ok,
        Ok(Err(status)) => status,
        Err(_) => Status::Panicked,
    }
}

/// Does the same for a call with a scratch, whose last error it first clears.
///
/// # Safety
/// `scratch` comes from `ffref_scratch_new`, and no other call uses it at the same time.
pub unsafe fn guard_with(
    scratch: *mut Scratch,
    call: impl FnOnce(&mut Scratch) -> Result<(), Status>,
) -> Status {
    guard(|| {
        let scratch = unsafe { &mut *scratch };
        scratch.error = LastError::None;
        call(scratch)
    })
}

#[unsafe(no_mangle)]
extern "C" fn ffref_scratch_new() -> *mut Scratch {
    Box::into_raw(Box::new(Scratch::new()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_scratch_free(scratch: *mut Scratch) {
    if !scratch.is_null() {
        drop(unsafe { Box::from_raw(scratch) });
    }
}

#[unsafe(no_mangle)]
extern "C" fn ffref_versions() -> View {
    // Cargo.toml pins these versions; the test compares this text with Cargo.lock.
    View::of("ff-core 0.15.0, serde_json 1.0.149, serde 1.0.228, uuid 1.23.0, crc16 0.4.0")
}

#[unsafe(no_mangle)]
extern "C" fn ffref_panic_on_purpose() -> Status {
    guard(|| panic!("on purpose, to test the border"))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_error_text(scratch: *mut Scratch, text: *mut View) -> Status {
    guard(|| {
        let Scratch { error, text: kept, .. } = unsafe { &mut *scratch };
        kept.clear();
        match error {
            LastError::None => return Err(Status::InvalidArgument),
            LastError::PartitionKey(error) => write!(kept, "{error}"),
            LastError::ExecutionId(error) => write!(kept, "{error}"),
            LastError::Lane(error) => write!(kept, "{error}"),
            LastError::Json(error) => write!(kept, "{error}"),
        }
        .expect("a String takes everything");
        unsafe { *text = View::of(&kept) };
        Ok(())
    })
}
