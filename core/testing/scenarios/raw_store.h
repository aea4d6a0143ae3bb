// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes the keys of an engine that has keys, without its ledger: to see the values that
// are really stored, and to make states that no call leads to.

#ifndef FFGRANT_TESTING_SCENARIOS_RAW_STORE_H_
#define FFGRANT_TESTING_SCENARIOS_RAW_STORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ffgrant::claims_conformance {

using Fields = std::map<std::string, std::string>;

// The keys of one execution that are to be read together.
struct Wanted {
  std::vector<std::string> hashes;                           // with their expiries
  std::vector<std::pair<std::string, std::string>> scores;   // key, member
  std::vector<std::pair<std::string, std::string>> members;  // key, member; of plain sets
  std::vector<std::string> streams;
};

// The stored values of all keys in Wanted, under the same names. Times are in ms; an absent value
// is empty.
struct Snapshot {
  std::map<std::string, Fields> hashes;
  std::map<std::string, std::optional<std::int64_t>> expiries;
  std::map<std::pair<std::string, std::string>, std::optional<double>> scores;
  std::map<std::pair<std::string, std::string>, bool> members;
  std::map<std::string, std::vector<Fields>> streams;
};

// Is not thread-safe. Throws std::runtime_error if a server doesn't answer, or answers with an
// error where none is expected.
class RawStore {
 public:
  virtual ~RawStore() = default;

  virtual Fields Hash(const std::string& key) = 0;  // empty: no such key
  // An absolute time in ms; empty if the key has no expiry or doesn't exist.
  virtual std::optional<std::int64_t> ExpireTime(const std::string& key) = 0;
  virtual bool Exists(const std::string& key) = 0;
  virtual std::optional<double> Score(const std::string& key, const std::string& member) = 0;
  virtual Snapshot Read(const Wanted& wanted) = 0;
  // Returns type, content and expiry of a key as one text, so that a change of the key can be seen.
  virtual std::string Describe(const std::string& key) = 0;

  virtual void SetField(const std::string& key, const std::string& field,
                        const std::string& value) = 0;
  virtual void SetText(const std::string& key, const std::string& text) = 0;
  virtual void Persist(const std::string& key) = 0;
  virtual void Delete(const std::string& key) = 0;
  // Removes a member of a set or of a sorted set.
  virtual void RemoveMember(const std::string& key, const std::string& member) = 0;

  // Calls a function by FCALL with exactly these texts. The function has FlowFabric's name,
  // whichever library is under test.
  struct Answer {
    bool is_error = false;           // a RESP error; its text is texts[0]
    std::vector<std::string> texts;  // integers as decimal text
  };
  virtual Answer Call(const std::string& function, const std::vector<std::string>& keys,
                      const std::vector<std::string>& args) = 0;
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_RAW_STORE_H_
