// SPDX-License-Identifier: Apache-2.0
//
// Defines the interface that all peers of a figure share.
//
// A *figure* (in key_figures.h and the like) is a struct that describes one operation:
//
//   struct ParseThing {
//     static constexpr std::string_view kOp = "ParseThing";  // BM_<kOp>_...
//     static constexpr std::array<std::string_view, 2> kCases = {"valid", "wrong"};
//     using Value = std::optional<Thing>;      // what peers are compared by
//     static const TextSet& Inputs(std::size_t case_index);   // kInputCount
//     static std::string_view Describe(input); // for the message of a failure
//     static std::string_view Limit(std::size_t case_index, std::size_t i);
//   };
//
// A *peer* of a figure is a class that does the figure's operation once for each call, in the form
// that suits its library best. Its members hold the objects that the library advises to keep
// between calls:
//
//   struct Re2Thing {
//     static constexpr std::string_view kImpl = "Re2";       // BM_..._<kImpl>
//     auto operator()(std::string_view text);                // timed
//     static ParseThing::Value ValueOf(const Result& result); // not timed
//   };
//
// AddPeer<ParseThing, Re2Thing>(registry) compares the peer's value with core's on every input of
// every case and times the peer on each case. The value may point into the peer, and is valid until
// the peer's next call.
//
// The *limit* beside each case reads a little of each cache line that the operation reads. For a
// formatting operation (kFormats), it writes a little of each cache line that the operation writes.
// Limit() returns the text that is read or written. Nothing can be faster than the limit.

#ifndef FFGRANT_BENCH_PEERS_PEER_H_
#define FFGRANT_BENCH_PEERS_PEER_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "bench/bench_main.h"
#include "bench/inputs.h"
#include "bench/peers/registry.h"

