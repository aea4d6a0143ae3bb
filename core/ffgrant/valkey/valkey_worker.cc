// SPDX-License-Identifier: Apache-2.0
//
// Implements the calls that tell a deployment of its workers (the registration), and the call by
// which a worker learns the deployment's partition counts (core/contract/live-observed.md, 5 and
// 8).

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "ffgrant/internal/concat.h"
#include "ffgrant/internal/write_into.h"
#include "ffgrant/valkey/internal/stored_execution.h"
#include "ffgrant/valkey/internal/stored_partitions.h"
#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using namespace internal;  // NOLINT: the whole file uses keys and replies

namespace {

ClaimError Refuse(ErrorDetails* details, std::string_view why) noexcept {
  if (details != nullptr) {
    details->clear();
    (void)details->Add(why);
  }
  return ClaimError::kInvalidInput;
}

// The keys of a registration have no tag in common: each command goes to its own key's slot.
struct WorkerKeys {
  WorkerKeys(std::string_view ns, const WorkerRegistration& r) {
    const NamespaceView name = {ns};
    const WorkerInstanceIdView instance = r.worker.worker_instance_id;
    const auto write_key = [&](WorkerKey key, std::string& to) {
      ffgrant::internal::WriteInto(
          to, [&](std::span<char> out) { return FormatKey(key, name, instance, out); });
    };
    write_key(WorkerKey::kAlive, alive);
    write_key(WorkerKey::kCaps, caps);
    ffgrant::internal::WriteInto(
        index, [&](std::span<char> out) { return FormatWorkerIndexKey(name, out); });
    std::array<char, kUuidTextSize> text;
    FormatUuid(r.token, text);
    token.assign(text.data(), text.size());
  }

  std::string alive;
  std::string caps;
  std::string index;
  std::string token;
};

// Sends one command of texts and calls `read(reply)`. If the reply is an error, `read` is not
// called, and the error becomes the detail.
template <class Read>
ClaimError Do(Session& session, bool read_only, ErrorDetails* details,
              std::initializer_list<std::string_view> words, const Read& read) {
  ClaimError fault = ClaimError::kNone;
  const ClaimError failure = CallAndWait(
      session, HashSlot(words.begin()[1]), read_only, details,
      [&](RespCommand& command) {
        command.Begin(words.size());
        for (const std::string_view word : words) command.Arg(word);
      },
      [&](const Reply& reply) {
        if (reply.is(Reply::Type::kError)) {
          fault = UnknownText(reply, details);
          return true;
        }
        return read(reply);
      });
  return failure != ClaimError::kNone ? failure : fault;
}

bool Anything(const Reply&) noexcept { return true; }

std::string SortedLanes(std::span<const LaneIdView> lanes) {
  std::vector<std::string_view> texts;
  for (const LaneIdView& lane : lanes) texts.push_back(lane.text());
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  std::string csv;
  for (const std::string_view text : texts) csv.append(csv.empty() ? "" : ",").append(text);
  return csv;
}

enum class Owner : std::uint8_t { kNobody, kUs, kAnother };

ClaimError ReadOwner(Session& session, const WorkerKeys& keys, ErrorDetails* details,
                     Owner& owner) {
  return Do(session, true, details, {"GET", keys.alive}, [&](const Reply& reply) {
    owner = reply.is(Reply::Type::kNil) ? Owner::kNobody
            : reply.text == keys.token  ? Owner::kUs
                                        : Owner::kAnother;
    return reply.is(Reply::Type::kNil) || reply.is(Reply::Type::kString);
  });
}

// Writes what a registered worker can do, and only then puts its instance id into the index. So
// whoever finds the id there finds the rest too.
ClaimError WriteCaps(Session& session, const WorkerKeys& keys, const WorkerRegistration& r,
                     bool anew, ErrorDetails* details) {
  const std::string ttl = std::to_string(r.ttl_ms);
  const std::string now = std::to_string(SystemClock().Now().value);
  const std::string lanes = SortedLanes(r.lanes);
  std::int64_t added = 0;
  ClaimError error =
      Do(session, false, details,
         {"HSET", keys.caps, "worker_id", r.worker.worker_id.text, "lanes_csv", lanes, "caps_csv",
          r.offered == nullptr ? "" : r.offered->csv(), "ttl_ms", ttl, "last_heartbeat_ms", now},
         [&](const Reply& reply) {
           added = reply.integer;
           return reply.is(Reply::Type::kInteger);
         });
  // A refresh leaves `registered_at_ms` alone, unless all five of the other fields are new: then an
  // operator may have removed the whole hash.
  if (error == ClaimError::kNone && (anew || added == 5)) {
    error = Do(session, false, details, {"HSET", keys.caps, "registered_at_ms", now}, Anything);
  }
  if (error == ClaimError::kNone) {
    error = Do(session, false, details, {"PEXPIRE", keys.caps, ttl}, Anything);
  }
  if (error == ClaimError::kNone) {
    error = Do(session, false, details, {"SADD", keys.index, r.worker.worker_instance_id.text},
               Anything);
  }
  return error;
}

// Prolongs our registration. Sets `gone` to whether the registration has run out since its owner
// was read.
ClaimError Prolong(Session& session, const WorkerKeys& keys, const WorkerRegistration& r,
                   ErrorDetails* details, bool& gone) {
  return Do(session, false, details, {"PEXPIRE", keys.alive, std::to_string(r.ttl_ms)},
            [&](const Reply& reply) {
              gone = reply.integer == 0;
              return reply.is(Reply::Type::kInteger);
            });
}

ClaimError Register(Session& session, const WorkerKeys& keys, const WorkerRegistration& r,
                    ErrorDetails* details) {
  bool taken = false;
  ClaimError error = Do(session, false, details,
                        {"SET", keys.alive, keys.token, "NX", "PX", std::to_string(r.ttl_ms)},
                        [&](const Reply& reply) {
                          taken = reply.is(Reply::Type::kNil);
                          return taken || reply.is(Reply::Type::kStatus);
                        });
  if (error != ClaimError::kNone) return error;
  if (taken) {
    // If the answer to an earlier try was lost, the registration may already be ours.
    Owner owner = Owner::kNobody;
    error = ReadOwner(session, keys, details, owner);
    if (error != ClaimError::kNone) return error;
    if (owner != Owner::kUs) {
      return Refuse(details, "worker_instance_id: another process has registered it");
    }
    bool gone = false;
    error = Prolong(session, keys, r, details, gone);
    if (error != ClaimError::kNone) return error;
    if (gone) {
      (void)Refuse(details, "the registration ran out just now");
      return ClaimError::kUnavailable;  // the call may work if it is made again
    }
  }
  return WriteCaps(session, keys, r, true, details);
}

bool IsInRange(const WorkerRegistration& r) noexcept {
  return r.ttl_ms >= 1000 && r.ttl_ms <= kMaxTtlMs;
}
constexpr std::string_view kBadTtl = "ttl_ms is out of range";

}  // namespace

