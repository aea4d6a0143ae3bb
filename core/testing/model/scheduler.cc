// SPDX-License-Identifier: Apache-2.0

#include "testing/model/scheduler.h"

#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define FFGRANT_FIBERS_TELL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FFGRANT_FIBERS_TELL_ASAN 1
#endif
#endif
#ifdef FFGRANT_FIBERS_TELL_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace ffgrant::testing {
namespace {

constexpr std::size_t kStackSize = 512 * 1024;
constexpr std::size_t kPage = 4096;
constexpr int kCaller = static_cast<int>(Scheduler::kMaxFibers);
constexpr std::uint32_t kNothing = 0xFFFFFFFF;
constexpr auto kFirstLock = static_cast<std::uint32_t>(internal::Shared::kFirstLock);

Scheduler* g_running = nullptr;
std::uint32_t g_next_lock = kFirstLock;

}  // namespace

struct Scheduler::Fiber {
  ucontext_t context = {};
  // The sanitizer is told of this stack. For the caller it is the stack of the caller's thread.
  void* stack = nullptr;
  std::size_t stack_size = 0;
  void* fake_stack = nullptr;
  const std::function<void()>* body = nullptr;
  bool idle = true;  // whether the fiber is at the end of its loop and waits for a body
  bool made = false;
  std::uint32_t waits_for = kNothing;
  bool call_begins = false;
  CallEvents call;
};

Scheduler::Scheduler() {
  for (auto& fiber : fibers_) fiber = std::make_unique<Fiber>();
  for (std::size_t i = 0; i < kMaxFibers; ++i) {
    void* const p = mmap(nullptr, kStackSize + kPage, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    mprotect(p, kPage, PROT_NONE);  // stacks grow down, so the guard page is below
    fibers_[i]->stack = static_cast<char*>(p) + kPage;
    fibers_[i]->stack_size = kStackSize;
  }
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    Fiber& caller = *fibers_[kMaxFibers];
    pthread_attr_getstack(&attributes, &caller.stack, &caller.stack_size);
    pthread_attr_destroy(&attributes);
  }
}

Scheduler::~Scheduler() {
  for (std::size_t i = 0; i < kMaxFibers; ++i) {
    munmap(static_cast<char*>(fibers_[i]->stack) - kPage, kStackSize + kPage);
  }
}

Scheduler* Scheduler::running() { return g_running; }

// The main function of every fiber. It runs one body after another.
void Scheduler::Main(unsigned int high, unsigned int low) {
  auto* const self = reinterpret_cast<Scheduler*>(std::uintptr_t{high} << 32 | low);
#ifdef FFGRANT_FIBERS_TELL_ASAN
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  for (;;) {
    Fiber& fiber = *self->fibers_[static_cast<std::size_t>(self->current_)];
    (*fiber.body)();
    fiber.idle = true;
    self->Yield();
  }
}

// Make() is a function of its own, because a compiler assumes that getcontext() returns twice.
void Scheduler::Make(Fiber& fiber) {
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = fiber.stack_size;
  fiber.context.uc_link = nullptr;
  fiber.fake_stack = nullptr;
  const auto address = reinterpret_cast<std::uintptr_t>(this);
  makecontext(&fiber.context, reinterpret_cast<void (*)()>(&Scheduler::Main), 2,
              static_cast<unsigned int>(address >> 32), static_cast<unsigned int>(address));
  fiber.made = true;
}

void Scheduler::Reset(std::span<const std::function<void()>> bodies) {
  if (bodies.size() > kMaxFibers || g_running != nullptr) std::abort();
  count_ = bodies.size();
  locked_.reset();
  steps_ = 0;
  result_ = Result::kDone;
  footprint_.Clear();
  events_ = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    Fiber& fiber = *fibers_[i];
    held_[i].reset();
    fiber.body = &bodies[i];
    fiber.waits_for = kNothing;
    fiber.call_begins = false;
    if (!fiber.made || !fiber.idle) Make(fiber);  // new, or left in the middle of a body
    fiber.idle = false;
  }
}

Scheduler::Result Scheduler::Run(std::span<const std::function<void()>> bodies, Chooser& chooser) {
  Reset(bodies);
  chooser_ = &chooser;
  current_ = -1;
  const int first = Next();
  if (first == kCaller) return result_;
  g_running = this;
  current_ = kCaller;
  SwitchTo(first);
  g_running = nullptr;
  current_ = -1;
  return result_;
}

bool Scheduler::CanRun(const Fiber& fiber) const {
  return !fiber.idle && (fiber.waits_for == kNothing || !locked_[fiber.waits_for]);
}

// Returns the fiber that runs next, or the caller if no fiber can run or too many steps were made.
int Scheduler::Next() {
  std::uint32_t runnable = 0;
  bool all_idle = true;
  for (std::size_t i = 0; i < count_; ++i) {
    all_idle = all_idle && fibers_[i]->idle;
    if (CanRun(*fibers_[i])) runnable |= 1u << i;
  }
  if (runnable == 0) {
    result_ = all_idle ? Result::kDone : Result::kDeadlock;
    return kCaller;
  }
  if (++steps_ > kMaxSteps) {
    result_ = Result::kTooManySteps;
    return kCaller;
  }
  const int next = chooser_->Choose(current_, runnable);
  if (next < 0 || (runnable >> next & 1) == 0) std::abort();
  return next;
}

