// SPDX-License-Identifier: Apache-2.0
//
// Turns ids into text: IdText() serves any sink, and operator<< serves streams, without <ostream>.
// For std::format see id_format.h.

#ifndef FFGRANT_ID_TEXT_H_
#define FFGRANT_ID_TEXT_H_

#include <concepts>
#include <cstdint>
#include <iosfwd>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/ids.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition.h"
#include "ffgrant/partition_key.h"
#include "ffgrant/uuid.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// The canonical text of a uuid, held by value.
class UuidText {
 public:
  explicit UuidText(const Uuid& uuid) noexcept { FormatUuid(uuid, bytes_); }
  // Valid while this object lives.
  std::string_view view() const noexcept { return {bytes_, kUuidTextSize}; }

 private:
  char bytes_[kUuidTextSize];
};

// Returns the text of an id as the wire has it, or the number of a counter. The result is a
// std::string_view if the id stores its text, a number for a counter, and for all other ids an
// object whose view() gives the text. Allocates nothing.
//
//   IdText(Uuid{}).view() == "00000000-0000-0000-0000-000000000000"
inline UuidText IdText(const Uuid& uuid) noexcept { return UuidText(uuid); }
template <class Tag>
UuidText IdText(const UuidId<Tag>& id) noexcept {
  return UuidText(id.uuid);
}
template <class Tag>
constexpr std::string_view IdText(const NameView<Tag>& name) noexcept {
  return name.text;
}
template <class Tag, class Rep>
constexpr Rep IdText(const Counter<Tag, Rep>& counter) noexcept {
  return counter.value;
}
constexpr std::string_view IdText(const LaneIdView& lane) noexcept { return lane.text(); }
constexpr std::string_view IdText(const ExecutionIdView& id) noexcept { return id.text(); }
inline std::string_view IdText(const ExecutionId& id) noexcept { return id.text(); }
std::string_view IdText(ExecutionId&&) = delete;  // would point into a dead object
inline std::string_view IdText(const MintedExecutionId& id) noexcept { return id.text(); }
std::string_view IdText(MintedExecutionId&&) = delete;
inline PartitionTag IdText(Partition partition) noexcept { return PartitionTag(partition); }
inline std::string_view IdText(const PartitionKey& key) noexcept { return key.text(); }
std::string_view IdText(PartitionKey&&) = delete;

// Types that IdText() takes.
template <class T>
concept Id = requires(const T& id) {
  IdText(id);
};

// Writes IdText(id). The caller must include <ostream>, which this template needs only where it is
// instantiated.
template <Id T, class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, const T& id) {
  if constexpr (requires { IdText(id).view(); }) {
    return out << IdText(id).view();
  } else {
    return out << IdText(id);
  }
}

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_ID_TEXT_H_