Outcome ValkeyLedger::RegisterWorker(const WorkerRegistration& r, ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  if (!IsInRange(r)) return {Refuse(details, kBadTtl)};
  const WorkerKeys keys(impl_->options.defaults.ns, r);
  SessionPool::Lease lease = impl_->sessions.Take();
  return {Register(lease.session, keys, r, details)};
}

Outcome ValkeyLedger::RefreshWorker(const WorkerRegistration& r, ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  if (!IsInRange(r)) return {Refuse(details, kBadTtl)};
  const WorkerKeys keys(impl_->options.defaults.ns, r);
  SessionPool::Lease lease = impl_->sessions.Take();
  Session& session = lease.session;
  Owner owner = Owner::kNobody;
  ClaimError error = ReadOwner(session, keys, details, owner);
  if (error != ClaimError::kNone) return {error};
  if (owner == Owner::kNobody) return {Register(session, keys, r, details)};
  if (owner == Owner::kAnother) {
    return {Refuse(details, "worker_instance_id: another process has registered it")};
  }
  bool gone = false;
  error = Prolong(session, keys, r, details, gone);
  if (error != ClaimError::kNone) return {error};
  if (gone) return {Register(session, keys, r, details)};
  // Writes the whole registration again, because an operator may have removed a part of it.
  return {WriteCaps(session, keys, r, false, details)};
}

Outcome ValkeyLedger::UnregisterWorker(const WorkerRegistration& r,
                                       ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  const WorkerKeys keys(impl_->options.defaults.ns, r);
  SessionPool::Lease lease = impl_->sessions.Take();
  Session& session = lease.session;
  Owner owner = Owner::kNobody;
  ClaimError error = ReadOwner(session, keys, details, owner);
  if (error != ClaimError::kNone || owner != Owner::kUs) return {error};
  error =
      Do(session, false, details, {"SREM", keys.index, r.worker.worker_instance_id.text}, Anything);
  if (error == ClaimError::kNone) {
    error = Do(session, false, details, {"DEL", keys.caps}, Anything);
  }
  if (error == ClaimError::kNone) {
    error = Do(session, false, details, {"DEL", keys.alive}, Anything);
  }
  return {error};
}

StoredPartitions ValkeyLedger::ReadPartitions(ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  SessionPool::Lease lease = impl_->sessions.Take();
  return ReadStoredPartitions(lease.session, details);
}

StoredPartitions internal::ReadStoredPartitions(Session& session, ErrorDetails* details) noexcept {
  StoredPartitions stored;
  std::string_view wrong;
  static constexpr std::array<std::string_view, 3> kFields = {
      "num_flow_partitions", "num_budget_partitions", "num_quota_partitions"};
  stored.error =
      Do(session, true, details, {"HMGET", kPartitionConfigKey, kFields[0], kFields[1], kFields[2]},
         [&](const Reply& reply) {
           if (!reply.is(Reply::Type::kArray) || reply.elements().size() != kFields.size())
             return false;
           std::uint16_t* const counts[] = {&stored.partitions.num_flow_partitions,
                                            &stored.partitions.num_budget_partitions,
                                            &stored.partitions.num_quota_partitions};
           for (std::size_t i = 0; i < kFields.size(); ++i) {
             const Reply& element = reply.elements()[i];
             if (element.is(Reply::Type::kNil)) continue;
             stored.stored = true;
             std::uint16_t count = 0;
             const char* const end = element.text.data() + element.text.size();
             const auto [at, error] = std::from_chars(element.text.data(), end, count);
             if (error != std::errc() || at != end || count == 0) {
               wrong = kFields[i];
             } else {
               *counts[i] = count;
             }
           }
           return true;
         });
  if (stored && !wrong.empty()) {
    std::array<char, 96> text;
    const WriteResult written = ffgrant::internal::Concat(
        text, {kPartitionConfigKey, ": ", wrong, " is no partition count"});
    stored.error = Refuse(details, {text.data(), written.size});
    stored.partitions = {};
  }
  return stored;
}

}  // namespace ffgrant::valkey