void Scheduler::Yield() {
  chooser_->Stepped(footprint_);
  footprint_.Clear();
  const int next = Next();
  if (next != current_) SwitchTo(next);
  Fiber& self = *fibers_[static_cast<std::size_t>(current_)];
  footprint_.Clear();
  if (self.call_begins) {
    self.call_begins = false;
    self.call.called_at = NextEvent();
    footprint_.BeginsCall();
  }
  // A fiber may touch what its locks guard, so the locks that it holds count as written.
  const auto& held = held_[static_cast<std::size_t>(current_)];
  for (std::size_t lock = held._Find_first(); lock < held.size(); lock = held._Find_next(lock)) {
    footprint_.Writes(static_cast<std::uint32_t>(lock));
  }
}

void Scheduler::SwitchTo(int to) {
  Fiber& from_fiber = *fibers_[static_cast<std::size_t>(current_)];
  Fiber& to_fiber = *fibers_[static_cast<std::size_t>(to)];
  const int self = current_;
  current_ = to;
#ifdef FFGRANT_FIBERS_TELL_ASAN
  __sanitizer_start_switch_fiber(&from_fiber.fake_stack, to_fiber.stack, to_fiber.stack_size);
#endif
  swapcontext(&from_fiber.context, &to_fiber.context);
#ifdef FFGRANT_FIBERS_TELL_ASAN
  __sanitizer_finish_switch_fiber(from_fiber.fake_stack, nullptr, nullptr);
#endif
  current_ = self;
}

void Scheduler::CallBegins() {
  Fiber& self = *fibers_[static_cast<std::size_t>(current_)];
  self.call_begins = true;
  self.call = {};
}

Scheduler::CallEvents Scheduler::CallEnds() {
  Fiber& self = *fibers_[static_cast<std::size_t>(current_)];
  if (self.call_begins) {  // the call has come to no point where threads meet
    self.call_begins = false;
    self.call.called_at = NextEvent();
    footprint_.BeginsCall();
  }
  self.call.returned_at = NextEvent();
  if (self.call.acted_at == 0) self.call.acted_at = self.call.returned_at;
  footprint_.EndsCall();
  return self.call;
}

void Scheduler::Lock(std::uint32_t lock) {
  if (lock >= Footprint::kThings) std::abort();
  Fiber& self = *fibers_[static_cast<std::size_t>(current_)];
  self.waits_for = lock;
  Yield();
  self.waits_for = kNothing;
  locked_.set(lock);
  held_[static_cast<std::size_t>(current_)].set(lock);
  self.call.acted_at = NextEvent();
  footprint_.Writes(lock);
}

void Scheduler::Unlock(std::uint32_t lock) {
  locked_.reset(lock);
  held_[static_cast<std::size_t>(current_)].reset(lock);
  footprint_.Writes(lock);
  if (points_after_unlock_) Yield();
}

bool Scheduler::Holds(std::uint32_t lock) const {
  return held_[static_cast<std::size_t>(current_)].test(lock);
}

void Scheduler::Point(std::uint32_t what) {
  Yield();
  fibers_[static_cast<std::size_t>(current_)]->call.acted_at = NextEvent();
  footprint_.Reads(what);
}

void Scheduler::ResetLockNumbers() { g_next_lock = kFirstLock; }
std::uint32_t Scheduler::TakeLockNumber() { return g_next_lock++; }

}  // namespace ffgrant::testing

namespace ffgrant::internal {

using testing::Scheduler;

void ScheduleLock(std::uint32_t lock) noexcept {
  if (Scheduler* const s = Scheduler::running(); s != nullptr) s->Lock(lock);
}
void ScheduleUnlock(std::uint32_t lock) noexcept {
  if (Scheduler* const s = Scheduler::running(); s != nullptr) s->Unlock(lock);
}
bool ScheduleHolds(std::uint32_t lock) noexcept {
  const Scheduler* const s = Scheduler::running();
  return s == nullptr || s->Holds(lock);
}
void SchedulePoint(Shared what) noexcept {
  if (Scheduler* const s = Scheduler::running(); s != nullptr) {
    s->Point(static_cast<std::uint32_t>(what));
  }
}
void ScheduleRead(Shared what) noexcept {
  if (Scheduler* const s = Scheduler::running(); s != nullptr) {
    s->footprint().Reads(static_cast<std::uint32_t>(what));
  }
}
void ScheduleWrite(Shared what) noexcept {
  if (Scheduler* const s = Scheduler::running(); s != nullptr) {
    s->footprint().Writes(static_cast<std::uint32_t>(what));
  }
}
std::uint32_t NextLockNumber() noexcept { return Scheduler::TakeLockNumber(); }

}  // namespace ffgrant::internal
