// SPDX-License-Identifier: Apache-2.0
//
// Test only: tells whether a sanitizer slows this program down. If so, tests of random histories
// run fewer histories. Without a sanitizer the same tests run all histories, and these runs find
// wrong results. A sanitizer needs to see each line run, but not as often.

#ifndef FFGRANT_TESTING_NAIVE_SANITIZED_H_
#define FFGRANT_TESTING_NAIVE_SANITIZED_H_

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FFGRANT_IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define FFGRANT_IS_SANITIZED true
#endif
#endif
#ifndef FFGRANT_IS_SANITIZED
#define FFGRANT_IS_SANITIZED false
#endif

namespace ffgrant::testing {

inline constexpr bool kIsSanitized = FFGRANT_IS_SANITIZED;

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_SANITIZED_H_
