// SPDX-License-Identifier: Apache-2.0

#include "harness/record_mutation.h"

#include <algorithm>
#include <cstring>

#include "harness/cutting.h"

namespace ffgrant::fuzz {
namespace {

// An input in the engine's memory, as whole records.
class Records {
 public:
  Records(const RecordFormat& format, std::uint8_t* data, std::size_t max_size)
      : format_(format),
        data_(data),
        room_(max_size < format.header
                  ? 0
                  : std::min(format.max_records, (max_size - format.header) / format.width)) {}

  // Takes over the bytes that are there, and completes the last record with zeros. Returns true if
  // there is no record.
  bool Adopt(std::size_t size) {
    const std::size_t body = size < format_.header ? 0 : size - format_.header;
    count_ = std::min(room_, (body + format_.width - 1) / format_.width);
    const std::size_t end = this->size();
    if (end > size) std::memset(data_ + size, 0, end - size);
    return count_ == 0;
  }

  std::size_t count() const { return count_; }
  bool full() const { return count_ == room_; }
  std::size_t size() const { return format_.header + count_ * format_.width; }
  std::span<std::uint8_t> header() { return {data_, format_.header}; }
  std::span<std::uint8_t> operator[](std::size_t i) {
    return {data_ + format_.header + i * format_.width, format_.width};
  }

  // Makes room for one record.
  std::span<std::uint8_t> Insert(std::size_t at) {
    std::memmove((*this)[at + 1].data(), (*this)[at].data(), (count_ - at) * format_.width);
    ++count_;
    return (*this)[at];
  }
  void Erase(std::size_t at, std::size_t n) {
    n = std::min(n, count_ - at);
    std::memmove((*this)[at].data(), (*this)[at + n].data(), (count_ - at - n) * format_.width);
    count_ -= n;
  }
  void Append(std::span<const std::uint8_t> record) {
    if (full()) return;
    std::copy(record.begin(), record.end(), (*this)[count_++].begin());
  }
  void Generate(Random& random) {
    if (format_.header != 0) format_.generate_header(random, header());
    count_ = 0;
    const std::size_t most = std::min<std::size_t>(room_, 1 + random.Below(32));
    while (count_ < most) {
      if (!random.OneIn(2) || !InsertRow(random, count_)) {
        format_.generate_record(random, (*this)[count_++]);
      }
    }
  }
  // Inserts a row of generated records. Returns false if the format generates no rows, or if there
  // is no room.
  bool InsertRow(Random& random, std::size_t at) {
    if (format_.generate_row == nullptr || room_ - count_ < RecordFormat::kMaxRow) return false;
    // The row is made at the end and then rotated to its place.
    const std::span<std::uint8_t> row(data_ + size(), RecordFormat::kMaxRow * format_.width);
    const std::size_t old_end = size();
    count_ += format_.generate_row(random, row);
    std::rotate(data_ + format_.header + at * format_.width, data_ + old_end, data_ + size());
    return true;
  }

