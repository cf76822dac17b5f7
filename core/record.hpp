#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "core/lock.hpp"
#include "core/path.hpp"

namespace locker::core {

inline constexpr std::size_t owner_bytes_max = 255;

/// The journal's vocabulary: decisions, not requests. Replay applies them and asks nothing again,
/// and a snapshot is the list of the grants that have not ended.

/// A lock came to be. Opens the lease of this token if there is none yet, with this owner.
/// The views point into the bytes that were read.
struct Granted {
  Token token;
  LockId id;
  Shape shape;
  std::string_view owner;  ///< Empty when unknown; otherwise UTF-8, at most owner_bytes_max.
  PathView path;
  friend bool operator==(const Granted&, const Granted&) = default;
};

/// A lock is no more; with its last lock its lease is none either.
struct Ended {
  Token token;
  LockId id;
  End reason = End::released;
  friend bool operator==(const Ended&, const Ended&) = default;
};

using Record = std::variant<Granted, Ended>;

/// Appends the record's bytes. Layout, little-endian: kind u8, flags u8, position u16, fence u64,
/// token 16 bytes; a grant goes on with: owner length u8, path length u16, owner, packed path.
void append_record(const Record& record, std::string& out);

/// The longest a record can be.
inline constexpr std::size_t record_bytes_max = 28 + 3 + owner_bytes_max + path_bytes_max;

/// Takes records off the front of bytes whose checksum was right. What does not read then is not
/// damage but the writing of a newer version (or a bug), and `fault` says which.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}
  /// False at the end and at the first record that does not read; `fault()` tells the two apart.
  [[nodiscard]] bool next(Record& record);
  /// Null, or a sentence about what stands at the front of `rest()`.
  [[nodiscard]] const char* fault() const { return fault_; }
  /// Bytes that were not taken yet.
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  const char* fault_ = nullptr;
};

}  // namespace locker::core
