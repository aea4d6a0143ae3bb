// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/claim_pipeline.h"

#include <array>
#include <cassert>
#include <utility>
#include <vector>

#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/internal/argument_checks.h"
#include "ffgrant/valkey/internal/claim_commands.h"
#include "ffgrant/valkey/internal/claim_replies.h"
#include "ffgrant/valkey/internal/client.h"
#include "ffgrant/valkey/internal/pipeline_functions.h"

namespace ffgrant::valkey {

using internal::Reply;

class ClaimPipeline::Impl {
 public:
  Impl(const ClientOptions& options, const ClaimDefaults& defaults)
      : defaults_(defaults), client_(options, internal::MakeNetwork(options)) {
    internal::CheckDefaults(defaults);
    calls_.resize(options.max_in_flight);
    free_.reserve(calls_.size());
    for (std::size_t i = calls_.size(); i > 0; --i) {
      free_.push_back(static_cast<std::uint32_t>(i - 1));
    }
    done_.reserve(calls_.size());
    taken_.reserve(calls_.size());
    last_error_.reserve(256);
  }
  ~Impl() { client_.Close(); }

  // A call under way: its tag and kind, and the ids that are needed to read its answer.
  struct CallInFlight {
    std::uint64_t tag = 0;
    Call call = Call::kCreate;
    LeaseId lease_id;
    AttemptId attempt_id;
    ExecutionIdView id;  // views id_text
    std::array<char, kMaxExecutionIdSize> id_text;
  };

  template <class Write>
  bool Submit(Call call, const ExecutionIdView& id, std::uint64_t tag, ClaimError refusal,
              const LeaseId& lease_id, const AttemptId& attempt_id, const Write& write) {
    if (done_.size() + client_.in_flight() >= calls_.size()) return false;
    if (refusal != ClaimError::kNone) {
      Completion done;
      done.error = refusal;
      done.tag = tag;
      done.call = call;
      done_.push_back(done);
      return true;
    }
    const std::uint32_t number = free_.back();
    CallInFlight& in_flight = calls_[number];
    in_flight.tag = tag;
    in_flight.call = call;
    in_flight.lease_id = lease_id;
    in_flight.attempt_id = attempt_id;
    id.text().copy(in_flight.id_text.data(), in_flight.id_text.size());
    in_flight.id =
        ParseExecutionId({in_flight.id_text.data(), id.text().size()}, ParseMode::kStrict).id;
    const internal::CallTarget target = {
        .self = this, .on_reply = &OnReply, .on_failure = &OnFailure, .tag = number};
    // The client's Submit() never returns false here: it takes as many commands as calls_ has
    // entries.
    (void)client_.Submit(HashSlot(id.partition()), false, target, write);
    free_.pop_back();  // not earlier, because Submit() may throw
    return true;
  }

  std::span<const Completion> Poll(std::int64_t timeout_ms) noexcept {
    if (client_.in_flight() > 0) client_.Poll(done_.empty() ? timeout_ms : 0);
    client_.TellLog();
    std::swap(done_, taken_);
    done_.clear();
    return taken_;
  }

  static bool OnReply(void* self, std::uint64_t number, const Reply& reply) noexcept {
    return static_cast<Impl*>(self)->Answered(static_cast<std::uint32_t>(number), reply);
  }

  static void OnFailure(void* self, std::uint64_t number, internal::CallFailure failure,
                        std::string_view text) noexcept {
    auto& impl = *static_cast<Impl*>(self);
    Completion done;
    done.error = failure == internal::CallFailure::kUnavailable ? ClaimError::kUnavailable
                                                                : ClaimError::kUnknownOutcome;
    impl.last_error_.assign(text.substr(0, 256));
    impl.Complete(static_cast<std::uint32_t>(number), done);
  }

