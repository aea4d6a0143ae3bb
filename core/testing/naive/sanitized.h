// SPDX-License-Identifier: Apache-2.0
//
// Test only: whether a sanitizer slows this program down. Tests of random histories run fewer of
// them then. The same tests run all of them without a sanitizer, so what they find in results is
// found there; a sanitizer needs to see each line run, but not as often.

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
