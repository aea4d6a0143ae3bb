// SPDX-License-Identifier: Apache-2.0

#include "harness/finding_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>

namespace ffgrant::fuzz {

FindingFile finding_file;

namespace {

constexpr int kSignals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
struct sigaction before[std::size(kSignals)];

// A handler for a stack overflow needs a stack of its own.
alignas(16) char handler_stack[1 << 16];

void OnSignal(int number) {
  finding_file.Write();
  // Restores the earlier handler, so that the signal strikes once more as soon as this handler
  // returns.
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    if (kSignals[i] == number) sigaction(number, &before[i], nullptr);
  }
  raise(number);
}

int OpenForWriting(const char* path) {
  return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

}  // namespace

bool FindingFile::Open(const char* path) {
  const int file = OpenForWriting(path);
  struct stat is {};
  if (file < 0 || fstat(file, &is) != 0) {
    std::perror(path);
    return false;
  }
  close(file);
  if (S_ISREG(is.st_mode)) unlink(path);  // the file only proved that it can be written
  path_ = path;
  stack_t stack = {};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof handler_stack;
  if (sigaltstack(&stack, nullptr) != 0) return false;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_ONSTACK;
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    if (sigaction(kSignals[i], &action, &before[i]) != 0) return false;
  }
  return true;
}

void FindingFile::Write() const {
  if (data_ == nullptr) return;
  const int file = OpenForWriting(path_);
  for (std::size_t written = 0; file >= 0 && written < size_;) {
    const ssize_t more = write(file, data_ + written, size_ - written);
    if (more <= 0) break;
    written += static_cast<std::size_t>(more);
  }
}

}  // namespace ffgrant::fuzz
