// SPDX-License-Identifier: Apache-2.0
//
// The keys of an engine that has keys, read and written past its ledger: what
// is really stored, and states that no call leads to.

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

// What is to be read in one go, of keys of one execution.
struct Wanted {
  std::vector<std::string> hashes;                           // with their expiries
  std::vector<std::pair<std::string, std::string>> scores;   // key, member
  std::vector<std::pair<std::string, std::string>> members;  // of sets
  std::vector<std::string> streams;
};

// All of that, under the same names. Times in ms; empty where there is none.
struct Snapshot {
  std::map<std::string, Fields> hashes;
  std::map<std::string, std::optional<std::int64_t>> expiries;
  std::map<std::pair<std::string, std::string>, std::optional<double>> scores;
  std::map<std::pair<std::string, std::string>, bool> members;
  std::map<std::string, std::vector<Fields>> streams;
};

// Not thread-safe. A server that doesn't answer, or answers an error where
// none is expected, throws std::runtime_error: the run ends there.
class RawStore {
 public:
  virtual ~RawStore() = default;

  virtual Fields Hash(const std::string& key) = 0;  // empty: no such key
  // Absolute, in ms; empty if the key has none or isn't there.
  virtual std::optional<std::int64_t> ExpireTime(const std::string& key) = 0;
  virtual bool Exists(const std::string& key) = 0;
  virtual std::optional<double> Score(const std::string& key, const std::string& member) = 0;
  virtual Snapshot Read(const Wanted& wanted) = 0;
  // Type, content and expiry of a key as one text: to tell whether it changed.
  virtual std::string Describe(const std::string& key) = 0;

  virtual void SetField(const std::string& key, const std::string& field,
                        const std::string& value) = 0;
  virtual void SetText(const std::string& key, const std::string& text) = 0;
  virtual void Persist(const std::string& key) = 0;
  virtual void Delete(const std::string& key) = 0;
  virtual void RemoveMember(const std::string& key, const std::string& member) = 0;  // of either

  // FCALL with texts as they are. The function is named as FlowFabric names it,
  // whichever library is judged.
  struct Answer {
    bool is_error = false;           // a RESP error; its text is texts[0]
    std::vector<std::string> texts;  // integers as decimal text
  };
  virtual Answer Call(const std::string& function, const std::vector<std::string>& keys,
                      const std::vector<std::string>& args) = 0;
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_RAW_STORE_H_
