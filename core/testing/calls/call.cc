// SPDX-License-Identifier: Apache-2.0

#include "testing/calls/call.h"

#include <optional>

#include "testing/calls/answer.h"

namespace ffgrant::testing {
namespace {

template <class Work>
void ForEachField(const calls::Any& any, Work work) {
  std::visit(
      [&](const auto& call) {
        std::apply([&](const auto&... field) { (work(field), ...); }, calls::FieldsOf(call.args));
      },
      any);
}

// ---- owning ------------------------------------------------------------------

std::size_t SizeOf(std::string_view text) { return text.size(); }
std::size_t SizeOf(const ExecutionIdView& id) { return id.text().size(); }
std::size_t SizeOf(const LaneIdView& lane) { return lane.text().size(); }
std::size_t SizeOf(const WorkerIdentity& worker) {
  return worker.worker_id.text.size() + worker.worker_instance_id.text.size();
}
template <class T>
std::size_t SizeOf(const T&) {
  return 0;  // no text
}

struct Owner {
  char* end;
  std::shared_ptr<const CapabilitySet>& capabilities;

  std::string_view Copy(std::string_view text) {
    char* const begin = end;
    end += text.copy(begin, text.size());
    return {begin, text.size()};
  }
  void operator()(std::string_view& text) { text = Copy(text); }
  void operator()(ExecutionIdView& id) {
    id = ParseExecutionId(Copy(id.text()), ParseMode::kLenient).id;
  }
  void operator()(LaneIdView& lane) { lane = LaneIdView::Unchecked(Copy(lane.text())); }
  void operator()(WorkerIdentity& worker) {
    (*this)(worker.worker_id.text);
    (*this)(worker.worker_instance_id.text);
  }
  void operator()(const CapabilitySet*& set) {
    if (set == nullptr || set == capabilities.get()) return;
    capabilities = std::make_shared<const CapabilitySet>(*set);
    set = capabilities.get();
  }
  template <class T>
  void operator()(T&) {}
};

// ---- showing -----------------------------------------------------------------

std::string Text(const ExecutionIdView& id) { return std::string(id.text()); }
std::string Text(const LaneIdView& lane) { return "[" + std::string(lane.text()) + "]"; }
std::string Text(std::string_view text) { return "'" + std::string(text) + "'"; }
std::string Text(const WorkerIdentity& worker) {
  return std::string(worker.worker_id.text) + "/" + std::string(worker.worker_instance_id.text);
}
std::string Text(const CapabilitySet* set) {
  return set == nullptr ? "no capabilities" : "[" + std::string(set->csv()) + "]";
}
std::string Text(std::int64_t number) { return std::to_string(number); }
std::string Text(std::uint32_t number) { return "cap " + std::to_string(number); }
std::string Text(std::uint16_t partitions) {
  return partitions == kAllPartitions ? "all partitions"
                                      : std::to_string(partitions) + " partitions";
}
std::string Text(bool flag) { return flag ? "override" : ""; }
std::string Text(TimestampMs time) { return "until " + std::to_string(time.value); }
std::string Text(AttemptIndex index) { return "attempt " + std::to_string(index.value); }
std::string Text(LeaseEpoch epoch) { return std::to_string(epoch.value); }
template <class Tag>
std::string Text(const UuidId<Tag>& id) {
  return UuidText(id.uuid);
}
std::string Text(const RetryPolicy& policy) {
  const bool is_fixed = policy.backoff == RetryPolicy::Backoff::kFixed;
  return std::to_string(policy.max_retries) + " retries after " + Text(policy.delay_ms) +
         (is_fixed ? ""
                   : " times " + std::to_string(policy.multiplier) + " up to " +
                         Text(policy.max_delay_ms));
}
template <class T>
std::string Text(const std::optional<T>& value) {
  return value ? Text(*value) : "-";
}
std::string Text(const OptionalFence& fence) {
  return "fence " + Text(fence.lease_id) + "," + Text(fence.lease_epoch) + "," +
         Text(fence.attempt_id);
}

}  // namespace

void Call::Own() {
  std::size_t size = 0;
  ForEachField(any_, [&](const auto& field) { size += SizeOf(field); });
  const auto texts = std::make_shared<char[]>(size);
  Owner owner{texts.get(), capabilities_};
  std::visit(
      [&](auto& call) {
        std::apply([&](auto&... field) { (owner(field), ...); }, calls::FieldsOf(call.args));
      },
      any_);
  texts_ = texts;
}

std::string_view Call::name() const {
  return std::visit([](const auto& call) { return call.kName; }, any_);
}

ExecutionIdView Call::execution() const {
  ExecutionIdView id;
  ForEachField(any_, [&](const auto& field) {
    if constexpr (std::is_same_v<decltype(field), const ExecutionIdView&>) id = field;
  });
  return id;
}

WorkerIdentity Call::worker() const {
  WorkerIdentity worker;
  ForEachField(any_, [&](const auto& field) {
    if constexpr (std::is_same_v<decltype(field), const WorkerIdentity&>) worker = field;
  });
  return worker;
}

std::string Describe(const Call& call) {
  std::string text(call.name());
  ForEachField(call.any(), [&](const auto& field) { text += " " + Text(field); });
  return text + (call.in_batch ? " in a batch" : "");
}

}  // namespace ffgrant::testing
