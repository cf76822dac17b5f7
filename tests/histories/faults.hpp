#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/histories/history.hpp"

namespace locker::histories {

/// What a check found wrong, in sentences.
class Faults {
 public:
  void add(std::string sentence) { sentences_.push_back(std::move(sentence)); }
  void add(const Operation& operation, const std::string& sentence) {
    add("line " + std::to_string(operation.line) + ", " + std::string{name_of(operation.kind)} +
        (operation.wanted.empty() ? "" : " " + operation.path()) + ": " + sentence);
  }
  [[nodiscard]] const std::vector<std::string>& sentences() const { return sentences_; }
  [[nodiscard]] bool empty() const { return sentences_.empty(); }

 private:
  std::vector<std::string> sentences_;
};

}  // namespace locker::histories
