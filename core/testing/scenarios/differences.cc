// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/differences.h"

namespace ffgrant::claims_conformance {

namespace {

// A claim may name another lane than the execution's (contract 7.7, 5). A function on a server
// changes the sets that KEYS name, which are those of the caller's lane, and does not know that the
// execution is in another lane's set. The embedded ledger knows in which set the execution is.
// FlowFabric's SDK always claims with the grant's lane, so this happens only if a worker errs.
constexpr std::string_view kOtherLane =
    "the functions take it out of the set of the caller's lane, which KEYS name";
// In edge 8 of valkey-functions.md, the reference does one half of a call; our functions refuse the
// call at the start.
constexpr std::string_view kHalf = "the reference writes before it checks (functions 5, edge 8)";

// FlowFabric's own client never sends a tag that is an object or a list: it sends only texts.
constexpr std::string_view kAddress = "the reference keeps a Lua table's address";

constexpr Difference kDifferences[] = {
    {"server", "flowfabric", "F2 create_keeps_tags_as_texts", "0 : an object", "*", kAddress},
    {"server", "flowfabric", "F2 create_keeps_tags_as_texts", "0 : an empty list", "*", kAddress},
    {"server", "", "7.2 claim_is_bound_by_the_worker_id_alone", "6 claim: state.in_eligible", "1",
     kOtherLane},
    {"server", "", "7.2 claim_is_bound_by_the_worker_id_alone", "6 claim: lane:lane2:eligible", "*",
     kOtherLane},
    {"server", "", "7.3 claim_resumed_needs_its_own_grant", "9 claim_resumed: state.in_eligible",
     "1", kOtherLane},
    {"server", "", "7.3 claim_resumed_needs_its_own_grant", "9 claim_resumed: lane:lane1:eligible",
     "*", kOtherLane},
    {"server", "", "7.6 reclaim_fails_for_good_in_its_own_lane", "6 reclaim: lane:lane1:active",
     "*", kOtherLane},
    {"server", "", "7.6 reclaim_checks_in_order", "23 reclaim: lane:lane6:active", "*", kOtherLane},

    {"server", "flowfabric", "F5 8_fractional_grant_ttl", "1 create: issue with ttl 50.5", "-ERR",
     kHalf},
    {"server", "flowfabric", "F5 8_fractional_grant_ttl", "1 create: what is left of ttl 50.5",
     "a grant without expiry", kHalf},
    {"server", "flowfabric", "F5 8_fractional_grant_ttl", "2 create: issue with ttl 1e-1", "-ERR",
     kHalf},
    {"server", "flowfabric", "F5 8_fractional_grant_ttl", "2 create: what is left of ttl 1e-1",
     "a grant without expiry", kHalf},
    {"server", "flowfabric", "F5 8_malformed_attempt_policy", "2 issue: the grant", "consumed",
     kHalf},
};

}  // namespace

std::span<const Difference> ReviewedDifferences() { return kDifferences; }

}  // namespace ffgrant::claims_conformance
