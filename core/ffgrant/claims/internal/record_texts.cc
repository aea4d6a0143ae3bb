// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/record_texts.h"

#include <cstring>

namespace ffgrant::internal {

RecordTexts::List RecordTexts::Load(Id id) const noexcept {
  List list;
  if (id != 0) pool_.Copy(id, 0, sizeof list, reinterpret_cast<char*>(list.data()));
  return list;
}

bool RecordTexts::Store(Id& id, const List& list) noexcept {
  bool is_empty = true;
  for (const Kept& kept : list) is_empty = is_empty && kept.size == 0;
  if (is_empty) {
    pool_.Free(id);
    id = 0;
    return true;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(list.data()), sizeof list);
  if (id == 0) {
    const TextPool::Place place = pool_.Keep(bytes);
    if (place == TextPool::kFull) return false;
    id = place;
  } else {
    pool_.Overwrite(id, bytes);
  }
  return true;
}

bool RecordTexts::Replace(Id& id, std::size_t first, const std::string_view* texts,
                          std::size_t count) noexcept {
  List list = Load(id);
  const List before = list;
  bool has_room = true;
  for (std::size_t i = 0; i < count; ++i) {
    Kept& kept = list[first + i];
    kept.place = has_room ? pool_.Keep(texts[i]) : 0;
    kept.size = static_cast<std::uint32_t>(texts[i].size());
    if (kept.place == TextPool::kFull) {
      has_room = false;
      kept.place = 0;
    }
  }
  has_room = has_room && Store(id, list);
  for (std::size_t i = first; i < first + count; ++i) {
    if (has_room) {
      Free(before[i]);
    } else {
      pool_.Free(list[i].place);
    }
  }
  return has_room;
}

void RecordTexts::Drop(Id& id, std::size_t first, std::size_t count) noexcept {
  if (id == 0) return;
  List list = Load(id);
  for (std::size_t i = first; i < first + count; ++i) {
    Free(list[i]);
    list[i] = {};
  }
  Store(id, list);
}

bool RecordTexts::SetGrant(Id& id, const GrantTexts& texts) noexcept {
  return Replace(id, static_cast<std::size_t>(RecordText::kGrantLane), texts.data(), kGrantKinds);
}

bool RecordTexts::SetLease(Id& id, std::string_view lane) noexcept {
  if (!Replace(id, static_cast<std::size_t>(RecordText::kLeaseLane), &lane, 1)) return false;
  DropGrant(id);
  return true;
}

void RecordTexts::DropGrant(Id& id) noexcept {
  Drop(id, static_cast<std::size_t>(RecordText::kGrantLane), kGrantKinds);
}

void RecordTexts::DropLease(Id& id) noexcept {
  Drop(id, static_cast<std::size_t>(RecordText::kLeaseLane), 1);
}

std::string RecordTexts::Text(Id id, RecordText kind) const {
  const Kept kept = Load(id)[static_cast<std::size_t>(kind)];
  std::string text(kept.size, '\0');
  pool_.Copy(kept.place, 0, kept.size, text.data());
  return text;
}

}  // namespace ffgrant::internal