  bool Answered(std::uint32_t number, const Reply& reply) noexcept {
    Completion done;
    if (!Read(calls_[number], reply, done)) return false;
    if (done.error == ClaimError::kUnknownCode || done.error == ClaimError::kUnknownOutcome) {
      last_error_.assign(reply.is(Reply::Type::kError)
                             ? reply.text.substr(0, 256)
                             : reply.TextAt(1).value_or("").substr(0, 256));
    }
    Complete(number, done);
    return true;
  }

  static bool Read(const CallInFlight& call, const Reply& reply, Completion& done) noexcept {
    switch (call.call) {
      case Call::kCreate: {
        CreateOutcome outcome;
        if (!ReadCreate(reply, call.id, nullptr, outcome)) return false;
        done.error = outcome.error;
        done.created = outcome.status;
        return true;
      }
      case Call::kIssue: {
        IssueOutcome outcome;
        if (!ReadIssue(reply, call.id.text(), false, nullptr, outcome)) return false;
        done.error = outcome.error;
        return true;
      }
      case Call::kClaim:
      case Call::kIssueAndClaim: {
        ClaimOutcome outcome;
        const bool read =
            call.call == Call::kClaim
                ? ReadClaim(reply, call.lease_id, call.attempt_id, nullptr, outcome)
                : ReadIssueAndClaim(reply, call.lease_id, call.attempt_id, nullptr, outcome);
        done.error = outcome.error;
        done.lease = outcome.lease;
        return read;
      }
      case Call::kRenew: {
        RenewOutcome outcome;
        if (!ReadRenew(reply, nullptr, outcome)) return false;
        done.error = outcome.error;
        done.expires_at = outcome.expires_at;
        return true;
      }
      case Call::kComplete: {
        Outcome outcome;
        if (!ReadWord(reply, "completed", nullptr, outcome)) return false;
        done.error = outcome.error;
        return true;
      }
    }
    // Never reached: each kind of call has a reader, which debug builds check.
    return assert(false && "a call that nobody reads the reply of"), false;
  }

  std::string_view& function(Call call) noexcept {
    return functions_[static_cast<std::size_t>(call)];
  }

  void Complete(std::uint32_t number, Completion& done) noexcept {
    done.tag = calls_[number].tag;
    done.call = calls_[number].call;
    done_.push_back(done);  // done_ has room for it
    free_.push_back(number);
  }

