// SPDX-License-Identifier: Apache-2.0

#include "harness/json_mutation.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "harness/cutting.h"
#include "harness/engine.h"
#include "harness/json_generation.h"
#include "harness/text_mutation.h"

namespace ffgrant::fuzz {
namespace {

constexpr std::size_t kNone = ~std::size_t{0};

// A value, together with its name if it is the value of a member.
struct Item {
  std::size_t name = kNone;  // where the name's quote is
  std::size_t name_end = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t parent = kNone;

  std::size_t whole() const { return name == kNone ? begin : name; }
};

std::size_t StringEnd(std::string_view json, std::size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] == '\\') ++at;
  }
  return std::min(at + 1, json.size());
}

// Returns everything that looks like a value, ordered by where it begins.
std::vector<Item> FindItems(std::string_view json) {
  constexpr std::string_view kPunctuation = " \t\r\n,:[]{}\"";
  std::vector<Item> items;
  std::vector<std::size_t> open;
  std::size_t name = kNone;
  std::size_t name_end = 0;
  for (std::size_t at = 0; at < json.size();) {
    const char c = json[at];
    if (c == ']' || c == '}') {
      ++at;
      if (open.empty()) continue;
      items[open.back()].end = at;
      open.pop_back();
      continue;
    }
    if (kPunctuation.substr(0, 6).find(c) != std::string_view::npos) {
      ++at;
      continue;
    }
    std::size_t end = at + 1;
    if (c == '"') {
      end = StringEnd(json, at);
      const std::size_t next = json.find_first_not_of(" \t\r\n", end);
      if (next != std::string_view::npos && json[next] == ':') {
        name = at;
        name_end = end;
        at = next + 1;
        continue;
      }
    } else if (c != '[' && c != '{') {
      end = std::min(json.find_first_of(kPunctuation, at), json.size());
    }
    items.push_back({name, name_end, at, end, open.empty() ? kNone : open.back()});
    name = kNone;
    if (c == '[' || c == '{') {
      items.back().end = json.size();
      open.push_back(items.size() - 1);
    }
    at = end;
  }
  return items;
}

std::string Part(std::string_view json, std::size_t begin, std::size_t end) {
  return std::string(json.substr(begin, end - begin));
}

// Erases the item together with the comma before it or after it.
void EraseItem(std::string& json, const Item& item) {
  std::size_t begin = item.whole();
  std::size_t end = item.end;
  const std::size_t comma = begin == 0 ? kNone : json.find_last_not_of(" \t\r\n", begin - 1);
  if (comma != kNone && json[comma] == ',') {
    begin = comma;
  } else if (end < json.size() && json[end] == ',') {
    ++end;
  }
  json.erase(begin, end - begin);
}

void SwapItems(std::string& json, const Item& a, const Item& b) {
  const Item& first = a.begin < b.begin ? a : b;
  const Item& second = a.begin < b.begin ? b : a;
  if (first.end > second.whole()) return;  // the first item contains the second
  const std::string moved = Part(json, first.whole(), first.end);
  const std::string other = Part(json, second.whole(), second.end);
  json.replace(second.whole(), second.end - second.whole(), moved);
  json.replace(first.whole(), first.end - first.whole(), other);
}

// Turns an object into an array of its members' values, or an array into an object.
void ChangeForm(std::string& json, const std::vector<Item>& items, std::size_t container,
                std::span<const NaiveField> fields) {
  const Item& outer = items[container];
  if (outer.end <= outer.begin + 1 || outer.end > json.size()) return;
  const bool object = json[outer.begin] == '{';
  std::string changed(1, object ? '[' : '{');
  std::size_t count = 0;
  for (const Item& item : items) {
    if (item.parent != container) continue;
    if (count > 0) changed += ',';
    if (!object) {
      changed += '"';
      if (count < fields.size()) changed += fields[count].name;
      changed += "\":";
    }
    changed += json.substr(item.begin, item.end - item.begin);
    ++count;
  }
  changed += object ? ']' : '}';
  json.replace(outer.begin, outer.end - outer.begin, changed);
}

void EditNumber(Random& random, std::string& json, const Item& item) {
  constexpr std::string_view kAdded[] = {"0", "1", "9", ".", "e", "-", "+", ".0", "e0", "e-1"};
  const std::size_t at = item.begin + random.Below(item.end - item.begin + 1);
  if (random.OneIn(2)) {
    json.insert(at, kAdded[random.Below(std::size(kAdded))]);
  } else if (at < item.end) {
    json[at] = static_cast<char>('0' + random.Below(10));
  }
}

void EditString(Random& random, std::string& json, const Item& item) {
  // The place is within the quotes.
  const std::size_t at =
      item.begin + 1 + random.Below(std::max<std::size_t>(1, item.end - item.begin - 1));
  if (at >= json.size()) return;
  if (random.OneIn(2)) {
    const std::string added = SomeString(random);
    json.insert(at, added, 1, added.size() - 2);
  } else if (json[at] != '"' && json[at] != '\\') {
    const std::string spelt = Spelt(random, std::string_view(json).substr(at, 1), 1);
    json.replace(at, 1, spelt, 1, spelt.size() - 2);
  }
}

void EditName(Random& random, NaiveDto dto, std::string& json, const Item& item) {
  const std::span<const NaiveField> variants = NaiveVariants(dto);
  const NaiveField& variant = variants[random.Below(variants.size())];
  const std::span<const NaiveField> fields = variant.fields;
  const std::size_t pick = random.Below(fields.size() + 2);
  const std::string_view name = pick < fields.size()    ? fields[pick].name
                                : pick == fields.size() ? std::string_view("status")
                                                        : variant.name;
  json.replace(item.name, item.name_end - item.name, Spelt(random, name, 8));
}

