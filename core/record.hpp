#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "core/lock.hpp"
#include "core/path.hpp"

namespace locker::core {

inline constexpr std::size_t owner_bytes_max = 255;
inline constexpr std::size_t meta_bytes_max = 4096;

/// The journal's vocabulary: decisions, not requests. Replay applies them and asks nothing again,
/// and a snapshot is the list of the openings (grants, opened leases) that have not ended.

/// A lock came to be. Opens the lease of this token if there is none yet, with this owner and TTL.
/// The views point into the bytes that were read.
struct Granted {
  Token token;
  LockId id;
  Shape shape;
  std::string_view owner;  ///< Empty when unknown; otherwise UTF-8, at most owner_bytes_max.
  PathView path;
  Milliseconds ttl{};         ///< The lease's; zero: held until it is released.
  Milliseconds lock_delay{};  ///< How long it cools when it ends by expiry or force.
  std::string_view meta{};    ///< UTF-8, at most meta_bytes_max.
  bool is_cooling = false;    ///< In a snapshot: its lease has lost it already.
  friend bool operator==(const Granted&, const Granted&) = default;
};

/// A lease was opened that lives without locks, until it ends by itself.
struct LeaseOpened {
  Token token;
  LockId id;
  std::string_view owner;
  Milliseconds ttl{};
  friend bool operator==(const LeaseOpened&, const LeaseOpened&) = default;
};

/// The lease's TTL is another from now on.
struct TtlChanged {
  Token token;
  Milliseconds ttl{};
  friend bool operator==(const TtlChanged&, const TtlChanged&) = default;
};

/// The lease has lost the lock, and for its lock-delay the lock goes on blocking. With its last
/// lock a lease that was opened by a grant is none either.
struct Cooling {
  Token token;
  LockId id;
  End reason = End::expired;  ///< Or forced.
  friend bool operator==(const Cooling&, const Cooling&) = default;
};

/// A lock is no more, or an opened lease. With its last lock a lease that was opened by a grant is
/// none either.
struct Ended {
  Token token;
  LockId id;
  End reason = End::released;
  friend bool operator==(const Ended&, const Ended&) = default;
};

using Record = std::variant<Granted, Ended, LeaseOpened, TtlChanged, Cooling>;

/// The fence that the record gives out, or zero.
[[nodiscard]] Fence fence_given_by(const Record& record);

/// Appends the record's bytes. persistence/FORMAT.md has the layout.
void append_record(const Record& record, std::string& out);

/// What every record begins with; of an end that is all.
inline constexpr std::size_t record_head_bytes = 28;
/// What a grant has behind that, besides its texts, at most: the lengths of owner and path, the
/// terms.
inline constexpr std::size_t grant_fields_bytes = 3 + 10;
/// The longest a record can be.
inline constexpr std::size_t record_bytes_max =
    record_head_bytes + grant_fields_bytes + owner_bytes_max + path_bytes_max + meta_bytes_max;

/// Takes records off the front of bytes whose checksum was right. What does not read then is not
/// damage but the writing of a newer version (or a bug), and `fault` says which.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}
  /// False at the end and at the first record that does not read; `fault()` tells the two apart.
  [[nodiscard]] bool next(Record& record);
  /// Null, or a sentence about the record that did not read.
  [[nodiscard]] const char* fault() const { return fault_; }

 private:
  std::string_view rest_;
  const char* fault_ = nullptr;
};

}  // namespace locker::core