namespace ffgrant::bench::peers {

// The type of a figure's inputs.
template <class Figure>
using InputOf = std::remove_cvref_t<decltype(Figure::Inputs(0)[0])>;

template <class P, class Figure>
concept PeerOf = requires(P& peer, const InputOf<Figure>& input) {
  { P::kImpl } -> std::convertible_to<std::string_view>;
  { P::ValueOf(peer(input)) } -> std::same_as<typename Figure::Value>;
};

// Returns how many inputs one repetition may have at most. A repetition has all inputs of its case,
// since the branch predictor would learn a smaller number of inputs. Only peers that take
// microseconds for each input have fewer: kInputsATurn.
template <class Peer>
constexpr std::size_t InputsATurn() {
  if constexpr (requires { Peer::kInputsATurn; }) {
    static_assert(kInputCount % Peer::kInputsATurn == 0);
    return Peer::kInputsATurn;
  } else {
    return kInputCount;
  }
}

// Returns how many inputs a case has: kInputCount, unless the figure has InputCount().
template <class Figure>
std::size_t InputCountOf(std::size_t which) {
  if constexpr (requires { Figure::InputCount(which); }) {
    return Figure::InputCount(which);
  } else {
    return kInputCount;
  }
}

// A base for peers whose result already is the value.
template <class Value>
struct ResultIsValue {
  static Value ValueOf(const Value& value) { return value; }
};

// Core's own implementation, which core_peer.h defines for each figure.
template <class Figure>
struct CorePeer;

template <class Figure, class Peer>
void CheckAgainstCore() {
  CorePeer<Figure> core;
  const auto peer = std::make_unique<Peer>();
  for (std::size_t which = 0; which < Figure::kCases.size(); ++which) {
    for (std::size_t i = 0; i < InputCountOf<Figure>(which); ++i) {
      const auto input = Figure::Inputs(which)[i];
      const auto expected_result = core(input);
      const auto result = (*peer)(input);
      const typename Figure::Value expected = CorePeer<Figure>::ValueOf(expected_result);
      if (expected != Peer::ValueOf(result)) {
        SelfCheckFailed(std::string(Figure::kOp) + ", " + std::string(Figure::kCases[which]) +
                            ": core and " + std::string(Peer::kImpl) + " differ",
                        Figure::Describe(input));
      }
    }
  }
}

// Calls `operation` for `times` inputs, from input `i` on. The last input is followed by the first
// one. Returns the index of the input that comes next. This function is not inlined, so that
// untimed calls run the same code as timed calls, and the compiler finds only one place at which to
// inline the operation.
template <class Set, class Operation>
[[gnu::noinline]] std::size_t RunInputs(const Set& set, std::size_t count, std::size_t i,
                                        std::size_t times, Operation& operation) {
  for (; times > 0; --times) {
    auto input = set[i];
    benchmark::DoNotOptimize(input);
    auto result = operation(input);
    benchmark::DoNotOptimize(result);
    i = i + 1 == count ? 0 : i + 1;
  }
  return i;
}

// Runs `operation` on the inputs of `set`: first untimed for ten milliseconds, then timed. A
// repetition uses each input at most once, so without the untimed run a peer would find the caches
// in the state in which the peer before it left them. Depending on this state, a peer that only
// looks at the beginnings of the texts took 30 ns or 6 ns.
template <class Set, class Operation>
void RunWarm(benchmark::State& state, const Set& set, std::size_t count, Operation operation) {
  std::size_t i = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
  while (std::chrono::steady_clock::now() < end) {
    i = RunInputs(set, count, i, 64, operation);
  }
  LoopCounters counters(state);
  while (state.KeepRunningBatch(state.max_iterations)) {
    RunInputs(set, count, 0, static_cast<std::size_t>(state.max_iterations), operation);
  }
  counters.Report();
}

template <class Figure, class Peer>
requires PeerOf<Peer, Figure>
void AddPeer(Registry& registry) {
  registry.AddCheck(CheckAgainstCore<Figure, Peer>);
  for (std::size_t which = 0; which < Figure::kCases.size(); ++which) {
    registry.AddTimed(
        Figure::kOp, Peer::kImpl, Figure::kCases[which],
        [which](benchmark::State& state) {
          const auto peer = std::make_unique<Peer>();
          RunWarm(state, Figure::Inputs(which), InputCountOf<Figure>(which),
                  [&](const auto& input) { return (*peer)(input); });
        },
        std::min(InputsATurn<Peer>(), InputCountOf<Figure>(which)));
  }
}

// Copies four bytes of each cache line of `text`, and its last four bytes. No code that writes a
// whole text can do less.
inline void CopySome(std::string_view text, char* to) {
  const std::size_t size = text.size();
  for (std::size_t i = 0; i + 4 < size; i += 64) std::memcpy(to + i, text.data() + i, 4);
  std::memcpy(to + size - 4, text.data() + size - 4, 4);
}

// Reads the bytes that CopySome() copies. No code that reads a whole text can do less.
inline std::uint32_t ReadSome(std::string_view text) {
  const std::size_t size = text.size();
  std::uint32_t sum;
  std::memcpy(&sum, text.data() + size - 4, 4);
  for (std::size_t i = 0; i + 4 < size; i += 64) {
    std::uint32_t word;
    std::memcpy(&word, text.data() + i, 4);
    sum |= word;
  }
  return sum;
}

// Whether the figure is a formatting figure: its operation writes the text of Limit().
template <class Figure>
concept Formats = requires {
  Figure::kFormats;
};

// Adds the limit of each case of a figure: CopySome() of Limit() for a formatting figure, and
// ReadSome() of Limit() for any other. A memcpy of the whole text would not be a limit, since other
// code can be faster: the text's size varies, and vector code can read 64 bytes without storing
// them.
template <class Figure>
void AddLimit(Registry& registry) {
  for (std::size_t which = 0; which < Figure::kCases.size(); ++which) {
    registry.AddTimed(
        Figure::kOp, "CacheLines", Figure::kCases[which],
        [which](benchmark::State& state) {
          std::vector<char> buffer(65536);
          std::vector<std::string_view> texts;
          for (std::size_t i = 0; i < InputCountOf<Figure>(which); ++i) {
            texts.push_back(Figure::Limit(which, i));
            SelfCheck(texts.back().size() >= 4 && texts.back().size() <= buffer.size(),
                      "the limit's buffer is too small", texts.back());
          }
          RunWarm(state, texts, texts.size(), [to = buffer.data()](std::string_view text) {
            if constexpr (Formats<Figure>) {
              CopySome(text, to);
              benchmark::DoNotOptimize(*to);
            } else {
              benchmark::DoNotOptimize(ReadSome(text));
            }
            return text.size();
          });
        },
        InputCountOf<Figure>(which));
  }
}

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_PEER_H_
