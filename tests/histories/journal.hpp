#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/histories/history.hpp"

namespace locker::histories {

/// A line of `locker store dump`: one decision of the server.
struct Record {
  enum class Kind : std::uint8_t {
    granted,
    lease_opened,
    ttl_changed,
    cooling,
    released,
    expired,
    forced,
    changed,
    cooled,
  };
  Kind kind = Kind::granted;
  Index index = 0;
  std::uint64_t lease = 0;  ///< The dump's number for it; zero: none.
  Fence fence = 0;
  unsigned position = 0;
  std::string path;
  Shape shape;
  std::string owner;
  std::int64_t ttl_ms = 0;
  std::int64_t lock_delay_ms = 0;
  std::string meta;
  bool is_cooling = false;  ///< Of a grant out of a snapshot.
  bool is_forced = false;   ///< Of Kind::cooling: by force, else by expiry.

  [[nodiscard]] bool is_end() const { return kind >= Kind::released; }
};
[[nodiscard]] std::string_view name_of(Record::Kind kind);

/// Throws std::runtime_error when a line is not what it expects, with file and line.
[[nodiscard]] std::vector<Record> read_journal(const std::string& file);

}  // namespace locker::histories
