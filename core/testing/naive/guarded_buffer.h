// SPDX-License-Identifier: Apache-2.0
//
// Test only: puts a text at one end of a buffer, next to a page that nobody may touch, so that a
// read past this end crashes in every build.

#ifndef FFGRANT_TESTING_NAIVE_GUARDED_BUFFER_H_
#define FFGRANT_TESTING_NAIVE_GUARDED_BUFFER_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

namespace ffgrant::testing {

//   | no access |        bytes         | no access |
//               ^ AtStart      AtEnd ^
class GuardedBuffer {
 public:
  explicit GuardedBuffer(std::size_t capacity = 4096) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    size_ = (capacity + page - 1) / page * page;
    mapped_ = size_ + 2 * page;
    void* base = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) std::abort();
    base_ = static_cast<char*>(base);
    bytes_ = base_ + page;
    if (mprotect(base_, page, PROT_NONE) != 0) std::abort();
    if (mprotect(bytes_ + size_, page, PROT_NONE) != 0) std::abort();
  }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;
  ~GuardedBuffer() { munmap(base_, mapped_); }

  // Returns a copy of `text` whose last byte is the last readable byte. The copy is valid until the
  // next call.
  std::string_view AtEnd(std::string_view text) { return Put(text, bytes_ + size_ - text.size()); }

  // Returns the last `size` bytes, for writing. `size` is at most the capacity.
  std::span<char> LastBytes(std::size_t size) { return {bytes_ + size_ - size, size}; }

  // Returns a copy of `text` whose first byte is the first readable byte.
  std::string_view AtStart(std::string_view text) { return Put(text, bytes_); }

 private:
  std::string_view Put(std::string_view text, char* to) {
    if (text.size() > size_) std::abort();
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }

  std::size_t size_;
  std::size_t mapped_;
  char* base_;
  char* bytes_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_GUARDED_BUFFER_H_
