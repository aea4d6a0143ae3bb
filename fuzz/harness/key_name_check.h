// SPDX-License-Identifier: Apache-2.0
//
// Compares Valkey's key names (contract 3) with naive concatenation.

#ifndef FFGRANT_FUZZ_HARNESS_KEY_NAME_CHECK_H_
#define FFGRANT_FUZZ_HARNESS_KEY_NAME_CHECK_H_

#include "harness/value_choices.h"

namespace ffgrant::fuzz {

// Chooses the parts of the keys and one kind of key, and checks all keys of this kind.
void CheckKeyNames(ValueChoices& values);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_KEY_NAME_CHECK_H_
