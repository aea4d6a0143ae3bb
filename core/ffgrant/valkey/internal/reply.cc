// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/reply.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "ffgrant/internal/poison.h"
#include "ffgrant/internal/throw.h"

namespace ffgrant::valkey::internal {

using ffgrant::internal::kGapBytes;
using ffgrant::internal::Poison;
using ffgrant::internal::Unpoison;

void* ReplyArena::Take(std::size_t wanted) noexcept {
  const std::size_t size = (wanted + alignof(Reply) - 1) / alignof(Reply) * alignof(Reply);
  if (size > max_bytes_ - taken_) {
    exceeded_ = true;
    return nullptr;
  }
  const std::size_t with_gap = size + kGapBytes;
  if (chunks_.empty() || with_gap > chunks_.back().size - used_) {
    const std::size_t chunk_size = std::max(with_gap, chunk_size_);
    char* const bytes = new (std::nothrow) char[chunk_size];
    // Never true: no test makes the system run out of memory.
    if (bytes == nullptr) return nullptr;
    chunks_.push_back({std::unique_ptr<char[]>(bytes), chunk_size});
    Poison(bytes, chunk_size);
    used_ = 0;
  }
  void* const taken = chunks_.back().bytes.get() + used_;
  Unpoison(taken, wanted);
  used_ += with_gap;
  taken_ += size;
  gaps_ += kGapBytes;
  return taken;
}

void ReplyArena::Reset() noexcept {
  if (chunks_.size() > 1) {
    chunk_size_ = taken_ + gaps_;  // the reply did not fit into the first chunk
    chunks_.clear();
  }
  // Nobody may look at a reply that has been given back.
  if (!chunks_.empty()) Poison(chunks_.back().bytes.get(), chunks_.back().size);
  used_ = taken_ = gaps_ = 0;
  exceeded_ = false;
}

std::size_t ReplyArena::held() const noexcept {
  std::size_t size = 0;
  for (const Chunk& chunk : chunks_) size += chunk.size;
  return size;
}

// Builds the replies for hiredis. A null pointer tells hiredis to give up.
class ReplyReader::Builder {
 public:
  static void* String(const redisReadTask* task, char* text, std::size_t size) noexcept {
    Reply::Type type = Reply::Type::kString;
    if (task->type == REDIS_REPLY_STATUS) {
      type = Reply::Type::kStatus;
    } else if (task->type == REDIS_REPLY_ERROR) {
      type = Reply::Type::kError;
    }
    Reply* const reply = Place(task, type);
    if (reply == nullptr || size == 0) return reply;
    // Copy the text: hiredis moves its buffer when the next bytes are fed.
    void* const copy = Self(task).arena_.Take(size);
    if (copy == nullptr) return nullptr;
    std::memcpy(copy, text, size);
    reply->text = {static_cast<const char*>(copy), size};
    return reply;
  }

  // hiredis declares `size` as int before 1.0, and as size_t from then on.
  template <class Size>
  static void* Array(const redisReadTask* task, Size size) noexcept {
    if (Depth(task) > Self(task).limits_.max_depth) return nullptr;
    Reply* const reply = Place(task, Reply::Type::kArray);
    if (reply == nullptr || size == 0) return reply;
    const auto count = static_cast<std::size_t>(size);
    if (count > Self(task).limits_.max_bytes / sizeof(Reply)) {
      Self(task).too_large_ = true;
      return nullptr;
    }
    void* const room = Self(task).arena_.Take(count * sizeof(Reply));
    if (room == nullptr) return nullptr;
    Reply* const elements = new (room) Reply[count];
    reply->SetElements({elements, count});
    return reply;
  }

  static void* Integer(const redisReadTask* task, long long value) noexcept {
    Reply* const reply = Place(task, Reply::Type::kInteger);
    if (reply != nullptr) reply->integer = value;
    return reply;
  }

  static void* Nil(const redisReadTask* task) noexcept { return Place(task, Reply::Type::kNil); }

  // The arena owns the memory.
  static void Free(void*) noexcept {}

