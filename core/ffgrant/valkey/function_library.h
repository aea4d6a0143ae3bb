// SPDX-License-Identifier: Apache-2.0
//
// The claim path as a function library for Valkey >= 7.2 and Redis >= 7.0. Its
// Lua sources, and the table of its calls, are in functions/ beside this file.
//
// How a client makes sure that every primary has the functions:
//
//   FCALL ffgrant_version 0   our library answers with its version: equal, or
//                             newer, is used as it is; older is replaced by
//                             FUNCTION LOAD REPLACE
//   FCALL ff_version 0        if only this one answers, the functions are
//                             somebody else's (FlowFabric's own) and are used
//                             untouched
//   FUNCTION LOAD             if neither does, without REPLACE: a library that
//                             came in between is then never overwritten
//
// A cluster does not spread functions: load them on every primary, and again on
// one that answers "ERR Function not found".

#ifndef FFGRANT_VALKEY_FUNCTION_LIBRARY_H_
#define FFGRANT_VALKEY_FUNCTION_LIBRARY_H_

#include <string_view>

namespace ffgrant::valkey {

// The library's name in FUNCTION LIST.
inline constexpr std::string_view kFunctionLibraryName = "ffgrant";

// What `ffgrant_version` answers: a decimal number, higher is newer.
inline constexpr std::string_view kFunctionLibraryVersion = "3";

// What `ff_version` answers: the contract that KEYS and ARGV follow, in the
// reference's counting.
inline constexpr std::string_view kFunctionContractVersion = "34";

// The argument of FUNCTION LOAD. Static storage; safe from any thread.
std::string_view FunctionLibrarySource() noexcept;

}  // namespace ffgrant::valkey

#endif  // FFGRANT_VALKEY_FUNCTION_LIBRARY_H_