  ClaimDefaults defaults_;
  std::array<std::string_view, static_cast<std::size_t>(Call::kComplete) + 1> functions_;
  std::vector<CallInFlight> calls_;
  std::vector<std::uint32_t> free_;
  std::vector<Completion> done_;
  std::vector<Completion> taken_;
  std::string scratch_;
  std::string last_error_;
  internal::CoreHints hints_;
  internal::Client client_;
};

ClaimPipeline::ClaimPipeline(const ClientOptions& options, const ClaimDefaults& defaults)
    : impl_(std::make_unique<Impl>(options, defaults)) {}
ClaimPipeline::~ClaimPipeline() = default;

bool ClaimPipeline::SubmitCreate(const CreateExecutionArgs& args, std::string_view payload,
                                 std::uint64_t tag) {
  Impl& m = *impl_;
  return m.Submit(Call::kCreate, args.execution_id, tag,
                  internal::CheckCreate(args, m.defaults_.partitions, nullptr), {}, {},
                  [&](internal::RespCommand& command) {
                    WriteCreate(command, args, {.payload = payload}, m.defaults_, m.scratch_);
                  });
}

bool ClaimPipeline::SubmitIssue(const IssueGrantArgs& args, std::uint64_t tag) {
  Impl& m = *impl_;
  const std::string_view function = m.function(Call::kIssue);
  return m.Submit(Call::kIssue, args.execution_id, tag,
                  internal::CheckTtlAndId(args.grant_ttl_ms, "grant_ttl_ms is out of range",
                                          args.execution_id, m.defaults_.partitions, nullptr),
                  {}, {},
                  [&](internal::RespCommand& command) { WriteIssue(command, args, function); });
}

bool ClaimPipeline::SubmitClaim(const ClaimArgs& args, std::uint64_t tag) {
  Impl& m = *impl_;
  const std::string_view function = m.function(Call::kClaim);
  return m.Submit(Call::kClaim, args.execution_id, tag,
                  internal::CheckTtlAndId(args.lease_ttl_ms, "lease_ttl_ms is out of range",
                                          args.execution_id, m.defaults_.partitions, nullptr),
                  args.lease_id, args.attempt_id,
                  [&](internal::RespCommand& command) { WriteClaim(command, args, function); });
}

bool ClaimPipeline::SubmitIssueAndClaim(const ClaimArgs& args, std::uint64_t tag) {
  Impl& m = *impl_;
  const std::string_view function = m.function(Call::kIssueAndClaim);
  return m.Submit(Call::kIssueAndClaim, args.execution_id, tag,
                  internal::CheckTtlAndId(args.lease_ttl_ms, "lease_ttl_ms is out of range",
                                          args.execution_id, m.defaults_.partitions, nullptr),
                  args.lease_id, args.attempt_id, [&](internal::RespCommand& command) {
                    WriteIssueAndClaim(command, args, function);
                  });
}

bool ClaimPipeline::SubmitRenew(const RenewArgs& args, std::uint64_t tag) {
  Impl& m = *impl_;
  return m.Submit(Call::kRenew, args.execution_id, tag,
                  internal::CheckTtlAndId(args.lease_ttl_ms, "lease_ttl_ms is out of range",
                                          args.execution_id, m.defaults_.partitions, nullptr),
                  {}, {},
                  [&](internal::RespCommand& command) { WriteRenew(command, args, m.defaults_); });
}

bool ClaimPipeline::SubmitComplete(const CompleteArgs& args, const Holder& holder,
                                   std::uint64_t tag, std::string_view result) {
  Impl& m = *impl_;
  const std::string_view function = m.function(Call::kComplete);
  m.hints_.attempt_index = holder.attempt_index.value;
  m.hints_.current_lane.assign(holder.lane.text());
  m.hints_.worker_instance_id.assign(holder.worker_instance_id.text);
  return m.Submit(Call::kComplete, args.execution_id, tag,
                  internal::CheckId(args.execution_id, m.defaults_.partitions), {}, {},
                  [&](internal::RespCommand& command) {
                    WriteComplete(command, args, m.hints_, function, result);
                  });
}

std::span<const ClaimPipeline::Completion> ClaimPipeline::Poll(std::int64_t timeout_ms) noexcept {
  return impl_->Poll(timeout_ms);
}

int ClaimPipeline::descriptor() noexcept { return impl_->client_.Descriptor(); }
int ClaimPipeline::PrepareWait() noexcept {
  const int ms = impl_->client_.PrepareWait();
  return impl_->done_.empty() ? ms : 0;
}
void ClaimPipeline::CancelAll() noexcept { impl_->client_.Cancel(); }
ClientCounters ClaimPipeline::counters() const noexcept {
  ClientCounters sum;
  impl_->client_.counts().AddTo(sum);
  return sum;
}

void internal::PipelineFunctions::Use(ClaimPipeline& pipeline, ClaimPipeline::Call call,
                                      std::string_view function) noexcept {
  pipeline.impl_->function(call) = function;
}

std::size_t ClaimPipeline::in_flight() const noexcept { return impl_->client_.in_flight(); }
std::size_t ClaimPipeline::capacity() const noexcept { return impl_->calls_.size(); }
std::string_view ClaimPipeline::last_error() const noexcept { return impl_->last_error_; }
const ServerInfo& ClaimPipeline::server() const noexcept { return impl_->client_.server(); }
std::uint64_t ClaimPipeline::redirections() const noexcept { return impl_->client_.redirections(); }
std::uint64_t ClaimPipeline::connects() const noexcept { return impl_->client_.connects(); }

}  // namespace ffgrant::valkey