 private:
  const RecordFormat& format_;
  std::uint8_t* data_;
  std::size_t room_;
  std::size_t count_ = 0;
};

// Makes an input shorter by taking out whole records, or sometimes any bytes.
std::size_t CutRecords(const RecordFormat& format, Random& random, std::uint8_t* data,
                       std::size_t size, std::size_t max_size) {
  if (max_size < format.header + format.width || random.OneIn(4)) {
    // Here the last record may lose its end.
    return random.OneIn(4) ? max_size : CutToFit(random, data, size, max_size);
  }
  return format.header + CutToFit(random, data + format.header, size - format.header,
                                  max_size - format.header, format.width);
}

// Mutates an input that has no room for a record.
std::size_t MutateBytes(Random& random, std::uint8_t* data, std::size_t size,
                        std::size_t max_size) {
  if (size == 0) {
    AnyBytes(random, {data, max_size});
    return max_size;
  }
  data[random.Below(size)] = static_cast<std::uint8_t>(random.Next());
  return size;
}

// Mutates a record or a header as mere bytes, without a change of its size.
void MutateByEngine(std::span<std::uint8_t> bytes) {
  if (LLVMFuzzerMutate == nullptr || bytes.empty()) return;
  const std::size_t size = LLVMFuzzerMutate(bytes.data(), bytes.size(), bytes.size());
  std::memset(bytes.data() + size, 0, bytes.size() - size);
}

void MutateRecord(const RecordFormat& format, Random& random, Records& records) {
  const std::size_t at = random.Below(records.count());
  const std::size_t other = random.Below(records.count());
  switch (random.Below(8)) {
    case 0:
      if (records.InsertRow(random, at)) break;
      [[fallthrough]];
    case 1:
      if (!records.full()) format.generate_record(random, records.Insert(random.Below(at + 1)));
      break;
    case 2:
      if (records.count() > 1) records.Erase(at, 1 + random.Below(random.OneIn(4) ? 8 : 1));
      break;
    case 3:  // repeats a record at another place
      if (!records.full()) {
        const std::span<std::uint8_t> hole = records.Insert(at);
        const std::span<std::uint8_t> from = records[other < at ? other : other + 1];
        std::copy(from.begin(), from.end(), hole.begin());
      }
      break;
    case 4:
      if (at != other) {
        std::swap_ranges(records[at].begin(), records[at].end(), records[other].begin());
      }
      break;
    case 5:
      format.generate_record(random, records[at]);
      break;
    case 6:
      records[at][random.Below(format.width)] = static_cast<std::uint8_t>(random.Next());
      break;
    default:
      MutateByEngine(records[at]);
      break;
  }
}

}  // namespace

std::size_t MutateRecords(const RecordFormat& format, std::uint8_t* data, std::size_t size,
                          std::size_t max_size, unsigned int seed) {
  Random random(seed);
  const bool minimising = size > max_size;
  if (minimising) {
    size = CutRecords(format, random, data, size, max_size);
    if (!random.OneIn(4)) return size;
  }
  if (max_size < format.header + format.width) return MutateBytes(random, data, size, max_size);
  Records records(format, data, max_size);
  if (records.Adopt(size) || (!minimising && random.OneIn(16))) {
    records.Generate(random);
    return records.size();
  }
  for (std::size_t edits = random.OneIn(2) ? 1 : 1 + random.Below(4); edits > 0; --edits) {
    if (records.count() == 0) {
      records.Generate(random);
    } else if (format.header != 0 && random.OneIn(2)) {
      if (random.OneIn(8)) {
        MutateByEngine(records.header());
      } else {
        format.mutate_header(random, records.header());
      }
    } else {
      MutateRecord(format, random, records);
    }
  }
  if (records.size() == 0) records.Generate(random);
  return records.size();
}

std::size_t CrossOverRecords(const RecordFormat& format, std::span<const std::uint8_t> a,
                             std::span<const std::uint8_t> b, std::uint8_t* out,
                             std::size_t max_out_size, unsigned int seed) {
  Random random(seed);
  const auto copy_one = [&] {
    const std::span<const std::uint8_t> from = a.empty() || (!b.empty() && random.OneIn(2)) ? b : a;
    const std::size_t size = std::min(from.size(), max_out_size);
    std::copy_n(from.begin(), size, out);
    return size;
  };
  if (max_out_size < format.header + format.width) return copy_one();
  const auto count = [&](std::span<const std::uint8_t> bytes) {
    return bytes.size() < format.header ? 0 : (bytes.size() - format.header) / format.width;
  };
  const auto record = [&](std::span<const std::uint8_t> bytes, std::size_t i) {
    return bytes.subspan(format.header + i * format.width, format.width);
  };
  Records records(format, out, max_out_size);
  records.Adopt(0);  // a header of zeros
  const std::span<const std::uint8_t> head = a.first(std::min(a.size(), format.header));
  std::copy(head.begin(), head.end(), records.header().begin());
  if (random.OneIn(4)) {  // records one by one, each from either input
    for (std::size_t i = 0; i < std::max(count(a), count(b)); ++i) {
      const std::span<const std::uint8_t> from = random.OneIn(2) ? a : b;
      if (i < count(from)) records.Append(record(from, i));
    }
    // If the format has no header, it can happen that no byte is left.
    return records.size() == 0 ? copy_one() : records.size();
  }
  const std::size_t cut = random.Below(count(a) + 1);
  const std::size_t begin = random.OneIn(2) ? 0 : random.Below(count(b) + 1);
  const std::size_t end = begin + random.Below(count(b) - begin + 1);
  for (std::size_t i = 0; i < cut; ++i) records.Append(record(a, i));
  for (std::size_t i = begin; i < end; ++i) records.Append(record(b, i));
  if (random.OneIn(2)) {
    for (std::size_t i = cut; i < count(a); ++i) records.Append(record(a, i));
  }
  return records.size() == 0 ? copy_one() : records.size();
}

}  // namespace ffgrant::fuzz
