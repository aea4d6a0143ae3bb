// SPDX-License-Identifier: Apache-2.0
//
// The claim path as a function library for Valkey >= 7.2 and Redis >= 7.0. Its
// Lua sources, and the table of its calls, are in functions/ beside this file.
//
// KEYS, ARGV, replies and stored state of its calls are FlowFabric's; the names
// are ours: FlowFabric's `ff_x` is `ffgrant_x` here. The names of functions are
// unique on a server, whatever library they are in. A library that took `ff_x`
// would keep FlowFabric's own library from being loaded, and one that answered
// `ff_version` would make FlowFabric believe that it need not be.
//
// How a client finds out which functions to call, on each primary by itself:
//
//   FCALL ffgrant_version 0   a version below 4 is a library of ours that still
//                             has FlowFabric's names: FUNCTION LOAD REPLACE puts
//                             this one in its place, and the names are free
//   FCALL ff_version 0        "34", the contract that is followed here:
//                             FlowFabric's functions, ff_x, are called. Any other
//                             version may store something else: nothing is called,
//                             nothing is loaded, and Connect() says so
//   otherwise                 ours, ffgrant_x. FUNCTION LOAD where they are
//                             missing, FUNCTION LOAD REPLACE where they are older
//
// So FlowFabric's functions are preferred where a server has both, which changes
// nothing in what is stored. If FlowFabric's library comes later, ours stays beside
// it, and a client that has begun with ours goes on with ours.
//
// A cluster does not spread functions: each primary is asked, and asked again when
// it answers "ERR Function not found".

#ifndef FFGRANT_VALKEY_FUNCTION_LIBRARY_H_
#define FFGRANT_VALKEY_FUNCTION_LIBRARY_H_

#include <string_view>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

// The library's name in FUNCTION LIST.
inline constexpr std::string_view kFunctionLibraryName = "ffgrant";

// What `ffgrant_version` answers: a decimal number, higher is newer.
inline constexpr std::string_view kFunctionLibraryVersion = "5";

// What FlowFabric's `ff_version` answers where its functions take the KEYS and
// ARGV that are sent, in FlowFabric's counting. FlowFabric raises it whenever KEYS
// or ARGV of any function change, and its own loader accepts no other version.
inline constexpr std::string_view kFunctionContractVersion = "34";

// The argument of FUNCTION LOAD. Static storage; safe from any thread.
std::string_view FunctionLibrarySource() noexcept;

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_FUNCTION_LIBRARY_H_
