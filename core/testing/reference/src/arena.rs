// SPDX-License-Identifier: Apache-2.0
//! One block of memory that holds many texts one after the other.

use std::sync::Mutex;

/// The block of the last arena that was dropped, for the next arena: memory that the system has just
/// given is in no cache.
static SPARE: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Gives out texts that live as long as the arena, though their types do not say so.
pub struct Arena {
    block: Vec<u8>,
    used: usize,
    alignment: usize,
}

impl Arena {
    /// Makes room for `count` texts of `bytes` bytes altogether. Each of them begins at a multiple
    /// of `alignment`.
    pub fn new(count: usize, bytes: usize, alignment: usize) -> Arena {
        let mut block = std::mem::take(&mut *SPARE.lock().expect("nobody panics with the lock"));
        let size = bytes + count * alignment;
        if block.len() < size {
            block = vec![0; size];
        }
        Arena { block, used: 0, alignment }
    }

    /// Copies the bytes behind those that are used.
    ///
    /// # Safety
    /// The copy must not outlive the arena.
    pub unsafe fn bytes(&mut self, bytes: &[u8]) -> &'static [u8] {
        unsafe { std::slice::from_raw_parts(self.copy(bytes), bytes.len()) }
    }

    /// # Safety
    /// The copy must not outlive the arena.
    pub unsafe fn text(&mut self, text: &str) -> &'static str {
        unsafe { std::str::from_utf8_unchecked(self.bytes(text.as_bytes())) }
    }

    /// Makes a String whose bytes lie in the arena.
    ///
    /// # Safety
    /// The String did not come from the allocator. It must be neither changed nor dropped, and not
    /// outlive the arena.
    pub unsafe fn string(&mut self, text: &str) -> String {
        unsafe { String::from_raw_parts(self.copy(text.as_bytes()), text.len(), text.len()) }
    }

    fn copy(&mut self, bytes: &[u8]) -> *mut u8 {
        let free = &mut self.block[self.used..];
        let begin = free.as_ptr().align_offset(self.alignment);
        let to = &mut free[begin..begin + bytes.len()];
        to.copy_from_slice(bytes);
        self.used += begin + bytes.len();
        to.as_mut_ptr()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Ok(mut spare) = SPARE.lock() {
            *spare = std::mem::take(&mut self.block);
        }
    }
}
