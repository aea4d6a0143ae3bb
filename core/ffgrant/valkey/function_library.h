// SPDX-License-Identifier: Apache-2.0
//
// The function library serves the claim path on Valkey >= 7.2 and Redis >= 7.0. Its Lua sources,
// and the table of its calls, are in functions/ beside this file.
//
// KEYS, ARGV, replies and stored state of its calls are FlowFabric's. The names are ours: what
// FlowFabric calls `ff_x` is `ffgrant_x` here. The name of a function is unique on a server,
// whatever library the function is in. So a library with functions named `ff_x` would keep
// FlowFabric's own library from being loaded, and a library that answered `ff_version` would make
// FlowFabric believe that it need not load its own.
//
// A client asks each primary separately, and finds out in this way which functions to call. It
// loads and replaces functions only with ClientOptions::load_library.
//
//   FCALL ffgrant_version 0   A version below 4 is a library of ours that still has
//                             FlowFabric's names. FUNCTION LOAD REPLACE puts this library in
//                             its place, and FlowFabric's names are free again.
//   FCALL ff_version 0        If it answers one of ClientOptions::contract_versions (by default
//                             only "34", the contract that this library follows), the client
//                             calls FlowFabric's functions, ff_x. Functions of any other version
//                             may store something else: the client calls nothing and loads
//                             nothing, and Connect() says so.
//   without ff_version        The client calls our functions, ffgrant_x. It first sends FUNCTION
//                             LOAD where they are missing, or FUNCTION LOAD REPLACE where they
//                             are older than the client's.
//
// So FlowFabric's functions are preferred where a server has both libraries. Both store the same.
// If FlowFabric's library comes later, ours stays beside it, and a client that has begun with ours
// goes on with ours until its connection ends. The client asks a primary again when the primary
// answers "ERR Function not found".

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

// What FlowFabric's `ff_version` answers if FlowFabric's functions take the KEYS and ARGV that we
// send. The number is FlowFabric's own: FlowFabric raises it whenever KEYS or ARGV of any function
// change, and FlowFabric's loader accepts no version but its own.
inline constexpr std::string_view kFunctionContractVersion = "34";

// Returns the argument of FUNCTION LOAD. The text is in static storage. May be called from any
// thread.
std::string_view FunctionLibrarySource() noexcept;

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_FUNCTION_LIBRARY_H_