  // Sets `member`, whichever type this hiredis declares it with.
  template <class Size>
  static void SetArray(void* (*&member)(const redisReadTask*, Size)) noexcept {
    member = &Array<Size>;
  }
  // RESP 3, which the client never asks for, is refused. Without these two functions a hiredis that
  // knows RESP 3 would return a number in place of a pointer to a reply.
  template <class Functions>
  static void RefuseResp3(Functions& functions) noexcept {
    if constexpr (requires { functions.createDouble; }) {
      functions.createDouble = [](const redisReadTask*, double, char*, std::size_t) -> void* {
        return nullptr;
      };
      functions.createBool = [](const redisReadTask*, int) -> void* { return nullptr; };
    }
  }

 private:
  static ReplyReader& Self(const redisReadTask* task) noexcept {
    return *static_cast<ReplyReader*>(task->privdata);
  }

  static int Depth(const redisReadTask* task) noexcept {
    int depth = 1;
    for (; task->parent != nullptr; task = task->parent) ++depth;
    return depth;
  }

  // Returns the place for this value: in its parent's elements, or a place of its own.
  static Reply* Place(const redisReadTask* task, Reply::Type type) noexcept {
    // The types of RESP 2 have the lowest numbers.
    // Never true: hiredis 0.14 knows no other; later ones have those of RESP 3.
    if (task->type > REDIS_REPLY_ERROR) return nullptr;
    Reply* reply = nullptr;
    if (task->parent != nullptr) {
      const auto& elements = static_cast<const Reply*>(task->parent->obj)->elements();
      reply = const_cast<Reply*>(elements.data()) + task->idx;
    } else {
      void* const room = Self(task).arena_.Take(sizeof(Reply));
      if (room == nullptr) return nullptr;
      reply = new (room) Reply;
    }
    reply->type = type;
    return reply;
  }
};

ReplyReader::ReplyReader(const ReplyLimits& limits) : limits_(limits), arena_(limits.max_bytes) {
  MakeReader();
}

ReplyReader::~ReplyReader() { redisReaderFree(reader_); }

void ReplyReader::MakeReader() {
  static redisReplyObjectFunctions functions = [] {
    redisReplyObjectFunctions f{};
    f.createString = &Builder::String;
    Builder::SetArray(f.createArray);
    f.createInteger = &Builder::Integer;
    f.createNil = &Builder::Nil;
    f.freeObject = &Builder::Free;
    Builder::RefuseResp3(f);
    return f;
  }();
  reader_ = redisReaderCreateWithFunctions(&functions);
  // Never true: no test makes the system run out of memory.
  if (reader_ == nullptr) ffgrant::internal::Throw<std::bad_alloc>();
  reader_->privdata = this;
  reader_->maxbuf = 0;  // keep the buffer, however large it is
}

void ReplyReader::Feed(std::string_view bytes) noexcept {
  if (failed_ || bytes.empty()) return;
  failed_ = redisReaderFeed(reader_, bytes.data(), bytes.size()) != REDIS_OK;
  unused_ += bytes.size();
}

ReplyReader::Status ReplyReader::Next() noexcept {
  reply_ = nullptr;
  if (failed_) return Status::kMalformed;
  // In the middle of a reply, the arena holds the values that hiredis has made so far.
  if (reader_->ridx == -1) arena_.Reset();
  void* reply = nullptr;
  if (redisReaderGetReply(reader_, &reply) != REDIS_OK) {
    failed_ = true;
    too_large_ |= arena_.exceeded();
    return Status::kMalformed;
  }
  if (reply == nullptr) {
    failed_ = too_large_ = reader_->len - reader_->pos > limits_.max_bytes;
    return failed_ ? Status::kMalformed : Status::kNeedMore;
  }
  unused_ = reader_->len - reader_->pos;
  reply_ = static_cast<const Reply*>(reply);
  return Status::kReply;
}

void ReplyReader::Reset() noexcept {
  reply_ = nullptr;
  if (failed_ || unused_ != 0) {
    redisReaderFree(reader_);
    MakeReader();
  }
  failed_ = too_large_ = false;
  unused_ = 0;
  arena_.Reset();
}

}  // namespace ffgrant::valkey::internal