void EditBytes(Random& random, std::string& json) {
  constexpr std::string_view kAlphabet = "{}[]\",:\\u0129-+.eEtfn \t\n\r\f/dDaA";
  // A parser that looks at a whole document at once decides by the last byte whether it may, so the
  // last byte is changed more often than others.
  const std::size_t at =
      !json.empty() && random.OneIn(8) ? json.size() - 1 : random.Below(json.size() + 1);
  const char symbol = random.OneIn(4) ? static_cast<char>(random.Below(256))
                                      : kAlphabet[random.Below(kAlphabet.size())];
  switch (random.Below(5)) {
    case 0:
      if (at < json.size()) json[at] = symbol;
      break;
    case 1:
      json.insert(at, 1, symbol);
      break;
    case 2:
      json.erase(at, 1 + random.Below(3));
      break;
    case 3:
      json.resize(at);
      break;
    default:
      std::uint8_t bytes[512];
      const std::size_t size = std::min(json.size() - at, sizeof bytes / 2);
      TextBuffer text(bytes, 0, sizeof bytes);
      text.Append(std::string_view(json).substr(at, size));
      text.MutateByEngine(0);
      json.replace(at, size, text.view());
      break;
  }
}

void EditItem(Random& random, NaiveDto dto, std::string& json, const std::vector<Item>& items) {
  const std::size_t index = random.Below(items.size());
  const Item& item = items[index];
  const Item& other = items[random.Below(items.size())];
  const std::size_t size = item.end - item.begin;
  switch (random.Below(12)) {
    case 0:
      return SwapItems(json, item, other);
    case 1:
      json.insert(other.whole(), Part(json, item.whole(), item.end) + ',');
      return;
    case 2:
      return EraseItem(json, item);
    case 3:
      json.replace(item.begin, size, SomeValue(random));
      return;
    case 4:
      json.replace(item.begin, size, Part(json, other.begin, other.end));
      return;
    case 5:
      if (item.name != kNone) EditName(random, dto, json, item);
      return;
    case 6: {
      const std::span<const NaiveField> variants = NaiveVariants(dto);
      return ChangeForm(json, items, item.parent == kNone ? index : item.parent,
                        variants[random.Below(variants.size())].fields);
    }
    case 7: {
      constexpr std::string_view kSpaces[] = {" ", "\t", "\n", "\r", "  ", "\f", "\v", "/**/"};
      json.insert(random.OneIn(2) ? item.whole() : item.end,
                  kSpaces[random.Below(std::size(kSpaces))]);
      return;
    }
    case 8: {  // adds one member or element
      const std::string value = random.OneIn(2) ? SomeValue(random) : Nested(random, 3);
      json.insert(item.whole(), item.name == kNone ? value + "," : "\"x\":" + value + ",");
      return;
    }
    case 9:
      json.insert(item.end, "]");
      json.insert(item.begin, "[");
      return;
    default:
      if (json[item.begin] == '"') return EditString(random, json, item);
      if (json[item.begin] != '{' && json[item.begin] != '[') EditNumber(random, json, item);
      return;
  }
}

// Makes the document fit into `max_size` bytes: mostly takes out members and elements, sometimes
// any bytes.
void CutJson(Random& random, std::string& json, std::size_t max_size) {
  const bool by_items = !random.OneIn(3);
  for (int attempts = 4; by_items && attempts > 0 && json.size() > max_size; --attempts) {
    const std::vector<Item> items = FindItems(json);
    if (items.size() < 2) break;
    EraseItem(json, items[1 + random.Below(items.size() - 1)]);
  }
  if (json.size() <= max_size) return;
  json.resize(
      CutToFit(random, reinterpret_cast<std::uint8_t*>(json.data()), json.size(), max_size));
}

}  // namespace

void MutateJson(Random& random, NaiveDto dto, std::string& json, std::size_t max_size) {
  if (json.size() > max_size) {
    CutJson(random, json, max_size);
    if (!random.OneIn(4)) return;
  }
  if (json.empty() || random.OneIn(6)) {
    json = GenerateDocument(random, dto);
    return;
  }
  for (std::size_t edits = random.OneIn(2) ? 1 : 1 + random.Below(4); edits > 0; --edits) {
    const std::vector<Item> items = FindItems(json);
    if (items.empty() || random.OneIn(4)) {
      EditBytes(random, json);
    } else {
      EditItem(random, dto, json, items);
    }
  }
  if (json.empty()) json = "{";
}

std::string CrossOverJson(Random& random, std::string_view a, std::string_view b) {
  const std::vector<Item> into = FindItems(a);
  const std::vector<Item> from = FindItems(b);
  std::string json(a);
  if (into.empty() || from.empty() || random.OneIn(4)) {
    json.resize(random.Below(json.size() + 1));
    json += b.substr(random.Below(b.size() + 1));
    if (json.empty()) json = a.empty() ? b : a;
    return json;
  }
  const Item& to = into[random.Below(into.size())];
  const Item& part = from[random.Below(from.size())];
  if (random.OneIn(2)) {
    json.replace(to.begin, to.end - to.begin, Part(b, part.begin, part.end));
  } else {
    json.insert(to.whole(), Part(b, part.whole(), part.end) + ',');
  }
  return json;
}

std::size_t StoreText(std::string_view text, std::uint8_t* out, std::size_t max_size) {
  const std::size_t size = std::min(text.size(), max_size);
  if (size != 0) std::memcpy(out, text.data(), size);
  return size;
}

}  // namespace ffgrant::fuzz
